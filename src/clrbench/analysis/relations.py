"""What a claim can say of its treatment and its control: a class a relation, with its runs, its test and its words."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import polars as pl

from clrbench import stats
from clrbench.analysis.cases import Case, Pair, benched, compared, range_tested
from clrbench.analysis.claims import Claim, ClaimFamily
from clrbench.analysis.targets import iterations_to_target
from clrbench.errors import ConfigError
from clrbench.range_test.judge import CLEAR
from clrbench.range_test.records import judged
from clrbench.runs import Run
from clrbench.stats import ALPHA

HOLDS, FAILS, INCONCLUSIVE, NOT_RUN = "holds", "fails", "inconclusive", "not run"
BENCH = Path("bench/step.json")
# How the paper reads its bounds off the curve, as far as it says so.
PAPERS_RULE = "rise_and_slow"
Test = Callable[..., float]
Interval = Callable[[Sequence[float]], tuple[float, float] | None]


class Relation(ABC):
    """What all relations share. A claim has one of them by its name in RELATIONS."""

    # What one of a case's values belongs to.
    counted = "seed"

    @abstractmethod
    def cases(self, claim: Claim, family: ClaimFamily, runs: Sequence[Run], results: Path) -> list[Case]:
        """The runs that can settle the claim, a case for each source, experiment and setting."""

    @abstractmethod
    def rule(self, claim: Claim) -> str:
        """When the claim holds."""

    @abstractmethod
    def measured(self, case: Case) -> str:
        """What was measured, with its interval."""

    def papers(self, claim: Claim) -> str:
        """The paper's numbers; empty where it gives none."""
        treatment, control = claim.treatment.paper, claim.control.paper
        if treatment is None or control is None:
            return ""
        return f"{treatment:.1f}% against {control:.1f}% ({treatment - control:+.1f})"

    def why(self, claim: Claim, verdict: str, case: Case, family: int) -> str:
        """Why the verdict is what it is, where that may surprise. family: how many claims are judged together."""
        return self.why_open(claim, case, family) if verdict == INCONCLUSIVE else self.why_settled(claim, verdict)

    def why_settled(self, claim: Claim, verdict: str) -> str:
        """Why it holds or fails."""
        return ""

    @abstractmethod
    def why_open(self, claim: Claim, case: Case, family: int) -> str:
        """Why runs that are enough did not settle it."""


class Tested(Relation):
    """A relation that two tests of paired values decide."""

    test_name = "t test"
    unit, sign = " points", "+"

    def cases(self, claim: Claim, family: ClaimFamily, runs: Sequence[Run], results: Path) -> list[Case]:
        return compared(claim, family, runs, self.value)

    def value(self, pair: Pair) -> float:
        """What is judged of a pair: the difference in percentage points. nan, where both diverged, is left out."""
        return pair.treated - pair.target

    @abstractmethod
    def p_holds(self, values: Sequence[float], claim: Claim, test: Test) -> float:
        """The p-value that speaks for the claim."""

    @abstractmethod
    def p_fails(self, values: Sequence[float], claim: Claim, test: Test) -> float:
        """The p-value that speaks for its opposite."""

    def limits(self, claim: Claim) -> tuple[float, ...]:
        """The values at which the claim stops to hold; none where no interval decides."""
        return ()

    @abstractmethod
    def why_crossed(self, claim: Claim) -> str:
        """What an interval that includes a limit means."""

    def p_does_not_matter(self, values: Sequence[float], claim: Claim) -> float:
        """The p-value that the difference is too small to count, where that is not the claim itself; else 1."""
        return 1.0

    def measured(self, case: Case, interval: Interval = stats.interval) -> str:
        values = list(case.values.values())
        if not all(map(math.isfinite, values)):
            return f"{sum(value < 0 for value in values)} of {len(values)} differences below 0, as runs diverged"
        bounds = interval(values)
        spread = "" if bounds is None else f" [{bounds[0]:{self.sign}.2f}, {bounds[1]:{self.sign}.2f}]"
        return f"{fmean(values):{self.sign}.2f}{self.unit}{spread}"

    def reason(self, claim: Claim, case: Case) -> str:
        """What was measured, and on how many seeds."""
        return f"{self.measured(case)}, {len(case.values)} {self.counted}{'' if len(case.values) == 1 else 's'}"

    def why_open(self, claim: Claim, case: Case, family: int) -> str:
        values = list(case.values.values())
        bounds = stats.interval(values)
        if bounds is None:
            return "runs diverged, so only the signs of the differences count"
        if any(bounds[0] <= limit <= bounds[1] for limit in self.limits(claim)):
            return self.why_crossed(claim)
        exact = min(p(values, claim, stats.exact_p_above) for p in (self.p_holds, self.p_fails))
        if exact > ALPHA:
            return f"the exact test by changes of sign does not agree (p = {exact:.3f})"
        return f"clear on its own, but not as one of {family} claims that are judged together"

    def table(self, case: Case) -> pl.DataFrame:
        """Seed by seed: treatment, control (percent), and what is judged."""
        return _table(case, "difference")


