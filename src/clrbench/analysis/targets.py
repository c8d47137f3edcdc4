"""How many iterations a run takes to an accuracy, read from its evaluations."""

import math
from collections.abc import Sequence

import numpy as np
import polars as pl

# (iteration, value) at each evaluation of a run, where a higher value is better.
Course = Sequence[tuple[int, float]]
SUSTAINED = 2
QUARTILES = (0.25, 0.75)


def iterations_to_target(course: Course, target: float) -> float:
    """The iteration at which a run has reached `target`, such as an accuracy in percent; infinity if it never did.

    The crossing must be sustained: it is the first evaluation that is not below the target, nor is the one after it. The
    last evaluation of a run stands for itself.
    """
    reached = [value >= target for _, value in course]
    for at, (iteration, _) in enumerate(course):
        if all(reached[at : at + SUSTAINED]):
            return float(iteration)
    return math.inf


def target_curve(runs: Sequence[Course], targets: Sequence[float]) -> pl.DataFrame:
    """Iterations to each of `targets` over the runs of one arm.

    Columns: target (percent); median, low and high (the quartiles), in iterations, infinity where so many runs never reach
    it; reached, how many of the runs do.
    """
    rows = []
    for target in targets:
        needed = np.array([iterations_to_target(course, target) for course in runs])
        low, high = (float(np.quantile(needed, share, method="higher")) for share in QUARTILES)
        median = float(np.quantile(needed, 0.5, method="higher"))
        rows.append((float(target), median, low, high, int(np.isfinite(needed).sum())))
    return pl.DataFrame(rows, schema=["target", "median", "low", "high", "reached"], orient="row")
