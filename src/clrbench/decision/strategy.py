"""From the worths of the trials that have ended to the trials that are wanted next: peaks, then the race, then the final."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean

from clrbench.decision.final import Final
from clrbench.decision.peaks import START, next_rung
from clrbench.decision.race import Noise, noise, not_clearly_worse
from clrbench.decision.trials import KINDS, Candidate, Family, Rules, Table, Trial, Worths, simplest_first, table

PEAKS, RACE, FINAL, OVER = "peaks", "race", "final", "over"
# The rung at which every family runs with two seeds before anything is chosen.
_FIRST = 0


@dataclass(frozen=True)
class DecisionState:
    """How far a decision is. stage: that of the wanted trials; final: None before it has begun.

    screened: what all candidates are worth on what is held out; noise: of these, None where it is not known.
    """

    stage: str
    wanted: Sequence[Trial]
    screened: Table = field(default_factory=dict)
    noise: Noise | None = None
    final: Final | None = None


def state_of(worths: Worths, families: Sequence[Family], rules: Rules) -> DecisionState:
    """How far the decision between `families` is, from the worths of the trials that have been wanted."""
    screened = table(worths, is_final=False)
    if wanted := _peaks(screened, families, rules):
        return DecisionState(PEAKS, wanted, screened)
    race = _Race(screened, rules)
    if race.wanted:
        return DecisionState(RACE, race.wanted, screened, race.noise)
    final = Final(table(worths, is_final=True), race.finalists, rules)
    if final.is_over or len(final.finalists) < 2:
        return DecisionState(OVER, [], screened, race.noise, final)
    return DecisionState(FINAL, [Trial(one, seed, is_final=True) for one, seed in final.lacking], screened, race.noise, final)


def _peaks(screened: Table, families: Sequence[Family], rules: Rules) -> list[Trial]:
    first, second = rules.race_seeds[:2]
    wanted = []
    for family in simplest_first(families):
        tried = {one.rung: worths for one, worths in screened.items() if one.family == family}
        trials = [*((rung, first) for rung in START), (_FIRST, second)]
        lacking = [(rung, seed) for rung, seed in trials if seed not in tried.get(rung, {})]
        if not lacking:
            following = next_rung({rung: worths[first] for rung, worths in tried.items()}, rules.most_rungs)
            lacking = [] if following is None else [(following, first)]
        wanted += [Trial(Candidate(family, rung), seed) for rung, seed in lacking]
    return wanted


class _Race:
    """Within each kind, more seeds for what is not clearly worse than its best. wanted: empty once it is over."""

    def __init__(self, screened: Table, rules: Rules) -> None:
        self._screened, self._rules = screened, rules
        self._left = [ones for kind in KINDS if (ones := [one for one in screened if one.family.kind == kind])]
        # What nobody selected tells the noise first.
        self._told_by = [one for one in screened if one.rung == _FIRST]
        self.noise = noise(self._seen_with(self._told_by, 2), rules.race_seeds[:2])
        self.wanted: list[Trial] = []
        for count, seed in enumerate(rules.race_seeds[1:], start=1):
            self._look(count)
            rivals = [one for ones in self._left if len(ones) > 1 for one in ones]
            self.wanted = [Trial(one, seed) for one in rivals if seed not in screened[one]]
            if self.wanted:
                return
            self._told_by += rivals
        self.noise = noise(screened, rules.race_seeds) or self.noise

    @property
    def finalists(self) -> list[Candidate]:
        """The best of each kind."""
        return [max(ones, key=lambda one: fmean(self._screened[one].values())) for ones in self._left]

    def _look(self, count: int) -> None:
        """Keep of each kind what may be its best, by its first `count` seeds."""
        seeds, looks = self._rules.race_seeds[:count], len(self._rules.race_seeds) - 1
        if count > 1:
            self.noise = noise(self._seen_with(self._told_by, count), seeds) or self.noise
        for place, ones in enumerate(self._left):
            going_on = not_clearly_worse(self._seen_with(ones, count), self.noise, self._rules.error / looks)
            self._left[place] = going_on[: self._rules.contenders]

    def _seen_with(self, ones: Sequence[Candidate], count: int) -> dict[Candidate, dict[int, float]]:
        """The worths with the first `count` seeds, whatever came later."""
        seeds = self._rules.race_seeds[:count]
        return {one: {seed: worth for seed, worth in self._screened[one].items() if seed in seeds} for one in ones}