class Higher(Tested):
    """The treatment's accuracy is higher; a gain below the margin does not count."""

    def rule(self, claim: Claim) -> str:
        return "the treatment is better, by two tests at the level 0.05"

    def p_holds(self, values: Sequence[float], claim: Claim, test: Test) -> float:
        return test(values)

    def p_fails(self, values: Sequence[float], claim: Claim, test: Test) -> float:
        return stats.p_below(values, claim.margin, test)

    def p_does_not_matter(self, values: Sequence[float], claim: Claim) -> float:
        return stats.p_within(values, claim.margin) if all(map(math.isfinite, values)) else 1.0

    def limits(self, claim: Claim) -> tuple[float, ...]:
        return (0.0,)

    def why_settled(self, claim: Claim, verdict: str) -> str:
        return "" if verdict == HOLDS else f"the gain is below the {claim.margin:g} points that count"

    def why_crossed(self, claim: Claim) -> str:
        return "the interval includes 0"


class Equal(Tested):
    """The treatment's accuracy differs by at most the margin, in percentage points."""

    def rule(self, claim: Claim) -> str:
        return f"the difference lies within {claim.margin:g} points either way (TOST), by two tests at the level 0.05"

    def p_holds(self, values: Sequence[float], claim: Claim, test: Test) -> float:
        return stats.p_within(values, claim.margin, test)

    def p_fails(self, values: Sequence[float], claim: Claim, test: Test) -> float:
        return stats.p_outside(values, claim.margin, test)

    def limits(self, claim: Claim) -> tuple[float, ...]:
        return -claim.margin, claim.margin

    def why_settled(self, claim: Claim, verdict: str) -> str:
        return f"{'within' if verdict == HOLDS else 'beyond'} the {claim.margin:g} points that count as equal"

    def why_crossed(self, claim: Claim) -> str:
        return f"equal means within {claim.margin:g} points: the interval neither shows that nor rules it out"


class Reaches(Tested):
    """The treatment gets to the accuracy at which the control of its seed ends within a share of the control's iterations."""

    test_name = "sign test"

    def rule(self, claim: Claim) -> str:
        return f"most seeds reach the control's final accuracy within {claim.share:.0%} of its iterations (sign test, 0.05)"

    def value(self, pair: Pair) -> float:
        """The share of the control's iterations that were needed; infinity for a run that never gets there, or diverges."""
        if not math.isfinite(pair.target):
            return math.nan
        if not pair.treatment.is_finished:
            return math.inf
        return iterations_to_target(pair.treatment.course, pair.target) / pair.control.result.iterations

    def p_holds(self, values: Sequence[float], claim: Claim, test: Test) -> float:
        return stats.exact_p_above([math.inf if value <= claim.share else -math.inf for value in values])

    def p_fails(self, values: Sequence[float], claim: Claim, test: Test) -> float:
        return stats.exact_p_above([-math.inf if value <= claim.share else math.inf for value in values])

    def measured(self, case: Case, interval: Interval = stats.interval) -> str:
        within = sum(value <= case.claim.share for value in case.values.values())
        return f"{within} of {len(case.values)} seed{'' if len(case.values) == 1 else 's'} in time"

    def reason(self, claim: Claim, case: Case) -> str:
        return f"{self.measured(case)}, within {claim.share:.0%} of the iterations"

    def why_open(self, claim: Claim, case: Case, family: int) -> str:
        if stats.least_p(len(case.values)) * family <= ALPHA:
            return self.why_crossed(claim)
        return (
            f"{len(case.values)} seeds are too few for yes or no: "
            f"{stats.seeds_needed(family, ALPHA)} that agree settle it, as {family} claims are judged together"
        )

    def why_crossed(self, claim: Claim) -> str:
        return "the seeds do not agree"

    def table(self, case: Case) -> pl.DataFrame:
        return _table(case, "share of the iterations")


