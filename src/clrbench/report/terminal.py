"""Tables for the terminal."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from clrbench.analysis.answer import NO_ANSWER, Answer
from clrbench.analysis.arm_table import summarize
from clrbench.analysis.arms import arms_of
from clrbench.analysis.decomposition import decomposition_in_words
from clrbench.analysis.pairs import leads
from clrbench.analysis.relations import FAILS, HOLDS
from clrbench.analysis.verdicts import Verdict, judge_all
from clrbench.checkout import here_in
from clrbench.measure import PERCENT
from clrbench.range_test.judge import FoundBounds
from clrbench.report.decision import how_to_choose
from clrbench.runs import Run
from clrbench.screen import say

_COLOURS = {HOLDS: "green", FAILS: "red"}


def print_summary(console: Console, title: str, runs: Sequence[Run], conf: Path, results: Path) -> None:
    """What a sweep ends with: a row an arm, the best one's lead, and the verdict on each claim that its runs bear on."""
    arms = arms_of(runs)
    console.print(summary_table(summarize(arms), title, console.width))
    for sentence in [*leads(arms), *decomposition_in_words(arms)]:
        say(console, here_in(sentence))
    if len({arm.name for arm in arms}) > 1:
        say(console, how_to_choose(all(run.is_of_images for run in runs)))
    verdicts = [verdict for verdict in judge_all(runs, conf, results) if any(verdict.source == run.source for run in runs)]
    if verdicts:
        console.print(verdict_table(verdicts))


def verdict_table(verdicts: Sequence[Verdict]) -> Table:
    """A row a verdict."""
    table = Table(title="claims", title_justify="left")
    for heading in ("", "claim", "verdict", "because"):
        table.add_column(heading)
    for verdict in verdicts:
        colour = _COLOURS.get(verdict.verdict, "yellow")
        shown = f"[{colour}]{verdict.verdict}[/{colour}]"
        table.add_row(verdict.claim.id, escape(verdict.claim.says), shown, escape(verdict.reason))
    return table


def summary_table(summary: pl.DataFrame, title: str, width: int = 160) -> Table:
    """The table behind a sweep, from `analysis.arm_table.summarize`, at most `width` characters wide.

    Columns that say nothing are left out; so are, with a word in the caption, those that do not fit.
    """
    columns = _columns(summary)
    alike = [heading for heading, name in (("runs", "runs"), ("budget", "iterations")) if summary[name].n_unique() == 1]
    least = [heading for heading in ("seconds", "speed-up", "to fixed", *alike) if heading in columns]
    return fitted(lambda without: _summary_table(summary, title, columns, without), least, width)


def fitted(make: Callable[[Sequence[str]], Table], least: Sequence[str], width: int) -> Table:
    """What `make` makes without some columns: as few of `least`, from its front, as it takes to fit into `width`."""
    for count in range(len(least) + 1):
        table = make(least[:count])
        widths = [_least_width(column) for column in table.columns]
        if 1 + sum(3 + each for each in widths) <= width:  # two blanks and a line a column
            for column, each in zip(table.columns, widths, strict=True):
                column.no_wrap = each == max(map(len, _texts(column)))  # rich would take from single words as well
            break
    return table


def _least_width(column: Column) -> int:
    """The width at which no word is broken, nor any text of a column that does not wrap."""
    words = _texts(column) if column.no_wrap else [word for text in _texts(column) for word in text.split()]
    return max(map(len, words), default=0)


def _texts(column: Column) -> list[str]:
    return [Text.from_markup(str(text)).plain for text in (column.header, *column.cells)]


def left_out(columns: Sequence[str]) -> list[str]:
    """What a caption says of columns that do not fit."""
    return [f"no room for: {', '.join(columns)}"] if columns else []


def _summary_table(summary: pl.DataFrame, title: str, columns: dict[str, Any], without: Sequence[str]) -> Table:
    shown = {heading: column for heading, column in columns.items() if heading not in without}
    notes = [f"to fixed: iterations to the {_ending(summary)} at which the best fixed rate ends"] if "to fixed" in shown else []
    caption = "; ".join([*notes, *left_out(without)]) or None
    table = Table(title=escape(title), title_justify="left", caption=caption, caption_justify="left")
    for heading, (_, justify) in shown.items():
        # Names and settings tell the rows apart: they go on in the next line rather than lose their ends.
        table.add_column(escape(heading), justify=justify, no_wrap=justify == "right", overflow="fold")
    for row in summary.iter_rows(named=True):
        table.add_row(*(escape(show(row)) for show, _ in shown.values()))
    return table


def _ending(summary: pl.DataFrame) -> str:
    return "accuracy" if set(summary["measure"]) == {PERCENT.heading} else "value"


def _columns(summary: pl.DataFrame) -> dict[str, Any]:
    """Heading: (a row's text, alignment)."""
    names = summary["measure"].unique().to_list()
    measured = "value" if len(names) > 1 else "accuracy %" if names == [PERCENT.heading] else names[0]
    columns = {
        "data": (lambda row: row["data"], "left"),
        "model": (lambda row: row["model"], "left"),
        "arm": (lambda row: row["arm"], "left"),
        "settings": (lambda row: row["settings"], "left"),
        "budget": (lambda row: f"{row['iterations']:,}", "right"),
        "runs": (lambda row: str(row["runs"]), "right"),
        "diverged": (lambda row: str(row["diverged"]), "right"),
        "failed": (lambda row: str(row["failed"]), "right"),
        measured: (_accuracy, "right"),
        "to fixed": (lambda row: _iterations(row["to_fixed"]), "right"),
        "speed-up": (lambda row: "-" if row["speed_up"] is None else f"{row['speed_up']:.2f}", "right"),
        "seconds": (lambda row: "-" if row["seconds"] is None else f"{row['seconds']:.1f}", "right"),
    }
    silent = [name for name in ("diverged", "failed") if summary[name].sum() == 0]
    silent += [name for name in ("data", "model") if summary[name].n_unique() == 1]
    silent += ["settings"] if not any(summary["settings"]) else []
    silent += ["to fixed", "speed-up"] if summary["to_fixed"].is_null().all() else []
    return {heading: column for heading, column in columns.items() if heading not in silent}


def _iterations(needed: float | None) -> str:
    if needed is None:
        return "-"
    return f"{needed:,.0f}" if math.isfinite(needed) else "never"


def _accuracy(row: dict[str, Any]) -> str:
    if row["test_accuracy"] is None:
        return "-"
    form = ".2f" if row["measure"] == PERCENT.heading else ".4g"
    interval = "" if row["half_width"] is None else f" ± {row['half_width']:{form}}"
    return f"{row['test_accuracy']:{form}}{interval}"


def print_answer(console: Console, answer: Answer | None) -> None:
    """The answer that README and page show, in the same sentences."""
    if answer is None:
        say(console, here_in(NO_ANSWER))
        return
    for heading, lines in answer.parts:
        console.print(f"[bold]{heading}[/bold]")
        for line in lines:
            say(console, f"  {here_in(line)}")


def print_bounds(console: Console, bounds: FoundBounds, command: str) -> None:
    """The bounds that a range test shows, why, and the settings that train with them."""
    console.print(f"[bold]{bounds.verdict}[/bold]")
    for line in bounds.reasons:
        say(console, f"  - {line}")
    for name, rate, (low, high) in bounds.found:
        console.print(f"{name:<8} {rate:.3g}  [{low:.3g}, {high:.3g}]")
    if bounds.found:
        console.print(f"train with them: {command}", markup=False)
