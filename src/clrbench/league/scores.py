"""The scores of the league, as pure functions of what entries are worth: docs/league.md.

Worths are arrays (tasks, entries, seeds), in margins of each task, more being better, minus infinity where a run diverged. What
is said over tasks takes stacks of them too: (draws, tasks, entries, seeds).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clrbench.stats import ALPHA, BETTER, EQUAL, OPEN, WORSE, holm, interval, p_above, p_below

Array = NDArray[np.float64]
DRAWS = 2_000


@dataclass(frozen=True)
class TaskGain:
    """An entry beside the reference on a task, in margins; mean, low and high (95%) are nan where one of them diverged."""

    mean: float
    low: float
    high: float
    verdict: str


@dataclass(frozen=True)
class Score:
    """A number across tasks with its 95% bootstrap interval."""

    value: float
    low: float
    high: float


def gains(worths: Array, reference: int) -> list[list[TaskGain | None]]:
    """Of each task and entry; None for the reference. Verdicts are Holm's, over all cells."""
    tasks, entries, _ = worths.shape
    cells = [(task, entry) for task in range(tasks) for entry in range(entries) if entry != reference]
    differences = {cell: _differences(worths[cell], worths[cell[0], reference]) for cell in cells}
    # Two-sided: twice the smaller of both one-sided p-values.
    p_values = [min(1.0, 2 * min(p_above(differences[cell]), p_below(differences[cell]))) for cell in cells]
    found: list[list[TaskGain | None]] = [[None] * entries for _ in range(tasks)]
    for cell, p_value in zip(cells, holm(p_values), strict=True):
        ended = np.isfinite(worths[cell]).all() and np.isfinite(worths[cell[0], reference]).all()
        found[cell[0]][cell[1]] = _gain(differences[cell], p_value) if ended else _lost(differences[cell])
    return found


def _differences(entry: Array, reference: Array) -> list[float]:
    """Paired; 0 where both diverged."""
    with np.errstate(invalid="ignore"):
        made = entry - reference
    return [0.0 if np.isnan(one) else float(one) for one in made]


def _lost(differences: Sequence[float]) -> TaskGain:
    """Where runs diverged: whoever lost more of them is worse, and there is no amount."""
    lost = sum(one == -np.inf for one in differences) - sum(one == np.inf for one in differences)
    return TaskGain(np.nan, np.nan, np.nan, WORSE if lost > 0 else BETTER if lost < 0 else OPEN)


def _gain(differences: Sequence[float], p_value: float) -> TaskGain:
    if (bounds := interval(differences)) is None:  # of a single seed
        return TaskGain(np.nan, np.nan, np.nan, OPEN)
    mean, (low, high) = float(np.mean(differences)), bounds
    if low >= -1 and high <= 1:
        return TaskGain(mean, low, high, EQUAL)
    verdict = OPEN if p_value >= ALPHA else BETTER if mean > 0 else WORSE
    return TaskGain(mean, low, high, verdict)


def ranks(worths: Array) -> Array:
    """(..., tasks, entries): 1 for the best mean over seeds, ties shared."""
    from scipy.stats import rankdata

    found: Array = rankdata(-worths.mean(axis=-1), axis=-1)
    return found


def mean_ranks(worths: Array) -> Array:
    """(..., entries): over tasks."""
    found: Array = ranks(worths).mean(axis=-2)
    return found


def friedman_p(worths: Array) -> float:
    """The p-value that all entries are alike, over tasks (Friedman 1937)."""
    from scipy.stats import friedmanchisquare

    return float(friedmanchisquare(*worths.mean(axis=2).T).pvalue)


def behind_best(worths: Array) -> Array:
    """(..., tasks, entries): how many margins an entry's mean lies below the best entry's; infinity where it diverged."""
    means = worths.mean(axis=-1)
    best = means.max(axis=-1, keepdims=True)
    return np.where(np.isfinite(means), best - np.where(np.isfinite(means), means, 0), np.inf)


def within(worths: Array, margins: float) -> Array:
    """(..., entries): the share of tasks on which an entry is within so many margins of the best (Dolan and Moré 2002)."""
    found: Array = np.mean(behind_best(worths) <= margins + 1e-12, axis=-2)
    return found


def speeds(shares: Array) -> Array:
    """(..., entries): the share of the budget to the reference's end, of the median seed, as a mean over tasks.

    shares: (..., tasks, entries, seeds), infinity where a run does not reach it, which counts as the whole budget.
    """
    found: Array = np.minimum(np.median(shares, axis=-1), 1).mean(axis=-2)
    return found


def with_interval(values: Array, statistic: Callable[[Array], Array]) -> list[Score]:
    """The statistic of each entry with its interval.

    A draw takes tasks with replacement, then of each task seeds with replacement, the same ones for all entries.
    """
    low, high = np.quantile(statistic(_draws(values)), [0.025, 0.975], axis=0)
    return [Score(*map(float, three)) for three in zip(statistic(values), low, high, strict=True)]


def _draws(values: Array) -> Array:
    random = np.random.default_rng(0)
    tasks, _, seeds = values.shape
    taken = values[random.integers(tasks, size=(DRAWS, tasks))]
    return np.take_along_axis(taken, random.integers(seeds, size=(DRAWS, tasks, 1, seeds)), axis=-1)


def leaving_one_out(worths: Array) -> Array:
    """(tasks, entries): the mean ranks without each task in turn. Needs two tasks."""
    everything = range(len(worths))
    return np.array([mean_ranks(worths[[one for one in everything if one != left_out]]) for left_out in everything])


def winners_everywhere(worths: Array) -> list[int]:
    """The entries that no other beats by more than the margin on any task."""
    return np.flatnonzero((behind_best(worths) <= 1).all(axis=0)).tolist()
