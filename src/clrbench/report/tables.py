"""Data frames as tables of HTML and Markdown: numbers rounded for reading, text escaped."""

import html
import itertools
import math
from collections.abc import Sequence
from typing import Any

import polars as pl

from clrbench.analysis.decomposition import Step

# Digits behind the point, by column; others show four significant digits.
_DIGITS = {
    **dict.fromkeys(("accuracy", "low", "high", "mean", "difference", "treatment, %", "control, %", "test accuracy, %"), 2),
    **dict.fromkeys(("iteration", "median", "iterations", "budget", "to fixed", "seed", "runs", "reached"), 0),
    **dict.fromkeys(("train_loss", "test_loss"), 3),
    **dict.fromkeys(("target", "seconds"), 1),
}


def summary_frame(summary: pl.DataFrame) -> pl.DataFrame:
    """The columns of analysis.summary that a reader of one experiment wants, under short names."""
    half = pl.col("half_width")
    return summary.select(
        "arm",
        "settings",
        pl.col("iterations").alias("budget"),
        "runs",
        "diverged",
        "failed",
        pl.col("test_accuracy").alias("test accuracy, %"),
        (pl.col("test_accuracy") - half).alias("low"),
        (pl.col("test_accuracy") + half).alias("high"),
        pl.col("to_fixed").alias("to fixed"),
        pl.col("speed_up").alias("speed-up"),
    )


def steps_frame(steps: Sequence[Step]) -> pl.DataFrame:
    """What each change adds."""
    return pl.DataFrame(
        [(step.name, step.without, step.having, step.mean, *(step.interval or (None, None)), step.seeds) for step in steps],
        schema={
            "change": pl.String,
            "from": pl.String,
            "to": pl.String,
            "difference": pl.Float64,
            "low": pl.Float64,
            "high": pl.Float64,
            "seeds": pl.Int64,
        },
        orient="row",
    )


def to_html(frame: pl.DataFrame, caption: str = "", links: Sequence[str] = ()) -> str:
    """A table; `links` says where the first cell of each row leads."""
    if frame.is_empty():
        return ""
    numeric = [dtype.is_numeric() for dtype in frame.dtypes]
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in frame.columns)
    rows = itertools.zip_longest(frame.iter_rows(), links)
    body = "".join(f"<tr>{_cells(row, frame.columns, numeric, link)}</tr>" for row, link in rows)
    title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cells(row: Sequence[Any], columns: Sequence[str], numeric: Sequence[bool], link: str | None) -> str:
    cells = []
    for at, (value, name, is_number) in enumerate(zip(row, columns, numeric, strict=True)):
        shown = html.escape(text(value, name))
        if at == 0 and link:
            shown = f'<a href="{html.escape(link)}">{shown}</a>'
        cells.append(f'<td class="number">{shown}</td>' if is_number else f"<td>{shown}</td>")
    return "".join(cells)


def to_markdown(frame: pl.DataFrame) -> str:
    """A table of GitHub's Markdown."""
    rules = ["---:" if dtype.is_numeric() else "---" for dtype in frame.dtypes]
    rows = [[in_cell(text(value, name)) for value, name in zip(row, frame.columns, strict=True)] for row in frame.iter_rows()]
    return "\n".join(f"| {' | '.join(row)} |" for row in [frame.columns, rules, *rows])


def in_cell(words: str) -> str:
    """Text that keeps to its cell of a Markdown table and is no markup."""
    escaped = html.escape(words, quote=False)
    for character in ("\\", "|", "*", "_", "`", "[", "]"):
        escaped = escaped.replace(character, f"\\{character}")
    return " ".join(escaped.split())


def text(value: Any, column: str) -> str:
    """A value as it is shown in `column`."""
    if value is None:
        return ""
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) and column != "seed" else str(value)
    if not math.isfinite(value):
        return "never" if value > 0 else "diverged"
    digits = _DIGITS.get(column)
    return f"{value:.4g}" if digits is None else f"{value:,.{digits}f}"