class Below(Tested):
    """A cost that `make bench` measures is below the margin, in percent."""

    counted = "repetition"
    unit, sign = "%", ""

    def cases(self, claim: Claim, family: ClaimFamily, runs: Sequence[Run], results: Path) -> list[Case]:
        return [benched(claim, family, results / BENCH)]

    def rule(self, claim: Claim) -> str:
        return f"the cost is below {claim.margin:g} percent, by two tests at the level 0.05"

    def p_holds(self, values: Sequence[float], claim: Claim, test: Test) -> float:
        return stats.p_below(values, claim.margin, test)

    def p_fails(self, values: Sequence[float], claim: Claim, test: Test) -> float:
        return test(values, claim.margin)

    def limits(self, claim: Claim) -> tuple[float, ...]:
        return (claim.margin,)

    def why_crossed(self, claim: Claim) -> str:
        return f"the interval includes the limit of {claim.margin:g}%"

    def table(self, case: Case) -> pl.DataFrame:
        return pl.DataFrame({"repetition": list(case.values), "cost, %": list(case.values.values())})


class Finds(Relation):
    """The range test finds the paper's bounds, each within their factor."""

    def cases(self, claim: Claim, family: ClaimFamily, runs: Sequence[Run], results: Path) -> list[Case]:
        return range_tested(claim, family, runs)

    def rule(self, claim: Claim) -> str:
        return "the range test is clear, and both of its bounds are within the stated factor of the paper's"

    def verdict(self, claim: Claim, case: Case) -> tuple[str, str]:
        """`holds` if both bounds of a clear test are within the factor, `fails` if one's whole interval is not; and why."""
        assert claim.bounds is not None
        paper, found = claim.bounds, judged(case.ramps, PAPERS_RULE).bounds
        pairs = [(found.base_lr, found.base_interval, paper.base_lr), (found.max_lr, found.max_interval, paper.max_lr)]
        near = [rate is not None and _is_within(rate, wanted, paper.factor) for rate, _, wanted in pairs]
        beyond = [
            # The point of the interval that is nearest to the paper's.
            span is not None and not _is_within(min(max(wanted, span[0]), span[1]), wanted, paper.factor)
            for _, span, wanted in pairs
        ]
        verdict = INCONCLUSIVE
        if found.verdict == CLEAR:
            verdict = HOLDS if all(near) else FAILS if any(beyond) else INCONCLUSIVE
        return verdict, f"{self.measured(case)}: {' '.join(found.reasons)}"

    def measured(self, case: Case) -> str:
        found = judged(case.ramps, PAPERS_RULE).bounds
        shown = " and ".join(f"{rate:.3g}" for rate in (found.base_lr, found.max_lr) if rate is not None) or "no bounds"
        return f"{shown}, {found.verdict}, {len(case.ramps)} seeds"

    def papers(self, claim: Claim) -> str:
        assert claim.bounds is not None
        return f"{claim.bounds.base_lr:g} and {claim.bounds.max_lr:g}"

    def why_open(self, claim: Claim, case: Case, family: int) -> str:
        return "the range test marks its own evidence as weak"


RELATIONS: Mapping[str, Relation] = {
    "higher": Higher(),
    "equal": Equal(),
    "reaches": Reaches(),
    "below": Below(),
    "finds": Finds(),
}


def relation_of(claim: Claim, family: ClaimFamily) -> Relation:
    """The relation that a claim names. Raises ConfigError in one line for an unknown one."""
    if claim.relation not in RELATIONS:
        known = ", ".join(RELATIONS)
        raise ConfigError(f"{family.name}.yaml: {claim.id}: relation={claim.relation} is unknown: choose one of {known}")
    return RELATIONS[claim.relation]


def _is_within(rate: float, wanted: float, factor: float) -> bool:
    return wanted / factor <= rate <= wanted * factor


def _table(case: Case, judged_as: str) -> pl.DataFrame:
    seeds = sorted({*case.treatment, *case.control})
    if not seeds:
        return pl.DataFrame()
    columns: Mapping[str, Any] = {
        "seed": seeds,
        "treatment, %": [case.treatment.get(seed) for seed in seeds],
        "control, %": [case.control.get(seed) for seed in seeds],
        judged_as: [case.values.get(seed) for seed in seeds],
    }
    return pl.DataFrame(columns, schema={name: pl.Int64 if name == "seed" else pl.Float64 for name in columns})
