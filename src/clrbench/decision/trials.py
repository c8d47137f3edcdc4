"""What a decision is about: families of which only the peak is tuned, their candidates, and the trials of these."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clrbench.decision.sequential import LOOKS

FIXED, OTHER, CYCLICAL = "fixed", "other", "cyclical"
KINDS = (FIXED, OTHER, CYCLICAL)


@dataclass(frozen=True)
class Family:
    """A policy of which only the peak is tuned. kind: one of KINDS."""

    name: str
    kind: str


@dataclass(frozen=True)
class Candidate:
    """A family at a peak: `rung` doublings above the first peak."""

    family: Family
    rung: int


@dataclass(frozen=True)
class Trial:
    """A run of a candidate. is_final: it is judged on the test set, else on what is held out of training."""

    candidate: Candidate
    seed: int
    is_final: bool = False


# The worth of trials that have ended, more being better; minus infinity where a run diverged.
Worths = Mapping[Trial, float]
# The same of one stage: {candidate: {seed: worth}}.
Table = Mapping[Candidate, Mapping[int, float]]


@dataclass(frozen=True)
class Rules:
    """What docs/decide.md leaves to numbers. margin: the least difference that counts; error: of the race, and of the final.

    most_rungs: how many doublings the grid may go away from the first peak; contenders: how many of a kind the race goes on
    with; race_seeds, final_seeds: the seeds of the two stages; looks: with how many of the latter the finalists are looked at.
    """

    margin: float
    error: float = 0.05
    most_rungs: int = 6
    contenders: int = 4
    race_seeds: tuple[int, ...] = (1, 2, 3)
    first_final_seed: int = 11
    looks: tuple[int, ...] = LOOKS

    @property
    def final_seeds(self) -> tuple[int, ...]:
        """Those of the final, all of them."""
        return tuple(range(self.first_final_seed, self.first_final_seed + self.looks[-1]))


def table(worths: Worths, is_final: bool) -> dict[Candidate, dict[int, float]]:
    """The worths of a stage, candidate by candidate, in the order in which the trials ended."""
    found: dict[Candidate, dict[int, float]] = {}
    for trial, worth in worths.items():
        if trial.is_final == is_final:
            found.setdefault(trial.candidate, {})[trial.seed] = worth
    return found


def simplest_first(families: Sequence[Family]) -> list[Family]:
    """Families by kind, and within a kind as they were named."""
    return sorted(families, key=lambda family: KINDS.index(family.kind))
