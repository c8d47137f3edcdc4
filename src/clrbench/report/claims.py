"""The claims as one table for readers: a row a claim with its best-founded verdict, settled or open, and why.

The other verdicts on the same claim, at another length, in another arithmetic or order of images, are the row's variants.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from clrbench.analysis.claims import BELOW, EQUAL, FINDS, HIGHER, REACHES
from clrbench.analysis.runs import OWN
from clrbench.analysis.stats import least_p
from clrbench.analysis.verdicts import ALPHA, FAILS, HOLDS, INCONCLUSIVE, NOT_RUN, SHUFFLED, Case, Verdict
from clrbench.report.rows import VerdictRow, verdict_row

# The source of claims that are not the paper's.
OURS = "this suite"


@dataclass(frozen=True)
class ClaimRow:
    """A claim with what is known of it from one source. why: the reason where the verdict alone would surprise."""

    verdict: Verdict
    row: VerdictRow
    why: str
    variants: Sequence[VerdictRow]

    @property
    def anchor(self) -> str:
        """Where links to the claim lead."""
        return self.row.id.lower() + ("-yours" if self.verdict.source == OWN else "")

    @property
    def is_settled(self) -> bool:
        """Whether the verdict is yes or no."""
        return self.verdict.verdict in (HOLDS, FAILS)

    @property
    def is_of_the_paper(self) -> bool:
        """Whether the claim is the paper's."""
        return self.verdict.claim.source != OURS


@dataclass(frozen=True)
class ClaimTable:
    """All claims, in groups. few: run with so few seeds that nothing can be settled; waiting: not run at all."""

    settled: Sequence[ClaimRow]
    open: Sequence[ClaimRow]
    few: Sequence[ClaimRow]
    waiting: Sequence[ClaimRow]

    @property
    def judged(self) -> list[ClaimRow]:
        """The claims that runs bear on."""
        return [*self.settled, *self.open, *self.few]


def claim_table(verdicts: Sequence[Verdict]) -> ClaimTable:
    """Group the verdicts: see the module. A user's own runs have rows of their own."""
    groups: dict[tuple[str, str], list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        groups[verdict.claim.id, verdict.source].append(verdict)
    rows = []
    for (claim, source), members in groups.items():
        if not source and any(other == claim and its for other, its in groups):
            continue  # what is not run stands among the variants of what is
        best, *others = sorted(members, key=_foundation, reverse=True)
        others += [verdict for verdict in groups.get((claim, ""), []) if source]
        why = _why(best, _family_size(best, verdicts))
        rows.append(ClaimRow(best, verdict_row(best), why, [verdict_row(verdict) for verdict in others]))
    judged = [row for row in rows if row.verdict.verdict != NOT_RUN]
    founded = [row for row in judged if not row.verdict.has_too_few_seeds]
    return ClaimTable(
        settled=[row for row in founded if row.is_settled],
        open=[row for row in founded if not row.is_settled],
        few=[row for row in judged if row.verdict.has_too_few_seeds],
        waiting=[row for row in rows if row.verdict.verdict == NOT_RUN],
    )


def _foundation(verdict: Verdict) -> tuple[bool, bool, int, int, bool, int]:
    """How much a verdict is worth: judged, by enough seeds, in the paper's setting, most seeds, the paper's order, newest."""
    case = verdict.case
    others = [words for words in case.differs if words != SHUFFLED]
    return (
        verdict.verdict != NOT_RUN,
        not verdict.has_too_few_seeds,
        -len(others) - (case.experiment != (verdict.claim.experiments or [case.experiment])[0]),
        len(case.values) or len(case.ramps),
        SHUFFLED not in case.differs,
        case.schema,
    )


def _family_size(verdict: Verdict, verdicts: Iterable[Verdict]) -> int:
    """How many claims share the risk of a wrong verdict with this one."""

    def kind(case: Case) -> tuple[object, ...]:
        return case.family.name, case.source, case.experiment, tuple(case.differs), case.schema

    return sum(bool(other.case.values) and kind(other.case) == kind(verdict.case) for other in verdicts)


def _why(verdict: Verdict, family: int) -> str:
    """Why a verdict is what it is, in one sentence."""
    case, claim = verdict.case, verdict.claim
    if verdict.verdict == NOT_RUN:
        return verdict.reason
    if claim.relation == FINDS:
        return "" if verdict.verdict != INCONCLUSIVE else "the range test calls its own answer weak"
    if verdict.has_too_few_seeds:
        seeds = f"{len(case.values)} seed{'' if len(case.values) == 1 else 's'}"
        return f"{seeds} cannot settle anything: it takes at least {_seeds_for(1)}"
    if verdict.verdict != INCONCLUSIVE:
        return _settled(verdict)
    return _open(verdict, family)


def _settled(verdict: Verdict) -> str:
    claim, holds = verdict.claim, verdict.verdict == HOLDS
    return {
        EQUAL: f"{'within' if holds else 'beyond'} the {claim.margin:g} points that count as equal",
        HIGHER: "" if holds else f"the gain is below the {claim.margin:g} points that count",
        REACHES: "",
        BELOW: "",
    }[claim.relation]


def _open(verdict: Verdict, family: int) -> str:
    claim, seeds = verdict.claim, len(verdict.case.values)
    if claim.relation == REACHES:
        if least_p(seeds) * family <= ALPHA:
            return "the seeds do not agree"
        return (
            f"{seeds} seeds cannot settle a yes-or-no claim of {family} that are judged together: "
            f"it takes {_seeds_for(family)}, all alike"
        )
    if verdict.interval is None or verdict.mean is None or not math.isfinite(verdict.mean):
        return "runs diverged, so only the signs of the differences count"
    low, high = verdict.interval
    limits = {EQUAL: (-claim.margin, claim.margin), BELOW: (claim.margin,), HIGHER: (0.0,)}[claim.relation]
    crossed = [limit for limit in limits if low <= limit <= high]
    if not crossed:
        return f"clear on its own, but not as one of {family} claims that are judged together"
    return {
        HIGHER: "the interval includes 0",
        BELOW: f"the interval includes the limit of {claim.margin:g}%",
        EQUAL: f"equal means within {claim.margin:g} points, and the interval lies on both sides of that limit",
    }[claim.relation]


def _seeds_for(family: int) -> int:
    """How many seeds that all agree settle a claim among so many of a family."""
    return math.ceil(math.log2(family / ALPHA))
