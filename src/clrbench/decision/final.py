"""The final: which of at most three finalists is better, worse or equal, by looks at more and more fresh seeds."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean

from clrbench.decision.sequential import repeated_interval
from clrbench.decision.trials import Candidate, Rules, Table
from clrbench.stats import BETTER, EQUAL, OPEN, WORSE

_MIRRORED = {BETTER: WORSE, WORSE: BETTER}
_REJECTED = (BETTER, WORSE)
Pair = tuple[Candidate, Candidate]


@dataclass
class Final:
    """How the finalists stand, the simplest first, after the looks that have been taken.

    relations: of every pair, what the first is beside the second; seeds: how many each has been looked at with; left: those
    that none has shown worse; diverged: those that left for a run without a worth.
    """

    values: Table
    finalists: Sequence[Candidate]
    rules: Rules
    relations: dict[Pair, str] = field(default_factory=dict)
    seeds: dict[Candidate, int] = field(default_factory=dict)
    left: list[Candidate] = field(default_factory=list)
    diverged: list[Candidate] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Take every look that has its seeds, until the final is over."""
        self.relations = dict.fromkeys(itertools.combinations(self.finalists, 2), OPEN)
        self.left = list(self.finalists)
        while not self.is_over and not self.lacking:
            self._look(self.next_look)

    @property
    def next_look(self) -> int:
        """With how many seeds the next look is taken."""
        return next(look for look in self.rules.looks if look > max(self.seeds.values(), default=0))

    @property
    def lacking(self) -> list[tuple[Candidate, int]]:
        """The seeds that the next look lacks."""
        seeds = self.rules.final_seeds[: self.next_look]
        return [(one, seed) for one in self.left for seed in seeds if seed not in self.values.get(one, {})]

    @property
    def is_over(self) -> bool:
        """Whether no seed more is needed: no pair is open, or the last look is taken."""
        return bool(self.seeds) and (not self._open() or max(self.seeds.values()) == self.rules.looks[-1])

    @property
    def chosen(self) -> Candidate:
        """The one that is left with the best mean; of those equal to it, the simplest."""
        leader = max(self.left, key=lambda one: fmean(self.worths(one, self.seeds[one])))
        return next(one for one in self.left if one == leader or self.relation(one, leader) == EQUAL)

    @property
    def regret_bound(self) -> float:
        """How much more than the chosen one another finalist is worth at most; those that diverged are left out."""
        others = [one for one in self.finalists if one not in (self.chosen, *self.diverged)]
        return max([0.0, *(self.interval(one, self.chosen, self.rules.error)[1] for one in others)])

    @property
    def is_settled(self) -> bool:
        """Whether no other finalist can be better than the chosen one by as much as counts."""
        return self.regret_bound < self.rules.margin

    def relation(self, one: Candidate, other: Candidate) -> str:
        """What the first is beside the second."""
        if (one, other) in self.relations:
            return self.relations[one, other]
        found = self.relations[other, one]
        return _MIRRORED.get(found, found)

    def worths(self, one: Candidate, number: int) -> list[float]:
        """Its worths with the first seeds."""
        return [self.values[one][seed] for seed in self.rules.final_seeds[:number]]

    def differences(self, one: Candidate, other: Candidate) -> list[float]:
        """How much more the first is worth, over the seeds that both have been looked at with."""
        number = min(self.seeds[one], self.seeds[other])
        return [mine - theirs for mine, theirs in zip(self.worths(one, number), self.worths(other, number), strict=True)]

    def interval(self, one: Candidate, other: Candidate, level: float) -> tuple[float, float]:
        """The repeated interval of their mean; without bounds where one of the two diverged."""
        differences = self.differences(one, other)
        if not all(map(math.isfinite, differences)):
            return -math.inf, math.inf
        return repeated_interval(differences, self.rules.looks, level)

    def _open(self) -> list[Pair]:
        return [pair for pair, relation in self.relations.items() if relation == OPEN and set(pair) <= set(self.left)]

    def _look(self, number: int) -> None:
        self.seeds |= dict.fromkeys(self.left, number)
        self._drop_the_diverged()
        pairs = [pair for pair in self._open() if not self._is_equal(pair)]
        while rejected := next((pair for pair in pairs if self._is_rejected(pair)), None):
            pairs.remove(rejected)
        worse = [pair[relation == BETTER] for pair, relation in self.relations.items() if relation in _REJECTED]
        self.left = [one for one in self.left if one not in worse]

    def _drop_the_diverged(self) -> None:
        """Of finalists of which runs diverged, none stays beside one of which fewer did."""
        lost = {one: self.worths(one, self.seeds[one]).count(-math.inf) for one in self.left}
        fewest = min(lost.values())
        self.diverged += [one for one in self.left if lost[one] > fewest]
        self.left = [one for one in self.left if lost[one] == fewest]

    def _is_equal(self, pair: Pair) -> bool:
        low, high = self.interval(*pair, self.rules.error)
        if -self.rules.margin < low and high < self.rules.margin:
            self.relations[pair] = EQUAL
        return self.relations[pair] == EQUAL

    def _is_rejected(self, pair: Pair) -> bool:
        """Whether one of the two is better, at the level that Holm grants after what was rejected before."""
        rejected = sum(relation in _REJECTED for relation in self.relations.values())
        low, high = self.interval(*pair, self.rules.error / (len(self.relations) - rejected))
        if low > 0 or high < 0:
            self.relations[pair] = BETTER if low > 0 else WORSE
        return self.relations[pair] in _REJECTED
