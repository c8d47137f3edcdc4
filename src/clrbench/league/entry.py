"""Which trials an entry of the league has on a task, from what those that have ended are worth: docs/league.md."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from clrbench.decision.strategy import FINAL, OVER, PEAKS
from clrbench.decision.trials import Candidate, Family, Trial, Worths, table

CONTENDERS = "contenders"


@dataclass(frozen=True)
class Tuning:
    """The same for every entry. rungs: its peaks, in doublings of the task's first peak; seeds: of the trials on held-out data.

    contenders: how many peaks have more than the first of these seeds; final_seeds: fresh ones, of its runs on the test set.
    """

    rungs: tuple[int, ...] = (-3, -2, -1, 0, 1, 2, 3)
    seeds: tuple[int, ...] = (1, 2, 3)
    contenders: int = 2
    final_seeds: tuple[int, ...] = (11, 12, 13, 14, 15, 16, 17, 18)

    @property
    def trials(self) -> int:
        """Those of an entry before its final."""
        return len(self.rungs) + self.contenders * (len(self.seeds) - 1)


def wanted(worths: Worths, families: Sequence[Family], tuning: Tuning) -> tuple[str, list[Trial]]:
    """The stage of a task, and the trials that it lacks; none when it is over."""
    for stage, trials_of in ((PEAKS, _grid), (CONTENDERS, _more_seeds), (FINAL, _finals)):
        if lacking := [trial for trial in trials_of(worths, families, tuning) if trial not in worths]:
            return stage, lacking
    return OVER, []


def _grid(_: Worths, families: Sequence[Family], tuning: Tuning) -> list[Trial]:
    return [Trial(Candidate(family, rung), tuning.seeds[0]) for family in families for rung in tuning.rungs]


def _more_seeds(worths: Worths, families: Sequence[Family], tuning: Tuning) -> list[Trial]:
    return [Trial(one, seed) for family in families for one in _contenders(worths, family, tuning) for seed in tuning.seeds[1:]]


def _finals(worths: Worths, families: Sequence[Family], tuning: Tuning) -> list[Trial]:
    entries = chosen(worths, families, tuning).values()
    return [Trial(one, seed, is_final=True) for one in entries for seed in tuning.final_seeds]


def chosen(worths: Worths, families: Sequence[Family], tuning: Tuning) -> Mapping[Family, Candidate]:
    """Of each family the contender with the best mean on held-out data; of equal ones the lower peak."""
    screened = table(worths, is_final=False)
    return {
        family: max(
            sorted(_contenders(worths, family, tuning), key=lambda one: one.rung),
            key=lambda one: fmean(screened[one].values()),
        )
        for family in families
    }


def _contenders(worths: Worths, family: Family, tuning: Tuning) -> Sequence[Candidate]:
    """The peaks that did best with the first seed; of equal ones the lower."""
    grid = [Trial(Candidate(family, rung), tuning.seeds[0]) for rung in sorted(tuning.rungs)]
    best = sorted(grid, key=lambda trial: -worths[trial])
    return [trial.candidate for trial in best[: tuning.contenders]]
