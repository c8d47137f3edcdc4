"""The words and figures of a verdict and of an advice, for the page and the summary alike."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from clrbench.analysis.advice import Advice
from clrbench.analysis.claims import BELOW, EQUAL, FINDS, HIGHER, REACHES, Claim
from clrbench.analysis.verdicts import Verdict
from clrbench.report.contents import origin

_RULES = {
    HIGHER: "the treatment is better, by two tests at the level 0.05",
    EQUAL: "the difference lies within {margin:g} points either way (TOST), by two tests at the level 0.05",
    REACHES: "the control's final accuracy is reached within {share:.0%} of its iterations by most seeds (sign test, 0.05)",
    BELOW: "the cost is below {margin:g} percent, by two tests at the level 0.05",
    FINDS: "the range test is clear, and both of its bounds are within the stated factor of the paper's",
}


@dataclass(frozen=True)
class VerdictRow:
    """One verdict in words; `values` are its numbers seed by seed."""

    id: str
    says: str
    verdict: str
    kind: str
    reason: str
    measured: str
    paper: str
    seeds: str
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
    values: pl.DataFrame


def verdict_row(verdict: Verdict) -> VerdictRow:
    """The row of a verdict."""
    case, claim = verdict.case, verdict.claim
    seeds = len(case.values)
    count = [f"{seeds} seed{'' if seeds == 1 else 's'} here"] if seeds and claim.relation != BELOW else []
    return VerdictRow(
        id=claim.id,
        says=claim.says,
        verdict=verdict.verdict,
        kind=verdict.verdict.replace(" ", "-"),
        reason=verdict.reason,
        measured=_measured(verdict),
        paper=_paper(claim),
        seeds=str(seeds) if seeds else "",
        experiment="; ".join([case.experiment, *case.differs]),
        origin=origin(case.source),
        source=claim.source,
        rule=_RULES[claim.relation].format(margin=claim.margin, share=claim.share),
        tests=_tests(verdict),
        missing=tuple(case.differs),
        differs=(*case.differs, *case.family.differs, *count),
        open=tuple(claim.open),
        notes=tuple(case.notes),
        command=case.command,
        values=_values(verdict),
    )


def _measured(verdict: Verdict) -> str:
    if verdict.case.ramps:
        return verdict.reason.partition(":")[0]
    if verdict.mean is None:
        return ""
    relation = verdict.claim.relation
    if relation == REACHES:
        within = sum(value <= verdict.claim.share for value in verdict.case.values.values())
        return f"{within} of {len(verdict.case.values)} seeds"
    if not math.isfinite(verdict.mean):
        return "runs diverged"
    unit, sign = ("%", "") if relation == BELOW else (" points", "+")
    spread = "" if verdict.interval is None else " [" + ", ".join(f"{end:{sign}.2f}" for end in verdict.interval) + "]"
    return f"{verdict.mean:{sign}.2f}{unit}{spread}"


def _paper(claim: Claim) -> str:
    if claim.bounds is not None:
        return f"{claim.bounds.base_lr:g} and {claim.bounds.max_lr:g}"
    treatment, control = claim.treatment.paper, claim.control.paper
    if treatment is None or control is None:
        return ""
    return f"{treatment:.1f}% against {control:.1f}% ({treatment - control:+.1f})"


def _tests(verdict: Verdict) -> str:
    if verdict.p is None or verdict.exact is None or verdict.least is None:
        return ""
    against = " for the opposite" if verdict.verdict == "fails" else ""
    name = "sign test" if verdict.claim.relation == REACHES else "t test"
    return (
        f"{name}{against}: p = {_p(verdict.p)} (Holm); exact test by signs: p = {_p(verdict.exact)}, "
        f"the least that n = {len(verdict.case.values)} allows being {_p(verdict.least)}"
    )


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "below 0.001"


def _values(verdict: Verdict) -> pl.DataFrame:
    """Seed by seed: treatment, control (percent), and what is judged."""
    case, relation = verdict.case, verdict.claim.relation
    if relation == BELOW:
        return pl.DataFrame({"repetition": list(case.values), "cost, %": list(case.values.values())})
    judged = "share of the iterations" if relation == REACHES else "difference"
    seeds = sorted({*case.treatment, *case.control})
    if not seeds:
        return pl.DataFrame()
    columns: Mapping[str, Any] = {
        "seed": seeds,
        "treatment, %": [case.treatment.get(seed) for seed in seeds],
        "control, %": [case.control.get(seed) for seed in seeds],
        judged: [case.values.get(seed) for seed in seeds],
    }
    return pl.DataFrame(columns, schema={name: pl.Int64 if name == "seed" else pl.Float64 for name in columns})


def advice_title(advice: Advice) -> str:
    """What an advice is about."""
    where = ", ".join(filter(None, (advice.experiment, advice.optimizer, advice.arithmetic, origin(advice.source))))
    return f"{advice.model} on {advice.data}" + (f" ({where})" if advice.source else "")
