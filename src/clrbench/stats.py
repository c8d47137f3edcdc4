"""Tests and intervals on paired differences: one number a seed, treatment minus control.

A difference may be infinite, where one of the two runs diverged; then only the signs of the differences are used.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

CONFIDENCE = 0.95
# The level of every test.
ALPHA = 0.05
# How one side stands beside another. Each place that judges has a rule of its own, which says when.
BETTER, EQUAL, WORSE, OPEN = "better", "equal", "worse", "open"
NO_DIFFERENCE = "no difference that matters"
# Up to as many, all changes of sign are tried; of more seeds, as many at random.
_RESAMPLES = 2**13


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """The 95% interval of the mean by Student's t; None for fewer than two values or an infinite one."""
    # Not scipy.stats, whose import takes longer than the table behind a sweep.
    from scipy.special import stdtrit

    if len(values) < 2 or not np.isfinite(values).all():
        return None
    mean = float(np.mean(values))
    half = float(_standard_error(values) * stdtrit(len(values) - 1, (1 + CONFIDENCE) / 2))
    return mean - half, mean + half


def half_width(values: Sequence[float]) -> float | None:
    """Half of that interval."""
    bounds = interval(values)
    return None if bounds is None else (bounds[1] - bounds[0]) / 2


def sign_shown(bounds: tuple[float, float] | None) -> int:
    """1 or -1 where an interval lies above or below 0; 0 where it includes 0, or where there is none."""
    if bounds is None:
        return 0
    return (bounds[0] > 0) - (bounds[1] < 0)


def p_above(differences: Sequence[float], threshold: float = 0.0) -> float:
    """The p-value of the one-sided t test that the mean difference is above `threshold`; 1 for fewer than two seeds."""
    from scipy.special import stdtr

    if not np.isfinite(differences).all():
        return exact_p_above(differences, threshold)
    if len(differences) < 2:
        return 1.0
    shift, error = float(np.mean(differences)) - threshold, _standard_error(differences)
    if error == 0:
        return 0.0 if shift > 0 else 1.0
    return float(stdtr(len(differences) - 1, -shift / error))


def exact_p_above(differences: Sequence[float], threshold: float = 0.0) -> float:
    """The same by changing the signs of the differences in all ways, which assumes nothing of their distribution but
    symmetry; of infinite differences, by counting signs. The smallest value that n seeds allow is `least_p(n)`.
    """
    from scipy import stats

    shifted = np.asarray(differences, float) - threshold
    if len(shifted) == 0:
        return 1.0
    if not np.isfinite(shifted).all():
        moved = shifted[shifted != 0]
        return float(stats.binomtest(int((moved > 0).sum()), len(moved), alternative="greater").pvalue) if len(moved) else 1.0
    if len(shifted) == 1:
        return 0.5 if shifted[0] > 0 else 1.0
    found = stats.permutation_test(
        (shifted,),
        np.mean,
        permutation_type="samples",
        alternative="greater",
        n_resamples=_RESAMPLES,
        vectorized=True,
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)


def least_p(seeds: int) -> float:
    """The smallest p-value that `exact_p_above` can give with so many seeds."""
    return 0.5**seeds


def seeds_needed(claims: int, level: float) -> int:
    """How many seeds that all agree settle one of so many claims, which are judged together at a level."""
    return math.ceil(math.log2(claims / level))


def p_within(differences: Sequence[float], margin: float, test: Callable[..., float] = p_above) -> float:
    """Two one-sided tests (TOST): the p-value that the mean difference lies between -margin and margin."""
    return max(test(differences, -margin), test(_negated(differences), -margin))


def p_outside(differences: Sequence[float], margin: float, test: Callable[..., float] = p_above) -> float:
    """The p-value that it lies beyond one of them.

    Not doubled for two tests: a mean at one end of the margin is too far from the other to be taken for beyond that.
    """
    return min(test(differences, margin), test(_negated(differences), margin))


def p_below(differences: Sequence[float], threshold: float = 0.0, test: Callable[..., float] = p_above) -> float:
    """The p-value that the mean difference is below `threshold`."""
    return test(_negated(differences), -threshold)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjustment: p-values that can be held against one level although they are a family of tests."""
    adjusted, largest = [1.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = largest
    return adjusted


def _negated(differences: Sequence[float]) -> list[float]:
    return [-difference for difference in differences]


def _standard_error(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) / math.sqrt(len(values))
