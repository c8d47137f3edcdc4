"""What a set of arms amounts to, a row each."""

import math
from collections.abc import Sequence
from statistics import mean
from typing import Any

import polars as pl

from clrbench.analysis.arms import Arm
from clrbench.analysis.pairs import best_of
from clrbench.analysis.targets import iterations_to_target
from clrbench.runs import Run
from clrbench.stats import half_width
from clrbench.store import DIVERGED, FAILED, FINISHED

SCHEMA = {
    "source": pl.String,
    "experiment": pl.String,
    "data": pl.String,
    "model": pl.String,
    "arm": pl.String,
    "settings": pl.String,
    "iterations": pl.Int64,
    "runs": pl.Int64,
    "diverged": pl.Int64,
    "failed": pl.Int64,
    "measure": pl.String,
    "test_accuracy": pl.Float64,
    "half_width": pl.Float64,
    "to_fixed": pl.Float64,
    "speed_up": pl.Float64,
    "seconds": pl.Float64,
}


def summarize(arms: Sequence[Arm]) -> pl.DataFrame:
    """One row an arm.

    Columns: source, experiment, data, model; arm, its name; settings, what tells it from others of the same name;
    iterations, the budget; runs, diverged and failed, which count the runs by how they ended; measure, the metric and its
    unit; test_accuracy, the mean of it over the finished runs; half_width, half of its 95% interval by Student's t, null
    for fewer than two runs;
    to_fixed, the median over seeds of the iterations to the accuracy at which the best fixed rate of the same seed ends,
    infinity where most seeds never get there, null for a fixed rate and where none with the same seed is among the rivals;
    speed_up, the budget of that fixed rate over it; seconds, their mean training time.
    """
    return pl.DataFrame([_row(arm, fixed_rival(arm, arms)) for arm in arms], schema=SCHEMA)


def fixed_rival(arm: Arm, arms: Sequence[Arm]) -> Arm | None:
    """The best fixed rate that an arm is compared with; None for a fixed rate itself, and where there is none."""
    rivals = [other for other in arms if other.is_fixed and other.comparison == arm.comparison]
    return None if arm.is_fixed else best_of(rivals)


def _row(arm: Arm, fixed: Arm | None) -> dict[str, Any]:
    accuracies = list(arm.accuracies.values())
    needed = None if fixed is None else _median_to_rival(arm, fixed)
    data, model = arm.task
    return {
        "source": arm.source,
        "experiment": arm.experiment,
        "data": data,
        "model": model,
        "arm": arm.name,
        "settings": arm.details,
        "iterations": arm.iterations,
        "runs": len(accuracies),
        "diverged": arm.count(DIVERGED),
        "failed": arm.count(FAILED),
        "measure": arm.measure.heading,
        "test_accuracy": mean(accuracies) if accuracies else None,
        "half_width": half_width(accuracies),
        "to_fixed": needed,
        "speed_up": fixed.iterations / needed if fixed and needed and math.isfinite(needed) else None,
        "seconds": mean(run.result.seconds for run in arm.finished) if arm.finished else None,
    }


def _median_to_rival(arm: Arm, rival: Arm) -> float | None:
    """The median over common seeds (of an even number, the later of the middle two, so that it is one that occurred)."""
    sign = arm.measure.sign
    targets = {run.result.seed: sign * end for run in rival.finished if (end := run.end) is not None}
    ended = [run for run in arm.runs if run.result.status in (FINISHED, DIVERGED) and run.result.seed in targets]
    needed = sorted(_needed(run, sign, targets[run.result.seed]) for run in ended)
    return needed[len(needed) // 2] if needed else None


def _needed(run: Run, sign: int, target: float) -> float:
    """The iterations to a target; infinity for a run that diverged, whatever it had reached."""
    return iterations_to_target([(at, sign * value) for at, value in run.course], target) if run.is_finished else math.inf
