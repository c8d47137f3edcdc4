"""The claims as one table for readers: a row a claim with its best-founded verdict, settled or open, and why.

The other verdicts on the same claim, at another length, in another arithmetic or order of images, are the row's variants.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from clrbench.analysis.cases import SHUFFLED
from clrbench.analysis.relations import FAILS, HOLDS, NOT_RUN
from clrbench.analysis.verdicts import Verdict
from clrbench.report.verdict_rows import VerdictRow, verdict_row
from clrbench.runs import OWN
from clrbench.stats import ALPHA, seeds_needed

# How the sources of claims begin that are not the paper's: the suite's own, and those of other papers.
OTHERS = ("this suite", "arXiv:")


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
        return not self.verdict.claim.source.startswith(OTHERS)


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
        why = _why(best)
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


def _why(verdict: Verdict) -> str:
    """Why a verdict is what it is, in one sentence."""
    if verdict.verdict == NOT_RUN or not (verdict.case.values or verdict.case.ramps):
        return verdict.reason
    if verdict.has_too_few_seeds:
        seeds = len(verdict.case.values)
        return f"{seeds} seed{'' if seeds == 1 else 's'} cannot settle anything: it takes at least {seeds_needed(1, ALPHA)}"
    return verdict.relation.why(verdict.claim, verdict.verdict, verdict.case, verdict.family)
