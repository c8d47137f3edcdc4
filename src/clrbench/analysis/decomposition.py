"""Why CLR wins, if it does: what change after change adds, from the fixed rate to cycles, by paired differences.

The changes, later drops, a higher rate and cycles, are those of experiment=controls.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from clrbench.analysis.arms import Arm
from clrbench.analysis.cases import SEEDS
from clrbench.analysis.pairs import comparisons, paired, points
from clrbench.stats import interval, sign_shown

_DROPS = ("its drops", "fixed_base", "fixed_drops")
# From one arm to the next one thing changes; budgets are equal. The first chain tells cycles from the height of the rate: the
# rate of mean_drops is the mean of the cycles. The second needs no such arm, but does not tell the two apart behind the start.
CHAINS = (
    (_DROPS, ("the height of its rate", "fixed_drops", "mean_drops"), ("its cycles", "mean_drops", "triangular2")),
    (
        _DROPS,
        ("a higher start", "fixed_drops", "decay_drops"),
        ("its cycles, with the higher rates that they bring", "decay_drops", "triangular2"),
    ),
)
# What the gain is taken over, by the arm that a decomposition begins with.
_STARTS = {"fixed_base": "the fixed rate", "fixed_drops": "a fixed rate with the same drops"}
# What the cycles are held against: in words, and what the difference is due to.
_AGAINST = {
    "mean_drops": ("a fixed rate as high on average, with the same drops", "the cycles themselves"),
    "decay_drops": (
        "a rate that falls once from a higher start, with the same drops",
        "the cycles, or the higher rates with them,",
    ),
}


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
        for name, without, having in dict.fromkeys(step for chain in CHAINS for step in chain):
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
    chains = [chain[start:] for chain in CHAINS for start in (0, 1)]
    # Of those with equally many seeds, the first tells most.
    steps = max(chains, key=lambda chain: len(_common_seeds(accuracies, chain)))
    seeds = _common_seeds(accuracies, steps)
    if not seeds:
        return []

    def gains(having: str, without: str) -> list[float]:
        return [accuracies[having][seed] - accuracies[without][seed] for seed in seeds]

    (_, first, _), (_, without_cycles, last) = steps[0], steps[-1]
    parts = [f"{points(gains(having, without))} by {name}" for name, without, having in steps]
    return [
        f"At an equal budget the staged triangular2 gains {points(gains(last, first))} on {_STARTS[first]}: "
        f"{', '.join(parts[:-1])} and {parts[-1]} (n = {len(seeds)} common seeds).",
        _cycles_in_words(gains(last, without_cycles), without_cycles),
    ]


def _common_seeds(accuracies: Mapping[str, Mapping[int, float]], steps: Sequence[tuple[str, str, str]]) -> list[int]:
    """The seeds that all arms of the steps have."""
    needed = [steps[0][1], *(having for _, _, having in steps)]
    return sorted(set.intersection(*(set(accuracies.get(name, {})) for name in needed)))


def _cycles_in_words(gains: Sequence[float], without_cycles: str) -> str:
    """Whether the cycles add to the gain or take from it, by the 95% interval of what they add to that arm."""
    rival, cause = _AGAINST[without_cycles]
    sign = sign_shown(interval(gains))
    if sign == 0:
        return f"That {cause} add to this gain is not shown: {rival}, ends as high as far as these runs tell."
    does, ends = ("add to", "lower") if sign > 0 else ("take from", "higher")
    said = f"{cause.capitalize()} {does} this gain: {rival}, ends {ends}."
    if without_cycles == "mean_drops":
        return said
    return f"{said} Which of both, `python train.py -m experiment=controls arm=controls/mean_drops seed={SEEDS}` tells."
