"""Why CLR wins, if it does: what a higher rate, its decline and its cycles add, one after another (experiment=controls)."""

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
