"""Whether the claims hold: the rule by which runs become verdicts. It was fixed before the runs.

A claim is judged from the differences between the runs of its two sides that have the same seed, hence the same initial
weights and batches. It `holds` if two tests say so at the level ALPHA: the t test (for `equal`, two one-sided ones: TOST),
adjusted by Holm for all claims of its family; and the exact test by changes of sign, unadjusted, which trusts no
distribution but needs five seeds at least. It `fails` if both say the opposite: that the treatment is not better by as much
as counts, or differs by more than the margin. Else it is `inconclusive`. Without runs on both sides it is `not run`.
"""

import json
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from clrbench.analysis import stats
from clrbench.analysis.claims import BELOW, EQUAL, HIGHER, REACHES, Claim, Family, Side, read_families
from clrbench.analysis.readings import accuracy, at_last_cycle_end
from clrbench.analysis.runs import EVIDENCE, SOURCES, Run
from clrbench.analysis.targets import iterations_to_target
from clrbench.range_test.judge import CLEAR
from clrbench.range_test.records import judged
from clrbench.schema import SCHEMA

HOLDS, FAILS, INCONCLUSIVE, NOT_RUN = "holds", "fails", "inconclusive", "not run"
ALPHA = 0.05
SEEDS = "1,2,3,4,5"
BENCH = Path("bench/step.json")
# How the paper reads its bounds off the curve, as far as it says so.
RULE = "rise_and_slow"
ORDER = "data.order"
SHUFFLED = "images shuffled anew each epoch, as people train today (the paper: one order)"
SCHEMA_1 = "made in another order of the stored images (schema 1), which no download repeats bit by bit"
_MICRO = {"µs": 1.0, "ms": 1e3, "s": 1e6}
Test = Callable[..., float]


@dataclass(frozen=True)
class Case:
    """A claim with the runs that can settle it: those of one source and experiment, in one setting.

    values: what is judged, seed by seed: the difference in percentage points; for `reaches`, the share of the control's
    iterations that the treatment needed; for `below`, the cost in percent, by repetition.
    """

    claim: Claim
    family: Family
    source: str
    experiment: str
    differs: Sequence[str] = ()
    treatment: Mapping[int, float] = field(default_factory=dict)
    control: Mapping[int, float] = field(default_factory=dict)
    values: Mapping[int, float] = field(default_factory=dict)
    notes: Sequence[str] = ()
    command: str = ""
    ramps: Sequence[Run] = ()
    schema: int = SCHEMA

    def p_holds(self, test: Test) -> float:
        """The p-value that speaks for the claim."""
        return _FOR[self.claim.relation](list(self.values.values()), self.claim, test)

    def p_fails(self, test: Test) -> float:
        """The p-value that speaks for its opposite."""
        return _AGAINST[self.claim.relation](list(self.values.values()), self.claim, test)


@dataclass(frozen=True)
class Verdict:
    """What the runs say about a claim.

    mean and interval are of the case's values; p is that of the t test for the claim, adjusted for the family, exact that of
    the exact test, least the smallest that so many seeds allow. All are None where there is nothing to judge.
    """

    case: Case
    verdict: str
    reason: str
    mean: float | None = None
    interval: tuple[float, float] | None = None
    p: float | None = None
    exact: float | None = None
    least: float | None = None

    @property
    def claim(self) -> Claim:
        """The claim."""
        return self.case.claim

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
    verdicts = [verdict for family in read_families(conf) for verdict in judge_family(family, runs, results)]
    return sorted(verdicts, key=lambda verdict: _order(verdict.claim))


def _order(claim: Claim) -> tuple[str, int]:
    """By letter, the paper's C first, then by number."""
    digits = re.search(r"\d+", claim.id)
    return claim.id[:1], int(digits[0]) if digits else 0


def judge_family(family: Family, runs: Sequence[Run], results: Path) -> list[Verdict]:
    """The verdicts on one family's claims, in the order of the file."""
    cases = [case for claim in family.claims for case in _cases(claim, family, runs, results)]
    groups: dict[tuple[Any, ...], list[Case]] = defaultdict(list)
    for case in cases:
        if case.values:
            groups[case.source, case.experiment, tuple(case.differs), case.schema].append(case)
    adjusted: dict[int, tuple[float, float]] = {}
    for group in groups.values():
        p_holds = stats.holm([case.p_holds(stats.p_above) for case in group])
        p_fails = stats.holm([case.p_fails(stats.p_above) for case in group])
        adjusted |= {id(case): both for case, *both in zip(group, p_holds, p_fails, strict=True)}  # type: ignore[misc]
    return [
        _judged_bounds(case) if case.ramps else _judged(case, *adjusted[id(case)]) if case.values else _not_run(case)
        for case in cases
    ]


