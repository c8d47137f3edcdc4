"""What an arm gains over another by paired differences: the best one over the others, and change after change why CLR wins.

The changes, a higher rate, its decline and its cycles, are those of experiment=controls.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from clrbench.analysis.runs import Arm
from clrbench.analysis.stats import interval

# From one arm to the next only one thing changes; budgets are equal.
STEPS = (
    ("a higher rate", "fixed_base", "fixed_middle"),
    ("a decline with the later drops", "fixed_middle", "decay_drops"),
    ("cycles", "decay_drops", "triangular2"),
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
    accuracies = {arm.policy: arm.accuracies for arm in arms}
    steps = []
    for name, without, having in STEPS:
        differences = paired(accuracies.get(having, {}), accuracies.get(without, {}))
        if differences:
            steps.append(Step(name, without, having, fmean(differences), interval(differences), len(differences)))
    return steps


def paired(treatment: Mapping[int, float], control: Mapping[int, float]) -> list[float]:
    """The differences over the seeds that both have."""
    return [value - control[seed] for seed, value in treatment.items() if seed in control]


def leads(arms: Sequence[Arm]) -> list[tuple[Arm, Arm, list[float]]]:
    """The best arm of each data set and model, each other one, and the differences between them over common seeds."""
    found = []
    for task in dict.fromkeys(arm.task for arm in arms):
        rivals = [arm for arm in arms if arm.task == task]
        best = best_of(rivals)
        if best is not None:
            found += [(best, arm, paired(best.accuracies, arm.accuracies)) for arm in rivals if arm is not best]
    return [lead for lead in found if lead[2]]


def best_of(arms: Sequence[Arm]) -> Arm | None:
    """The arm with the highest mean accuracy among those with the most seeds."""
    able = [arm for arm in arms if arm.accuracies]
    return max(able, key=lambda arm: (len(arm.accuracies), fmean(arm.accuracies.values())), default=None)


def in_words(differences: Sequence[float]) -> str:
    """Their mean in percentage points, its 95% interval, and of how many seeds."""
    bounds = interval(differences)
    spread = "" if bounds is None else f" [{bounds[0]:+.2f}, {bounds[1]:+.2f}]"
    return f"{fmean(differences):+.2f} points{spread}, n = {len(differences)} common seeds"
