"""The claims of an experiment, looked at with more and more seeds until they are settled: the rule is in docs/report.md."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clrbench import stats
from clrbench.analysis.cases import Case
from clrbench.analysis.claims import Claim, ClaimFamily, read_families
from clrbench.analysis.relations import FAILS, HOLDS, Tested, relation_of
from clrbench.decision.sequential import LOOKS, one_sided_level, repeated_interval
from clrbench.stats import ALPHA, NO_DIFFERENCE, OPEN


@dataclass(frozen=True)
class Asked:
    """A claim that seeds can settle."""

    claim: Claim
    family: ClaimFamily
    relation: Tested


def asked_of(experiment: str, conf: Path) -> tuple[list[Asked], list[Claim]]:
    """The claims of CONF/claims about an experiment that seeds can settle, and those that they cannot."""
    found, others = [], []
    for family in read_families(conf):
        for claim in family.claims:
            if experiment in claim.experiments:
                relation = relation_of(claim, family)
                if isinstance(relation, Tested) and claim.cost is None and not claim.missing:
                    found.append(Asked(claim, family, relation))
                else:
                    others.append(claim)
    return found, others


@dataclass
class Looks:
    """How claims stand after the looks that have been taken: HOLDS, FAILS, NO_DIFFERENCE or OPEN, by their ids."""

    asked: Sequence[Asked]
    looks: tuple[int, ...] = LOOKS
    stands: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Before the first look, all are open."""
        self.stands = {one.claim.id: OPEN for one in self.asked}

    @property
    def open(self) -> list[Asked]:
        """Those that more seeds may settle."""
        return [one for one in self.asked if self.stands[one.claim.id] == OPEN]

    def look(self, number: int, values: Mapping[str, Sequence[float]]) -> None:
        """Take the look with `number` seeds. values: by claim, what is judged of these seeds, fewer where pairs are missing."""
        for verdict in (HOLDS, FAILS):
            while shown := next((one for one in self.open if self._shows(verdict, one, number, values[one.claim.id])), None):
                self.stands[shown.claim.id] = verdict
        for one in self.open:
            if one.relation.p_does_not_matter(values[one.claim.id], one.claim) <= one_sided_level(self.looks, ALPHA, number):
                self.stands[one.claim.id] = NO_DIFFERENCE

    def _shows(self, verdict: str, one: Asked, number: int, values: Sequence[float]) -> bool:
        """Whether a claim holds, or fails, at the level that Holm grants after those that do so already."""
        p_value = one.relation.p_holds if verdict == HOLDS else one.relation.p_fails
        rejected = list(self.stands.values()).count(verdict)
        allowed = one_sided_level(self.looks, ALPHA / (len(self.asked) - rejected), number)
        return p_value(values, one.claim, stats.p_above) <= allowed and p_value(values, one.claim, stats.exact_p_above) <= ALPHA

    def words(self, one: Asked, number: int, case: Case | None) -> str:
        """How a claim stands, in a line. case: the runs of the look, None where no pair has ended."""

        def interval(values: Sequence[float]) -> tuple[float, float] | None:
            is_told = len(values) > 1 and all(map(math.isfinite, values))
            return repeated_interval(values, self.looks, ALPHA, number) if is_told else None

        measured = "no pair of runs has ended" if case is None else one.relation.measured(case, interval)
        return f"{one.claim.id}: {self.stands[one.claim.id]} with {number} seeds: {measured} ({one.claim.says})"
