"""How accuracy and rate move over a run, and how the end depends on a setting: data frames for figures and their tables."""

import math
from collections.abc import Sequence
from statistics import fmean

import numpy as np
import polars as pl

from clrbench.analysis.arms import Arm
from clrbench.analysis.targets import target_curve
from clrbench.runs import Run
from clrbench.stats import interval

POINTS = 200
TARGETS = 40
SENSITIVE = ("policy.step_size", "policy.max_lr", "policy.base_lr")
CURVE = dict.fromkeys(("iteration", "epoch", "lr", "accuracy", "low", "high", "train_loss", "test_loss"), pl.Float64)
RATES = {"iteration": pl.Int64, "epoch": pl.Float64, "rate": pl.Float64}
SENSITIVITY = {"arm": pl.String, "value": pl.Float64, "accuracy": pl.Float64, "low": pl.Float64, "high": pl.Float64}


def accuracy_curve(arm: Arm, points: int = POINTS) -> pl.DataFrame:
    """The means over an arm's finished seeds, a row an evaluation, thinned to about `points` rows.

    Columns: iteration, epoch, lr, accuracy (percent), low and high (its 95% interval, null for one seed), train_loss,
    test_loss. The ends of cycles and of the budget are never left out.
    """
    runs = arm.finished
    if not runs:
        return pl.DataFrame(schema=CURVE)
    kept = _thinned(runs[0], points)
    rows = [_row([run for run in runs if at < len(run.evaluations)], at) for at in kept]
    return pl.DataFrame(rows, schema=CURVE, orient="row")


def _row(runs: Sequence[Run], at: int) -> tuple[float | None, ...]:
    accuracies = [run.course[at][1] for run in runs]
    low, high = interval(accuracies) or (None, None)
    together = [run.evaluations[at] for run in runs]
    first, losses = together[0], [(row.train_loss, row.metrics.get("test_loss", math.nan)) for row in together]
    train_loss, test_loss = (fmean(values) for values in zip(*losses, strict=True))
    return first.iteration, first.epoch, first.lr, fmean(accuracies), low, high, train_loss, test_loss


def _thinned(run: Run, points: int) -> list[int]:
    """The positions of the evaluations that are kept."""
    every = max(1, round(len(run.evaluations) / points))
    ends = {*run.cycle_ends, run.result.iterations}
    return [at for at, row in enumerate(run.evaluations) if at % every == 0 or row.iteration in ends]


def rate_curve(arm: Arm, points: int = 4 * POINTS) -> pl.DataFrame:
    """The learning rate over a run: iteration, epoch, rate. Empty for a policy from outside the package."""
    run = arm.runs[0]
    if run.schedule is None:
        return pl.DataFrame(schema=RATES)
    iterations = np.unique(np.linspace(0, arm.iterations - 1, points).round().astype(int))
    per_epoch = _iterations_per_epoch(run)
    rates = run.schedule(iterations)
    return pl.DataFrame({"iteration": iterations, "epoch": iterations / per_epoch, "rate": rates}, schema=RATES)


def _iterations_per_epoch(run: Run) -> float:
    rows = run.evaluations
    return rows[-1].iteration / rows[-1].epoch if rows else 1.0


def target_curves(arms: Sequence[Arm]) -> dict[str, pl.DataFrame]:
    """Iterations to target of each arm with finished runs, by label, over the same targets: see `targets.target_curve`."""
    trained = [arm for arm in arms if arm.finished and arm.measure.is_percent and arm.measure.mode == "max"]
    reached = [value for arm in trained for run in arm.finished for _, value in run.course]
    if not reached:
        return {}
    lowest, highest = float(np.quantile(reached, 0.1)), max(reached)
    step = max(0.1, round((highest - lowest) / TARGETS, 1))
    targets = [round(target, 1) for target in np.arange(np.floor(lowest), highest + step, step).tolist()]
    return {arm.label: target_curve([run.course for run in arm.finished], targets) for arm in trained}


def sensitivity(arms: Sequence[Arm]) -> dict[str, pl.DataFrame]:
    """How the accuracy at the end depends on the settings of SENSITIVE, where at least two arms of one policy differ in one.

    {setting: a row an arm: arm, value, accuracy (percent), low, high (95% interval)}. Arms that differ in several, as bounds
    that move together, stand under the first of them alone.
    """
    found: dict[str, pl.DataFrame] = {}
    told: set[str] = set()
    for setting in SENSITIVE:
        moved = [arm for arm in arms if isinstance(arm.differences.get(setting), (int, float)) and arm.label not in told]
        rows = [
            (arm.name, float(arm.differences[setting]), fmean(values), *(interval(values) or (None, None)))
            for arm in moved
            if (values := list(arm.accuracies.values()))
        ]
        if len({row[1] for row in rows}) > 1:
            told |= {arm.label for arm in moved}
            found[setting] = pl.DataFrame(rows, schema=SENSITIVITY, orient="row").sort("arm", "value")
    return found
