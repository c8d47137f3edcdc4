"""The runs that can settle a claim, and what is judged of them, seed by seed."""

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from clrbench.analysis.claims import Claim, ClaimFamily, Side
from clrbench.analysis.readings import accuracy, at_last_cycle_end
from clrbench.runs import EVIDENCE, SOURCES, Run
from clrbench.schema import SCHEMA

SEEDS = "1,2,3,4,5"
ORDER = "data.order"
SHUFFLED = "images shuffled anew each epoch, as people train today (the paper: one order)"
_MICRO = {"µs": 1.0, "ms": 1e3, "s": 1e6}
SCHEMA_1 = "made in another order of the stored images (schema 1), which no download repeats bit by bit"


@dataclass(frozen=True)
class Pair:
    """Two runs of one seed, and the accuracies (percent) that a claim reads of them."""

    treatment: Run
    control: Run
    treated: float
    target: float


# What is judged of a pair: a number, nan where there is nothing to judge.
Judged = Callable[[Pair], float]


@dataclass(frozen=True)
class Case:
    """A claim with the runs that can settle it: those of one source and experiment, in one setting.

    treatment, control: accuracy in percent, by seed. values: what is judged, by seed, or by repetition of a bench.
    command: what settles the claim, as the paper has it. runs: those of both sides, as they were made; ramps: the runs of a
    range test.
    """

    claim: Claim
    family: ClaimFamily
    source: str
    experiment: str
    differs: Sequence[str] = ()
    treatment: Mapping[int, float] = field(default_factory=dict)
    control: Mapping[int, float] = field(default_factory=dict)
    values: Mapping[int, float] = field(default_factory=dict)
    notes: Sequence[str] = ()
    command: str = ""
    runs: Sequence[Run] = ()
    ramps: Sequence[Run] = ()
    schema: int = SCHEMA


def compared(claim: Claim, family: ClaimFamily, runs: Sequence[Run], judged: Judged) -> list[Case]:
    """The cases of a claim about two sides, from each source, experiment and setting; one without runs where there is none."""
    cases = []
    for experiment in claim.experiments:
        found = [
            _case(claim, family, source, experiment, differs, members, judged)
            for source, differs, members in _groups(claim, runs, experiment)
        ]
        cases += [case for case in found if case.treatment or case.control] or [
            Case(claim, family, "", experiment, command=_command(claim, experiment))
        ]
    return [*_in_the_papers_order(claim, family, cases), *cases]


def range_tested(claim: Claim, family: ClaimFamily, runs: Sequence[Run]) -> list[Case]:
    """The range tests of each source and setting; one case without runs where there is none."""
    command, experiment = claim.command or "make range-test", claim.experiments[0]
    found = [
        Case(claim, family, source, experiment, differs, ramps=_side(members, claim.treatment), command=command)
        for source, differs, members in _groups(claim, runs, experiment)
    ]
    return [case for case in found if case.ramps] or [Case(claim, family, "", experiment, command=command)]


def benched(claim: Claim, family: ClaimFamily, record: Path) -> Case:
    """The figures of a bench: the cost in percent of the whole, by repetition; none where it was not measured."""
    assert claim.cost is not None
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
        figures = {figure["name"]: figure for figure in content["figures"]}
        cost, whole = (
            [value * _MICRO[figures[name]["unit"]] for value in figures[name]["values"]]
            for name in (claim.cost.figure, claim.cost.of)
        )
    except (OSError, ValueError, KeyError, TypeError):
        return Case(claim, family, "", "bench", command="make bench")
    values = {number: 100 * part / total for number, (part, total) in enumerate(zip(cost, whole, strict=False), 1)}
    notes = [f"measured on {content['host']}"]
    return Case(claim, family, EVIDENCE, "bench", values=values, notes=notes, command="make bench")


def _groups(claim: Claim, runs: Sequence[Run], experiment: str) -> list[tuple[str, tuple[str, ...], list[Run]]]:
    """An experiment's runs by their source and setting."""
    return [
        (source, differs, members)
        for source in SOURCES
        for differs, members in _by_setting(_selected(runs, source, experiment), claim.setting)
    ]


def _in_the_papers_order(claim: Claim, family: ClaimFamily, cases: Sequence[Case]) -> list[Case]:
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
    if (key, value) == (ORDER, "shuffled"):
        return SHUFFLED
    mine, theirs = ("unset" if one is None else one for one in (value, paper))
    return f"{key} is {mine} (the paper: {theirs})"


def _case(
    claim: Claim,
    family: ClaimFamily,
    source: str,
    experiment: str,
    differs: tuple[str, ...],
    runs: Sequence[Run],
    judged: Judged,
) -> Case:
    treated, controls = (_side(runs, side) for side in (claim.treatment, claim.control))
    treatment = _accuracies(treated, claim.treatment)
    control = _accuracies(controls, claim.control)
    values = {}
    if not (_is_ambiguous(treated) or _is_ambiguous(controls)):
        first, second = ({run.result.seed: run for run in members} for members in (treated, controls))
        common = [seed for seed in treatment if seed in control]
        pairs = {seed: Pair(first[seed], second[seed], treatment[seed], control[seed]) for seed in common}
        values = {seed: value for seed, pair in pairs.items() if not math.isnan(value := judged(pair))}
    notes = [note for members in (treated, controls) for note in _notes(members)] + _devices([*treated, *controls])
    if values and claim.control.best_of:
        rivals = ", ".join(claim.control.best_of)
        notes.append(f"the control is {controls[0].result.label}, of {rivals} the best by these same runs, which favours it")
    schema = min((run.schema for run in [*treated, *controls]), default=SCHEMA)
    notes += [SCHEMA_1] if schema == 1 else []
    command = _command(claim, experiment, differs)
    both = [run for run in runs if any(is_selected(run.values, side) for side in (claim.treatment, claim.control))]
    return Case(claim, family, source, experiment, differs, treatment, control, values, notes, command, both, schema=schema)


def is_selected(values: Mapping[str, Any], side: Side) -> bool:
    """Whether runs with this configuration, flat, may be on a side of a claim."""
    is_named = not side.best_of or values.get("arm") in side.best_of
    return is_named and all(values.get(key) == value for key, value in side.select.items())


def _side(runs: Iterable[Run], side: Side) -> list[Run]:
    chosen = [run for run in runs if is_selected(run.values, side)]
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
    devices = [f"{device} (seeds: {', '.join(map(str, sorted(of)))})" for device, of in sorted(seeds.items())]
    return [] if set(seeds) <= {"cpu"} else [f"computed on {' and '.join(devices)}"]