def _cases(claim: Claim, family: Family, runs: Sequence[Run], results: Path) -> list[Case]:
    if claim.missing:
        return [Case(claim, family, "", "")]
    if claim.cost:
        return [_cost_case(claim, family, results / BENCH)]
    if claim.bounds:
        return _bounds_cases(claim, family, runs)
    cases = []
    for experiment in claim.experiments:
        found = [
            _case(claim, family, source, experiment, differs, members)
            for source in SOURCES
            for differs, members in _by_setting(_selected(runs, source, experiment), claim.setting)
        ]
        cases += [case for case in found if case.treatment or case.control] or [
            Case(claim, family, "", experiment, command=_command(claim, experiment))
        ]
    return [*_in_the_papers_order(claim, family, cases), *cases]


def _in_the_papers_order(claim: Claim, family: Family, cases: Sequence[Case]) -> list[Case]:
    """Where a claim has been run with shuffled images alone, the same in the paper's one order: not run."""
    first = claim.experiments[0]
    shuffled = [SHUFFLED in case.differs for case in cases if case.source and case.experiment == first]
    return [Case(claim, family, "", first, command=_command(claim, first))] if shuffled and all(shuffled) else []


def _command(claim: Claim, experiment: str, differs: Sequence[str] = ()) -> str:
    """What makes the runs that settle a claim, in the paper's order of the images unless that `differs`."""
    if claim.command:
        return claim.command
    if claim.setting.get(ORDER) == "fixed" and SHUFFLED not in differs:
        return f"python train.py -m experiment={experiment} {ORDER}=fixed seed={SEEDS}"
    return f"make sweep EXPERIMENT={experiment} SEEDS={SEEDS}"


def _bounds_cases(claim: Claim, family: Family, runs: Sequence[Run]) -> list[Case]:
    """The range tests of one source and setting."""
    command = claim.command or "make range-test"
    found = [
        Case(claim, family, source, claim.experiments[0], differs, ramps=_side(members, claim.treatment), command=command)
        for source in SOURCES
        for differs, members in _by_setting(_selected(runs, source, claim.experiments[0]), claim.setting)
    ]
    return [case for case in found if case.ramps] or [Case(claim, family, "", claim.experiments[0], command=command)]


def _selected(runs: Iterable[Run], source: str, experiment: str) -> list[Run]:
    return [run for run in runs if (run.source, run.result.experiment) == (source, experiment)]


def _by_setting(runs: Iterable[Run], setting: Mapping[str, Any]) -> list[tuple[tuple[str, ...], list[Run]]]:
    """Runs by what in their setting is not the paper's, in words, and by their data: only on equal data are they pairs."""
    groups: dict[tuple[tuple[str, ...], object], list[Run]] = defaultdict(list)
    for run in runs:
        other = {key: run.values.get(key) for key, value in setting.items() if run.values.get(key) != value}
        words = tuple(_in_words(key, value, setting[key]) for key, value in other.items())
        groups[words, run.settings.get("data.sha256")].append(run)
    return [(words, members) for (words, _), members in groups.items()]


def _in_words(key: str, value: object, paper: object) -> str:
    return SHUFFLED if (key, value) == (ORDER, "shuffled") else f"{key} is {value} (the paper: {paper})"


def _case(claim: Claim, family: Family, source: str, experiment: str, differs: tuple[str, ...], runs: Sequence[Run]) -> Case:
    treated, controls = (_side(runs, side) for side in (claim.treatment, claim.control))
    treatment = _accuracies(treated, claim.treatment)
    control = _accuracies(controls, claim.control)
    values = {} if _is_ambiguous(treated) or _is_ambiguous(controls) else _values(claim, treated, treatment, controls, control)
    notes = [note for members in (treated, controls) for note in _notes(members)] + _devices([*treated, *controls])
    if values and claim.control.best_of:
        rivals = ", ".join(claim.control.best_of)
        notes.append(f"the control is {controls[0].result.label}, of {rivals} the best by these same runs, which favours it")
    schema = min((run.schema for run in [*treated, *controls]), default=SCHEMA)
    notes += [SCHEMA_1] if schema == 1 else []
    command = _command(claim, experiment, differs)
    return Case(claim, family, source, experiment, differs, treatment, control, values, notes, command, schema=schema)


