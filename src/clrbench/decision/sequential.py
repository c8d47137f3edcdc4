"""Group sequential tests of a mean: several looks at growing data, at one level for all of them together.

Sources: Lan and DeMets, Biometrika 70 (1983), for the spending; Armitage, McPherson and Rowe, JRSS A 132 (1969), for the
recursion; Jennison and Turnbull, Group Sequential Methods (2000), sections 4.4 and 9.1, for Student's t and the intervals.
"""

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.polynomial.legendre import leggauss
from numpy.typing import NDArray

# With how many seeds one looks, where nothing else is said.
LOOKS = (5, 8, 12)
_NODES = 128  # of the quadrature; twice as many change the bounds below by less than 1e-9


def spent(fraction: float, level: float) -> float:
    """What of a two-sided level may be spent up to a share of the information, 0..1, in the way of O'Brien and Fleming.

    Each side spends half of the level by their function.
    """
    from scipy.special import ndtr, ndtri

    return float(4 * ndtr(ndtri(level / 4) / math.sqrt(fraction)))


@cache
def bounds(looks: tuple[int, ...], level: float) -> tuple[float, ...]:
    """For each look the value that |Z| must exceed, so that under no difference any look does so with probability `level`.

    looks: numbers of observations, ascending; the last is the most. level: two-sided, 0..1.
    """
    from scipy.optimize import brentq
    from scipy.special import ndtr

    fractions = [look / looks[-1] for look in looks]
    sums, density, before = np.zeros(1), np.ones(1), 0.0  # a sum that surely begins at 0
    found: list[float] = []
    for fraction, earlier in zip(fractions, [0.0, *fractions], strict=False):
        deviation = math.sqrt(fraction - earlier)
        aim = spent(fraction, level) - before

        def surplus(bound: float, deviation: float = deviation, aim: float = aim) -> float:
            beyond = ndtr((sums - bound) / deviation) + ndtr((-bound - sums) / deviation)  # noqa: B023
            return float(density @ beyond) - aim  # noqa: B023

        edge = float(brentq(surplus, 0.0, 40.0, xtol=1e-12))
        found.append(edge / math.sqrt(fraction))
        sums, density = _carried_on(sums, density, deviation, edge)
        before += aim
    return tuple(found)


def _carried_on(
    sums: NDArray[np.float64], density: NDArray[np.float64], deviation: float, edge: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The sums at a look that go on, within its edge, and their weights."""
    nodes, weights = leggauss(_NODES)
    new = edge * nodes
    normal = np.exp(-0.5 * ((new[:, None] - sums) / deviation) ** 2) / (deviation * math.sqrt(2 * math.pi))
    return new, edge * weights * (normal @ density)


def one_sided_level(looks: tuple[int, ...], level: float, number: int) -> float:
    """What the p-value of a one-sided test must not exceed at the look with `number` observations; level: of both sides."""
    from scipy.special import ndtr

    return float(ndtr(-bounds(looks, level)[looks.index(number)]))


def repeated_interval(
    differences: Sequence[float], looks: tuple[int, ...], level: float, number: int | None = None
) -> tuple[float, float]:
    """An interval that holds the true mean at all looks at once with probability 1 - level, whenever one stops.

    differences: finite, two at least; they are taken for normal with an unknown variance. number: that of the look, where
    some of its observations are missing.
    """
    from scipy.special import stdtrit

    one_sided = one_sided_level(looks, level, number or len(differences))
    error = float(np.std(differences, ddof=1)) / math.sqrt(len(differences))
    mean, half = float(np.mean(differences)), -float(stdtrit(len(differences) - 1, one_sided)) * error
    return mean - half, mean + half
