"""Which candidates are clearly worse than the best of them, and how much worse one may be at most.

Both are comparisons with the best (Hsu, Annals of Statistics 9 (1981)): whichever candidate is truly the best, it is held
against each of the others, and Bonferroni's quantile covers them all.
"""

import math
import sys
from collections.abc import Collection
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from clrbench.decision.trials import Candidate, Table


@dataclass(frozen=True)
class Noise:
    """How much a run's worth varies by chance beside that of other candidates with its seed. degrees: of freedom."""

    deviation: float
    degrees: int

    def margin_of_error(self, seeds: int, others: int, error: float) -> float:
        """What a mean difference over `seeds` seeds exceeds by chance, for any of `others` candidates, at most with `error`."""
        from scipy.special import stdtrit

        quantile = float(stdtrit(self.degrees, 1 - error / max(1, others)))
        return quantile * self.deviation * math.sqrt(2 / seeds)


def noise(values: Table, seeds: Collection[int]) -> Noise | None:
    """From the candidates that have a finite worth with every one of `seeds`; None where these are fewer than two.

    A seed's effect that all candidates share is left out.
    """
    rows = [
        [worths[seed] for seed in seeds]
        for worths in values.values()
        if all(math.isfinite(worths.get(seed, math.inf)) for seed in seeds)
    ]
    degrees = (len(rows) - 1) * (len(seeds) - 1)
    if degrees < 1:
        return None
    grid = np.array(rows)
    residuals = grid - grid.mean(0) - grid.mean(1, keepdims=True) + grid.mean()
    return Noise(math.sqrt(float((residuals**2).sum()) / degrees), degrees)


def mean_difference(values: Table, one: Candidate, other: Candidate) -> tuple[float, int]:
    """How much more `one` is worth than `other` over the seeds that both have, and how many these are.

    Infinite where one of them diverged; minus infinity where both did.
    """
    common = values[one].keys() & values[other].keys()
    mine, others = ([values[which][seed] for seed in sorted(common)] for which in (one, other))
    if -math.inf in mine:
        return -math.inf, len(common)
    return (math.inf if -math.inf in others else fmean(mine) - fmean(others)), len(common)


def not_clearly_worse(values: Table, noise: Noise | None, error: float) -> list[Candidate]:
    """The candidates that may still be the best, by falling means; the truly best one is left out at most with `error`.

    values: with the same seeds for each. Where the noise is unknown, only those that diverged are left out.
    """
    ordered = sorted(values, key=lambda candidate: fmean(values[candidate].values()), reverse=True)
    left = []
    for candidate in ordered:
        behind, seeds = mean_difference(values, ordered[0], candidate)
        allowed = sys.float_info.max if noise is None else noise.margin_of_error(seeds, len(values) - 1, error)
        if candidate is ordered[0] or behind <= allowed:
            left.append(candidate)
    return left


def regret_bound(values: Table, chosen: Candidate, noise: Noise, error: float) -> float:
    """How much more than `chosen` any other candidate is worth at most, with probability 1 - error.

    values: every candidate has a seed that `chosen` has too.
    """
    others = [candidate for candidate in values if candidate != chosen]
    ahead = [mean_difference(values, other, chosen) for other in others]
    return max([0.0, *(mean + noise.margin_of_error(seeds, len(others), error) for mean, seeds in ahead)])


def flat_rungs(values: Table, chosen: Candidate, margin: float) -> tuple[int, int]:
    """The lowest and the highest rung around the chosen one between which its family loses at most `margin`."""
    family = {one.rung: mean_difference(values, one, chosen)[0] for one in values if one.family == chosen.family}
    low = high = chosen.rung
    while family.get(low - 1, -math.inf) >= -margin:
        low -= 1
    while family.get(high + 1, -math.inf) >= -margin:
        high += 1
    return low, high