def _side(runs: Iterable[Run], side: Side) -> list[Run]:
    chosen = [run for run in runs if all(run.values.get(key) == value for key, value in side.select.items())]
    return _best(chosen, side) if side.best_of else chosen


def _best(runs: Iterable[Run], side: Side) -> list[Run]:
    """The runs of the best of several arms, by the seeds that all of them have; none where there is no such seed."""
    arms = [[run for run in runs if run.result.arm == name] for name in side.best_of]
    accuracies = [_accuracies(members, side) for members in arms]
    shared = set.intersection(*(set(found) for found in accuracies))
    if not shared:
        return []
    means = [fmean(found[seed] for seed in shared) for found in accuracies]
    return [run for run in arms[means.index(max(means))] if run.result.seed in shared]


def _is_ambiguous(runs: Sequence[Run]) -> bool:
    return len({run.result.seed for run in runs}) < len(runs)


def _accuracies(runs: Iterable[Run], side: Side) -> dict[int, float]:
    found = {run.result.seed: accuracy(run, side) for run in runs}
    return {seed: value for seed, value in sorted(found.items()) if value is not None}


def _values(
    claim: Claim, treated: Sequence[Run], treatment: Mapping[int, float], controls: Sequence[Run], control: Mapping[int, float]
) -> dict[int, float]:
    common = [seed for seed in treatment if seed in control]
    if claim.relation == REACHES:
        runs, rivals = ({run.result.seed: run for run in members} for members in (treated, controls))
        return {seed: _share(runs[seed], rivals[seed], control[seed]) for seed in common if math.isfinite(control[seed])}
    differences = {seed: treatment[seed] - control[seed] for seed in common}
    return {seed: value for seed, value in differences.items() if not math.isnan(value)}  # nan: both diverged


def _share(run: Run, rival: Run, target: float) -> float:
    """The share of the rival's iterations that a run needs to `target`; infinity for one that never gets there, or diverges."""
    return iterations_to_target(run.course, target) / rival.result.iterations if run.is_finished else math.inf


def _notes(runs: Sequence[Run]) -> list[str]:
    """What the number at the end of the budget does not tell."""
    if not runs:
        return []
    policy = runs[0].result.label
    behind = [found for run in runs if run.is_finished and (found := at_last_cycle_end(run))]
    notes = []
    if behind:
        where, reached = behind[0][0], fmean(value for _, value in behind)
        notes.append(f"{policy} ends within a cycle; at its last whole one's end, iteration {where:,}, it has {reached:.2f}%")
    for status in ("diverged", "failed"):
        if count := sum(run.result.status == status for run in runs):
            notes.append(f"{count} of {len(runs)} runs of {policy} {status}")
    if _is_ambiguous(runs):
        notes.append(f"several runs of {policy} have one seed: which of them is meant, the claim does not say")
    return notes


def _devices(runs: Iterable[Run]) -> list[str]:
    """Which seeds ran on which device, unless all ran on processors."""
    seeds: dict[str, set[int]] = defaultdict(set)
    for run in runs:
        seeds[run.result.device].add(run.result.seed)
    told = [f"{device} (seeds: {', '.join(map(str, sorted(of)))})" for device, of in sorted(seeds.items())]
    return [] if set(seeds) <= {"cpu"} else [f"computed on {' and '.join(told)}"]


def _cost_case(claim: Claim, family: Family, record: Path) -> Case:
    assert claim.cost is not None
    command = "make bench"
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
        figures = {figure["name"]: figure for figure in content["figures"]}
        cost, whole = (
            [value * _MICRO[figures[name]["unit"]] for value in figures[name]["values"]]
            for name in (claim.cost.figure, claim.cost.of)
        )
    except (OSError, ValueError, KeyError, TypeError):
        return Case(claim, family, "", "bench", command=command)
    values = {number: 100 * part / total for number, (part, total) in enumerate(zip(cost, whole, strict=False), 1)}
    return Case(claim, family, EVIDENCE, "bench", values=values, notes=[f"measured on {content['host']}"], command=command)


