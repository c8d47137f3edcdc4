"""Runs and their paired differences as data frames, in the unit of their metric."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import polars as pl

from clrbench import stats
from clrbench.analysis.arms import Arm
from clrbench.analysis.pairs import best_of, gains_with_diverged, paired, standing
from clrbench.runs import Run
from clrbench.store import DIVERGED


def runs_frame(runs: Sequence[Run]) -> pl.DataFrame:
    """A row a run: arm, seed, status, iterations, the metric under its own name, seconds of training, what else the last
    evaluation measured, and the run's name. Values are null where the end of the budget was not reached.
    """
    return pl.DataFrame([_row(run) for run in runs], infer_schema_length=None)


def _row(run: Run) -> dict[str, Any]:
    result, last = run.result, run.evaluations[-1:]
    others = {name: value for row in last for name, value in row.metrics.items() if name != result.metric}
    return {
        "arm": result.label,
        "seed": result.seed,
        "status": result.status,
        "iterations": result.iterations,
        result.metric: result.value,
        **others,
        "seconds": result.seconds,
        "run": result.name,
    }


def differences_frame(arms: Sequence[Arm]) -> pl.DataFrame:
    """A row an arm beside the best fixed rate among `arms`, or where there is none, beside the first.

    Columns: arm, against; seeds, how many both have; difference, the mean of arm minus rival, seed by seed; low and high, its
    95% interval by Student's t, null for one seed; diverged, how many runs of the arm did; verdict, see `pairs.standing`, for
    which a run that diverged is worse than any that did not. Where all runs of the arm diverged, there is no difference;
    arms without a common seed that either finished have no row.
    """
    rival = best_of([arm for arm in arms if arm.is_fixed]) or arms[0]
    beside = [(arm, gains_with_diverged(arm, rival)) for arm in arms if arm is not rival]
    return pl.DataFrame([_beside(arm, rival, gains) for arm, gains in beside if gains], _DIFFERENCES)


def _beside(arm: Arm, rival: Arm, gains: Sequence[float]) -> dict[str, Any]:
    differences = paired(arm.accuracies, rival.accuracies)
    low, high = stats.interval(differences) or (None, None)
    verdict = standing(gains, arm.measure.margin)
    about = {"arm": arm.label, "against": rival.label, "seeds": len(differences)}
    found = {
        "difference": fmean(differences) if differences else None,
        "low": low,
        "high": high,
        "diverged": arm.count(DIVERGED),
    }
    return {**about, **found, "verdict": verdict}


_DIFFERENCES = {
    **dict.fromkeys(("arm", "against"), pl.String),
    "seeds": pl.Int64,
    **dict.fromkeys(("difference", "low", "high"), pl.Float64),
    "diverged": pl.Int64,
    "verdict": pl.String,
}
