"""The report in Markdown, and the table of results in the README."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

import polars as pl

from clrbench.analysis.commands import command_of_seeds
from clrbench.analysis.runs import EVIDENCE, Arm, Run, arms_of
from clrbench.analysis.stats import interval
from clrbench.analysis.verdicts import NOT_RUN, ORDER, SHUFFLED, Verdict
from clrbench.errors import ClrbenchError
from clrbench.report.contents import Contents, Section, origin
from clrbench.report.rows import advice_title, verdict_row
from clrbench.report.tables import in_cell, summary_frame, to_markdown

# The source of claims that are not the paper's.
OURS = "this suite"
BEGIN, END = "<!-- results: made by `make ship` -->", "<!-- end of results -->"


def summary(contents: Contents) -> str:
    """summary.md: the verdicts, the advice, and a table an experiment."""
    parts = ["# What the runs say", "Made from the records below `results/`; the page beside it shows more."]
    parts += ["## Verdicts", _verdicts(_judged(contents)), "## Not run yet", _not_run(contents.verdicts)]
    if contents.advice:
        parts += ["## Advice"]
    for advice in contents.advice:
        lines = [f"- {in_cell(line)}" for line in advice.because]
        lines += [f"- what would settle it: `{advice.command}`"] if advice.command else []
        parts += [f"**{in_cell(advice_title(advice))}: {advice.choice}**", "\n".join(lines)]
    for section in contents.sections:
        table = to_markdown(summary_frame(section.summary)) if not section.range_tests else _range_tests(section)
        parts += [f"## {in_cell(section.name)} ({origin(section.source)})", *map(in_cell, section.sentences), table]
    if contents.faults:
        parts += ["## Left out", "\n".join(f"- {in_cell(fault)}" for fault in contents.faults)]
    return "\n\n".join(parts) + "\n"


def _range_tests(section: Section) -> str:
    return "\n".join(
        f"- {in_cell(arm)}: {measured.bounds.verdict}, base_lr {_rate(measured.bounds.base_lr)}, "
        f"max_lr {_rate(measured.bounds.max_lr)} (n = {len(measured.runs)}). {in_cell(' '.join(measured.bounds.reasons))}"
        for arm, measured in section.range_tests.items()
    )


def _rate(rate: float | None) -> str:
    return "unknown" if rate is None else f"{rate:.3g}"


def _judged(contents: Contents) -> list[Verdict]:
    return [verdict for verdict in contents.verdicts if verdict.verdict != NOT_RUN]


def _not_run(verdicts: Iterable[Verdict]) -> str:
    waiting = [verdict for verdict in verdicts if verdict.verdict == NOT_RUN]
    return "\n".join(
        f"- {verdict.claim.id}, {in_cell(verdict.claim.says)}: {in_cell('; '.join([verdict.reason, *verdict.case.differs]))}"
        + (f": `{verdict.case.command}`" if verdict.case.command else "")
        for verdict in waiting
    )


def _verdicts(verdicts: Iterable[Verdict]) -> str:
    rows = [verdict_row(verdict, number) for number, verdict in enumerate(verdicts, 1)]
    columns = ("id", "says", "verdict", "measured", "paper", "seeds", "experiment", "origin")
    names = ("claim", "says", "verdict", "measured", "in the paper", "n", "runs of", "whose")
    table = pl.DataFrame([[getattr(row, column) for column in columns] for row in rows], schema=list(names), orient="row")
    return to_markdown(table)


def readme_block(contents: Contents, conf: Path) -> str:
    """The README's results, from the shipped records alone: the claims that could be settled, and the runs of the paper."""
    verdicts = _best_founded(_judged(contents))
    founded = [verdict for verdict in verdicts if not verdict.has_too_few_seeds]
    parts = [_verdicts(verdict for verdict in founded if verdict.claim.source != OURS)]
    parts += _own(verdict for verdict in founded if verdict.claim.source == OURS)
    if few := [verdict.claim.id for verdict in verdicts if verdict.has_too_few_seeds]:
        parts.append(f"Run with too few seeds for a verdict: {', '.join(few)}.")
    return "\n\n".join([*parts, _paper_runs(contents.runs, contents.verdicts, conf)])


def _own(verdicts: Iterable[Verdict]) -> list[str]:
    """A line a file of claims, the claims by their verdict."""
    claims: dict[tuple[str, str], list[str]] = defaultdict(list)
    for verdict in verdicts:
        claims[verdict.case.family.title, verdict.verdict].append(verdict.claim.id)
    lines: dict[str, list[str]] = defaultdict(list)
    for (title, outcome), ids in claims.items():
        lines[title].append(f"{', '.join(ids)} {outcome}")
    return [in_cell(f"{title}: {'; '.join(words)}.") for title, words in lines.items()]


def _best_founded(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """The verdict from most seeds on each claim, in each order of the images; of as many, the first."""
    best: dict[tuple[str, bool], Verdict] = {}
    for verdict in verdicts:
        key = (verdict.claim.id, SHUFFLED in verdict.case.differs)
        known = best.setdefault(key, verdict)
        if len(verdict.case.values) > len(known.case.values):
            best[key] = verdict
    return list(best.values())


def _paper_runs(runs: Iterable[Run], verdicts: Iterable[Verdict], conf: Path) -> str:
    paper = {
        (verdict.experiment, side.select.get("arm")): (side.paper, verdict.claim.setting)
        for verdict in verdicts
        for side in (verdict.claim.treatment, verdict.claim.control)
        if side.paper is not None
    }
    shipped = [run for run in runs if run.source == EVIDENCE and run.is_finished and _kind(run) in paper]
    alike = [run for run in shipped if _has(run, paper[_kind(run)][1])]
    rows = [_paper_row(arm, paper[_kind(arm.runs[0])][0], conf) for arm in arms_of(alike)]
    return "\n".join(["| run of the paper | the paper | here | n | command |", "|---|---|---|---|---|", *rows])


def _kind(run: Run) -> tuple[str, str | None]:
    return run.result.experiment, run.result.arm


def _has(run: Run, setting: Mapping[str, Any]) -> bool:
    return all(run.values.get(key) == value for key, value in setting.items() if key != ORDER)


def _order(arm: Arm) -> str:
    """How its images came."""
    return "images in one order" if arm.runs[0].values[ORDER] == "fixed" else "images shuffled anew each epoch"


def _paper_row(arm: Arm, told: float, conf: Path) -> str:
    accuracies = list(arm.accuracies.values())
    ends = interval(accuracies)
    mean = f"{fmean(accuracies):.2f}%" + ("" if ends is None else f" [{ends[0]:.2f}, {ends[1]:.2f}]")
    what = f"{in_cell(arm.name)}, {arm.iterations:,} iterations, {_order(arm)}"
    command = command_of_seeds(arm.runs, conf)
    return f"| {what} | {told:.1f}% | {in_cell(mean)} | {len(accuracies)} | `{command}` |"


def with_block(text: str, block: str, name: str = "README.md", marks: tuple[str, str] = (BEGIN, END)) -> str:
    """The document `name` with what stands between its marks replaced. Raises ClrbenchError where it lacks them."""
    head, begin, rest = text.partition(marks[0])
    _, end, tail = rest.partition(marks[1])
    if not begin or not end:
        raise ClrbenchError(f"{name}: lacks the lines {marks[0]} and {marks[1]} between which the results stand: put them in")
    return f"{head}{begin}\n\n{block}\n\n{end}{tail}"
