"""The words and figures of a verdict, for the page and the summary alike."""

from dataclasses import dataclass

import polars as pl

from clrbench.analysis.relations import FAILS, NOT_RUN, Tested
from clrbench.analysis.verdicts import Verdict
from clrbench.checkout import here
from clrbench.report.contents import origin
from clrbench.runs import Run


@dataclass(frozen=True)
class VerdictRow:
    """One verdict in words; `values` are its numbers seed by seed.

    command: what settles the claim as the paper has it. is_unfounded: whether there are no runs, or too few, to settle it.
    runs: those that were judged, each with a command of its own.
    """

    id: str
    says: str
    verdict: str
    kind: str
    reason: str
    measured: str
    paper: str
    experiment: str
    origin: str
    source: str
    rule: str
    tests: str
    missing: tuple[str, ...]
    differs: tuple[str, ...]
    open: tuple[str, ...]
    notes: tuple[str, ...]
    command: str
    is_unfounded: bool
    runs: tuple[Run, ...]
    values: pl.DataFrame


def verdict_row(verdict: Verdict) -> VerdictRow:
    """The row of a verdict."""
    case, claim, relation = verdict.case, verdict.claim, verdict.relation
    seeds = len(case.values)
    count = [f"{seeds} seed{'' if seeds == 1 else 's'} here"] if seeds and relation.counted == "seed" else []
    return VerdictRow(
        id=claim.id,
        says=claim.says,
        verdict=verdict.verdict,
        kind=verdict.verdict.replace(" ", "-"),
        reason=verdict.reason,
        measured=verdict.measured,
        paper=relation.papers(claim),
        experiment="; ".join([case.experiment, *case.differs]),
        origin=origin(case.source),
        source=claim.source,
        rule=relation.rule(claim),
        tests=_tests(verdict),
        missing=tuple(case.differs),
        differs=(*case.differs, *case.family.differs, *count),
        open=tuple(claim.open),
        notes=tuple(case.notes),
        command=here(case.command),
        is_unfounded=verdict.verdict == NOT_RUN or verdict.has_too_few_seeds,
        runs=tuple(case.runs),
        values=relation.table(case) if isinstance(relation, Tested) else pl.DataFrame(),
    )


def _tests(verdict: Verdict) -> str:
    if verdict.p is None or verdict.exact is None or verdict.least is None or not isinstance(verdict.relation, Tested):
        return ""
    against = " for the opposite" if verdict.verdict == FAILS else ""
    return (
        f"{verdict.relation.test_name}{against}: p = {_p(verdict.p)} (Holm); exact test by signs: p = {_p(verdict.exact)}, "
        f"the least that n = {len(verdict.case.values)} allows being {_p(verdict.least)}"
    )


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "below 0.001"
