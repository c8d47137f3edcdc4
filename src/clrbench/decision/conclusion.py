"""What a decision that is over says: which candidate, what it gains, and what one loses at most if that is wrong."""

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from clrbench.decision.final import Final
from clrbench.decision.peaks import is_at_the_edge
from clrbench.decision.race import flat_rungs, regret_bound
from clrbench.decision.strategy import DecisionState
from clrbench.decision.trials import CYCLICAL, FIXED, Candidate, Family, Rules, Table
from clrbench.decision.tuning import expected_best
from clrbench.stats import BETTER, EQUAL

CYCLE, KEEP, TAKE = "use CLR", "keep the fixed rate", "take"
TRIALS = (1, 2, 5, 10, 20)


@dataclass(frozen=True)
class Gain:
    """How much more `one` is worth than `other` on fresh seeds: the mean, its 95% repeated interval, of how many seeds.

    relation: what the first is beside the second. Infinite where a run diverged.
    """

    one: Candidate
    other: Candidate
    mean: float
    low: float
    high: float
    seeds: int
    relation: str


@dataclass(frozen=True)
class Conclusion:
    """worth: the mean of the chosen one on fresh seeds. gains: of the more complex finalist of each pair over the simpler one.

    is_settled: whether no other finalist can be better by the margin. equals: finalists from which no difference that matters
    parts it. regret_beside_finalists, regret_beside_all: upper bounds, the second on held-out data, None where the noise is
    not known. flat: the lowest and the highest rung of its family around it that lose no more than the margin. edges: families
    whose best lies at the edge of their grid. price: {family: expected best after each of TRIALS}.
    """

    chosen: Candidate
    fixed: Candidate | None
    worth: float
    is_settled: bool
    equals: Sequence[Candidate]
    gains: Sequence[Gain]
    regret_beside_finalists: float
    regret_beside_all: float | None
    flat: tuple[int, int]
    edges: Sequence[Family]
    price: Mapping[Family, Sequence[float]]

    @property
    def verdict(self) -> str:
        """CYCLE, KEEP, or TAKE and the family's name."""
        if self.chosen.family.kind == FIXED:
            return KEEP
        over_fixed = self.over_fixed
        is_better = over_fixed is not None and over_fixed.relation == BETTER
        return CYCLE if self.chosen.family.kind == CYCLICAL and is_better else f"{TAKE} {self.chosen.family.name}"

    @property
    def over_fixed(self) -> Gain | None:
        """What the chosen one gains over the best fixed rate; None where it is that, or there is none."""
        return next((gain for gain in self.gains if (gain.one, gain.other) == (self.chosen, self.fixed)), None)


def conclusion_of(state: DecisionState, rules: Rules) -> Conclusion:
    """The answer of a decision whose final has had a look at least."""
    final = state.final
    assert final is not None
    chosen, firsts = final.chosen, _with_first_seed(state.screened, rules)
    return Conclusion(
        chosen=chosen,
        fixed=next((one for one in final.finalists if one.family.kind == FIXED), None),
        worth=fmean(final.worths(chosen, final.seeds[chosen])),
        is_settled=final.is_settled,
        equals=[one for one in final.left if one != chosen and final.relation(one, chosen) == EQUAL],
        gains=[_gain(final, later, earlier) for earlier, later in itertools.combinations(final.finalists, 2)],
        regret_beside_finalists=final.regret_bound,
        regret_beside_all=regret_bound(state.screened, chosen, state.noise, rules.error) if state.noise else None,
        flat=flat_rungs(state.screened, chosen, rules.margin),
        edges=[family for family, worths in firsts.items() if is_at_the_edge(worths) or _is_outermost(chosen, family, worths)],
        price={family: _price(worths) for family, worths in firsts.items()},
    )


def _gain(final: Final, one: Candidate, other: Candidate) -> Gain:
    differences = final.differences(one, other)
    low, high = final.interval(one, other, final.rules.error)
    mean = fmean(differences) if all(map(math.isfinite, differences)) else math.nan
    return Gain(one, other, mean, low, high, len(differences), final.relation(one, other))


def _with_first_seed(screened: Table, rules: Rules) -> dict[Family, dict[int, float]]:
    """{family: {rung: worth with the first seed}}."""
    found: dict[Family, dict[int, float]] = {}
    for one, worths in screened.items():
        found.setdefault(one.family, {})[one.rung] = worths[rules.race_seeds[0]]
    return found


def _is_outermost(chosen: Candidate, family: Family, rungs: Collection[int]) -> bool:
    """Whether more seeds chose the lowest or the highest peak that its family was tried at."""
    return chosen.family == family and chosen.rung in (min(rungs), max(rungs))


def _price(worths: Mapping[int, float]) -> list[float]:
    """Without the peaks at which runs diverged, which nobody would take."""
    finite = [worth for worth in worths.values() if math.isfinite(worth)]
    return [expected_best(finite, trials) for trials in TRIALS] if finite else []
