"""Whether the claims hold: runs become verdicts by RULE, which was fixed before the runs."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from clrbench import stats
from clrbench.analysis.cases import Case
from clrbench.analysis.claims import Claim, ClaimFamily, read_families
from clrbench.analysis.relations import FAILS, HOLDS, INCONCLUSIVE, NOT_RUN, Finds, Relation, Tested, relation_of
from clrbench.runs import Run
from clrbench.stats import ALPHA

# The page prints it.
RULE = """\
Whether the claims hold: the rule by which runs become verdicts. It was fixed before the runs.

A claim is judged from the differences between the runs of its two sides that have the same seed, hence the same initial
weights and batches. It `holds` if two tests say so at the level 0.05: the t test (for `equal`, two one-sided ones: TOST),
adjusted by Holm for all claims of its family; and the exact test by changes of sign, unadjusted, which trusts no
distribution but needs five seeds at least. It `fails` if both say the opposite: that the treatment is not better by as much
as counts, or differs by more than the margin. Else it is `inconclusive`. Without runs on both sides it is `not run`.
"""


@dataclass(frozen=True)
class Verdict:
    """What the runs say about a claim.

    measured: what they show, in words. mean and interval are of the case's values; p is that of the t test for the claim,
    adjusted for the family, exact that of the exact test, least the smallest that so many seeds allow. All are None where
    there is nothing to judge. family: how many claims were adjusted together.
    """

    case: Case
    verdict: str
    reason: str
    measured: str = ""
    mean: float | None = None
    interval: tuple[float, float] | None = None
    p: float | None = None
    exact: float | None = None
    least: float | None = None
    family: int = 0

    @property
    def claim(self) -> Claim:
        """The claim."""
        return self.case.claim

    @property
    def relation(self) -> Relation:
        """What the claim says of its two sides."""
        return relation_of(self.claim, self.case.family)

    @property
    def has_too_few_seeds(self) -> bool:
        """Whether so few seeds could have settled nothing."""
        return self.least is not None and self.least > ALPHA

    @property
    def source(self) -> str:
        """`evidence` that ships with the project, or a user's own `runs`; empty where there are none."""
        return self.case.source

    @property
    def experiment(self) -> str:
        """The experiment whose runs were judged, or that would settle the claim."""
        return self.case.experiment


def judge_all(runs: Sequence[Run], conf: Path, results: Path) -> list[Verdict]:
    """A verdict on each claim of CONF/claims from each source, experiment and setting that has runs for it, else `not run`."""
    runs = [run for run in runs if run.is_of_images]
    verdicts = [verdict for family in read_families(conf) for verdict in judge_family(family, runs, results)]
    return sorted(verdicts, key=lambda verdict: _order(verdict.claim))


def _order(claim: Claim) -> tuple[str, int]:
    """By letter, the paper's C first, then by number."""
    digits = re.search(r"\d+", claim.id)
    return claim.id[:1], int(digits[0]) if digits else 0


def judge_family(family: ClaimFamily, runs: Sequence[Run], results: Path) -> list[Verdict]:
    """The verdicts on one family's claims, in the order of the file."""
    cases: list[Case] = []
    for claim in family.claims:
        lacking = [Case(claim, family, "", "")] if claim.missing else []
        cases += lacking or relation_of(claim, family).cases(claim, family, runs, results)
    groups: dict[tuple[Any, ...], list[Case]] = defaultdict(list)
    for case in cases:
        if case.values:
            groups[case.source, case.experiment, tuple(case.differs), case.schema].append(case)
    adjusted: dict[int, tuple[float, float, int]] = {}
    for group in groups.values():
        both = [_p_values(case, stats.p_above) for case in group]
        p_holds, p_fails = (stats.holm(values) for values in zip(*both, strict=True))
        for case, holds, fails in zip(group, p_holds, p_fails, strict=True):
            adjusted[id(case)] = holds, fails, len(group)
    return [_judged(case, adjusted.get(id(case))) for case in cases]


def _p_values(case: Case, test: Any) -> tuple[float, float]:
    """The p-values for the claim and for its opposite."""
    relation, values = relation_of(case.claim, case.family), list(case.values.values())
    assert isinstance(relation, Tested)
    return relation.p_holds(values, case.claim, test), relation.p_fails(values, case.claim, test)


def _judged(case: Case, adjusted: tuple[float, float, int] | None) -> Verdict:
    relation = relation_of(case.claim, case.family)
    if isinstance(relation, Finds) and case.ramps:
        verdict, reason = relation.verdict(case.claim, case)
        return Verdict(case, verdict, reason, relation.measured(case))
    if adjusted is None:
        return _not_run(case)
    assert isinstance(relation, Tested)
    exact, values = _p_values(case, stats.exact_p_above), list(case.values.values())
    *p_adjusted, family = adjusted
    holds, fails = (max(both) <= ALPHA for both in zip(p_adjusted, exact, strict=True))
    verdict = HOLDS if holds else FAILS if fails else INCONCLUSIVE
    p_values = (p_adjusted[1], exact[1]) if verdict == FAILS else (p_adjusted[0], exact[0])
    reason, least = relation.reason(case.claim, case), stats.least_p(len(values))
    if verdict == INCONCLUSIVE and least > ALPHA:
        reason += "; too few to tell"
    interval = stats.interval(values)
    return Verdict(case, verdict, reason, relation.measured(case), fmean(values), interval, *p_values, least, family)


def _not_run(case: Case) -> Verdict:
    if case.claim.missing:
        return Verdict(case, NOT_RUN, case.claim.missing)
    if case.notes and case.treatment and case.control:
        return Verdict(case, INCONCLUSIVE, "; ".join(case.notes))
    lacking = [name for name, side in (("treatment", case.treatment), ("control", case.control)) if not side]
    what = f"no run of the {' and the '.join(lacking)}" if lacking else "no seed that both sides share"
    if "control" in lacking and case.claim.control.best_of:
        what = f"{what}, which takes a seed that {', '.join(case.claim.control.best_of)} share"
    return Verdict(case, NOT_RUN, what if case.claim.cost is None else "not measured")
