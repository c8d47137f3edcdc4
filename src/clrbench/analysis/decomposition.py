"""Why CLR wins, if it does: what change after change adds, from the fixed rate to cycles, by paired differences.

The changes, later drops, a higher rate and cycles, are those of experiment=controls.
"""

from collections.abc import Sequence
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
    """One sentence a comparison that has all arms of STEPS: what makes the gain over the fixed rate at an equal budget.

    Over the seeds that all of these arms have, so that the parts add up to the whole.
    """
    return [sentence for rivals in comparisons(arms) if (sentence := _parts_in_words(rivals))]


def _parts_in_words(rivals: Sequence[Arm]) -> str:
    accuracies = {arm.name: arm.accuracies for arm in rivals}
    needed = [STEPS[0][1], *(having for _, _, having in STEPS)]
    seeds = sorted(set.intersection(*(set(accuracies.get(name, {})) for name in needed)))
    if not seeds:
        return ""

    def gain(having: str, without: str) -> str:
        return points([accuracies[having][seed] - accuracies[without][seed] for seed in seeds])

    parts = [f"{gain(having, without)} come from {name}" for name, without, having in STEPS]
    whole = gain(needed[-1], needed[0])
    return (
        f"Of the gain of the staged triangular2 over the fixed rate at an equal budget, {whole}, "
        f"{', '.join(parts[:-1])} and {parts[-1]} (n = {len(seeds)} common seeds)."
    )
