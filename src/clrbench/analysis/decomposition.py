"""Why CLR wins, if it does: what change after change adds, from the fixed rate to cycles, by paired differences.

The changes, later drops, a higher rate and cycles, are those of experiment=controls.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from clrbench.analysis.arms import Arm
from clrbench.analysis.pairs import comparisons, paired, points
from clrbench.stats import interval

# From one arm to the next only one thing changes; budgets are equal.
STEPS = (
    ("its drops", "fixed_base", "fixed_drops"),
    ("the height of the rate", "fixed_drops", "decay_drops"),
    ("the cycles", "decay_drops", "triangular2"),
)
# What the gain is taken over, by the arm that a decomposition begins with.
_STARTS = {"fixed_base": "the fixed rate", "fixed_drops": "a fixed rate with the same drops"}


@dataclass(frozen=True)
class Step:
    """What one change adds: the mean difference in percentage points over common seeds, with its 95% interval."""

    name: str
    without: str
    having: str
    mean: float
    interval: tuple[float, float] | None
    seeds: int


def decompose(arms: Sequence[Arm]) -> list[Step]:
    """The steps of which both arms have runs with a common seed; `arms` are those of one source and experiment."""
    steps = []
    for rivals in comparisons(arms):
        accuracies = {arm.name: arm.accuracies for arm in rivals}
        for name, without, having in STEPS:
            differences = paired(accuracies.get(having, {}), accuracies.get(without, {}))
            if differences:
                steps.append(Step(name, without, having, fmean(differences), interval(differences), len(differences)))
    return steps


def decomposition_in_words(arms: Sequence[Arm]) -> list[str]:
    """What makes the gain over the fixed rate at an equal budget, and whether the cycles add to it: two sentences a comparison.

    All parts are told over the seeds that all arms have, so that they add up to the whole. Where `fixed_base` has not run, the
    gain over the fixed rate with the same drops is split. With fewer than two parts nothing is said.
    """
    return [sentence for rivals in comparisons(arms) for sentence in _in_words({arm.name: arm.accuracies for arm in rivals})]


def _in_words(accuracies: Mapping[str, Mapping[int, float]]) -> list[str]:
    chains = [STEPS[start:] for start in range(len(STEPS) - 1)]
    # Of equally many seeds the first is the longest.
    steps = max(chains, key=lambda chain: len(_common_seeds(accuracies, chain)))
    seeds = _common_seeds(accuracies, steps)
    if not seeds:
        return []

    def gains(having: str, without: str) -> list[float]:
        return [accuracies[having][seed] - accuracies[without][seed] for seed in seeds]

    (_, first, _), (_, last_but_one, last) = steps[0], steps[-1]
    parts = [f"{points(gains(having, without))} come from {name}" for name, without, having in steps]
    return [
        f"Of the gain of the staged triangular2 over {_STARTS[first]} at an equal budget, {points(gains(last, first))}, "
        f"{', '.join(parts[:-1])} and {parts[-1]} (n = {len(seeds)} common seeds).",
        _cycles_in_words(gains(last, last_but_one)),
    ]


def _common_seeds(accuracies: Mapping[str, Mapping[int, float]], steps: Sequence[tuple[str, str, str]]) -> list[int]:
    """The seeds that all arms of the steps have."""
    needed = [steps[0][1], *(having for _, _, having in steps)]
    return sorted(set.intersection(*(set(accuracies.get(name, {})) for name in needed)))


def _cycles_in_words(gains: Sequence[float]) -> str:
    """Whether the cycles add to the gain or take from it, by the 95% interval of what they add."""
    rival = "a rate that falls once from a higher start, with the same drops"
    bounds = interval(gains)
    if bounds is None or bounds[0] <= 0 <= bounds[1]:
        return f"That the cycles themselves add to it is not shown: {rival}, ends as high as far as these runs tell."
    if bounds[0] > 0:
        return f"The cycles themselves add to it: {rival}, ends lower."
    return f"The cycles themselves take from it: {rival}, ends higher."