def _for_reaches(values: Sequence[float], claim: Claim, _: Test) -> float:
    return stats.exact_p_above([math.inf if value <= claim.share else -math.inf for value in values])


def _against_reaches(values: Sequence[float], claim: Claim, _: Test) -> float:
    return stats.exact_p_above([-math.inf if value <= claim.share else math.inf for value in values])


_FOR: Mapping[str, Callable[[Sequence[float], Claim, Test], float]] = {
    HIGHER: lambda values, claim, test: test(values),
    EQUAL: lambda values, claim, test: stats.p_within(values, claim.margin, test),
    REACHES: _for_reaches,
    BELOW: lambda values, claim, test: stats.p_below(values, claim.margin, test),
}
_AGAINST: Mapping[str, Callable[[Sequence[float], Claim, Test], float]] = {
    HIGHER: lambda values, claim, test: stats.p_below(values, claim.margin, test),
    EQUAL: lambda values, claim, test: stats.p_outside(values, claim.margin, test),
    REACHES: _against_reaches,
    BELOW: lambda values, claim, test: test(values, claim.margin),
}


def _judged(case: Case, p_holds: float, p_fails: float) -> Verdict:
    values = list(case.values.values())
    exact_holds, exact_fails = case.p_holds(stats.exact_p_above), case.p_fails(stats.exact_p_above)
    verdict = INCONCLUSIVE
    if max(p_holds, exact_holds) <= ALPHA:
        verdict = HOLDS
    elif max(p_fails, exact_fails) <= ALPHA:
        verdict = FAILS
    is_against = verdict == FAILS
    return Verdict(
        case,
        verdict,
        _reason(case, verdict),
        fmean(values),
        stats.interval(values),
        p_fails if is_against else p_holds,
        exact_fails if is_against else exact_holds,
        stats.least_p(len(values)),
    )


def _judged_bounds(case: Case) -> Verdict:
    """`holds` if both bounds of a clear range test are within the factor, `fails` if the interval of one lies beyond it."""
    paper = case.claim.bounds
    assert paper is not None
    found = judged(case.ramps, RULE).bounds
    pairs = [(found.base_lr, found.base_interval, paper.base_lr), (found.max_lr, found.max_interval, paper.max_lr)]
    near = [rate is not None and _is_within(rate, told, paper.factor) for rate, _, told in pairs]
    beyond = [
        # The point of the interval that is nearest to the paper's.
        span is not None and not _is_within(min(max(told, span[0]), span[1]), told, paper.factor)
        for _, span, told in pairs
    ]
    verdict = INCONCLUSIVE
    if found.verdict == CLEAR:
        verdict = HOLDS if all(near) else FAILS if any(beyond) else INCONCLUSIVE
    shown = " and ".join(f"{rate:.3g}" for rate in (found.base_lr, found.max_lr) if rate is not None) or "no bounds"
    return Verdict(case, verdict, f"{shown}, {found.verdict}, {len(case.ramps)} seeds: {' '.join(found.reasons)}")


def _is_within(rate: float, told: float, factor: float) -> bool:
    return told / factor <= rate <= told * factor


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


def _reason(case: Case, verdict: str) -> str:
    claim, values = case.claim, list(case.values.values())
    count = f"{len(values)} {'repetitions' if claim.relation == BELOW else 'seed' if len(values) == 1 else 'seeds'}"
    if claim.relation == REACHES:
        shown = f"{sum(value <= claim.share for value in values)} of {count} within {claim.share:.0%} of the iterations"
    else:
        shown = f"{_measured(claim, values)}, {count}"
    if verdict == INCONCLUSIVE and stats.least_p(len(values)) > ALPHA:
        return f"{shown}; too few to tell"
    return shown


def _measured(claim: Claim, values: Sequence[float]) -> str:
    unit, sign = (" percent", "") if claim.relation == BELOW else (" points", "+")
    if not all(math.isfinite(value) for value in values):
        return f"{sum(value < 0 for value in values)} of {len(values)} differences below 0, as runs diverged"
    bounds = stats.interval(values)
    spread = "" if bounds is None else f" [{bounds[0]:{sign}.2f}, {bounds[1]:{sign}.2f}]"
    return f"{fmean(values):{sign}.2f}{unit}{spread}"
