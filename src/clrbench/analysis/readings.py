"""Which accuracy of a run a claim is about."""

import math
from collections.abc import Sequence
from statistics import mean

from clrbench.analysis.claims import CYCLE, CYCLE_ENDS, END, Side
from clrbench.runs import Run
from clrbench.store import DIVERGED

DIVERGED_ACCURACY = -math.inf


def accuracy(run: Run, side: Side) -> float | None:
    """The accuracy in percent that `side` reads of a run; minus infinity for one that diverged.

    None for a run that failed, or in which there is nothing to be read: it has no such cycle, or did not measure the average.
    """
    if run.result.status == DIVERGED:
        return DIVERGED_ACCURACY
    if not run.is_finished:
        return None
    if side.average is not None:
        return run.evaluations[-1].metrics.get(f"{run.result.metric}_{side.average}")
    if side.reading == END:
        return run.result.value
    return _of_cycles(run, side)


def _of_cycles(run: Run, side: Side) -> float | None:
    ends = run.cycle_ends
    if side.reading == CYCLE:
        return _at(run, ends[side.cycle - 1]) if side.cycle and side.cycle <= len(ends) else None
    if not ends:
        return None
    points = ends if side.reading == CYCLE_ENDS else _middles(ends)
    return mean(_nearest(run, point) for point in points)


def at_last_cycle_end(run: Run) -> tuple[int, float] | None:
    """Iteration and accuracy at the end of the last whole cycle, where the budget ends behind it; else None."""
    ends = run.cycle_ends
    if not ends or ends[-1] == run.result.iterations:
        return None
    found = _at(run, ends[-1])
    return None if found is None else (ends[-1], found)


def _middles(ends: Sequence[int]) -> list[float]:
    return [(start + end) / 2 for start, end in zip([0, *ends], ends, strict=False)]


def _at(run: Run, iteration: int) -> float | None:
    return next((value for at, value in run.course if at == iteration), None)


def _nearest(run: Run, iteration: float) -> float:
    return min(run.course, key=lambda point: abs(point[0] - iteration))[1]
