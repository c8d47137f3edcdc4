"""Data frames as tables of HTML and Markdown: numbers rounded for reading, text escaped."""

import html
import math
from collections.abc import Sequence
from typing import Any

import polars as pl

from clrbench.analysis.arms import Arm
from clrbench.analysis.decomposition import Step
from clrbench.measure import PERCENT

# What accuracies are of that choose settings: no test image has a part in them.
HELD_OUT = "accuracy on held-out images, %"
# Digits behind the point, by column; others show four significant digits.
_DIGITS = {
    **dict.fromkeys(("accuracy", "low", "high", "mean", "difference", "treatment, %", "control, %"), 2),
    **dict.fromkeys((PERCENT.heading, HELD_OUT), 2),
    **dict.fromkeys(("iteration", "median", "iterations", "budget", "to fixed", "seed", "runs", "reached"), 0),
    **dict.fromkeys(("train_loss", "test_loss"), 3),
    **dict.fromkeys(("target", "seconds"), 1),
}


def heading_of(arms: Sequence[Arm]) -> str:
    """What the values of arms are, with the unit; `value` where it isn't the same for all."""
    names = {HELD_OUT if is_held_out(arm) else arm.measure.heading for arm in arms}
    return names.pop() if len(names) == 1 else "value"


def is_held_out(arm: Arm) -> bool:
    """Whether an arm's accuracy is that on images held out of training, not on the test images."""
    return arm.runs[0].is_of_images and arm.runs[0].values.get("data.evaluate") == "validation"


def summary_frame(arms: Sequence[Arm], summary: pl.DataFrame) -> pl.DataFrame:
    """The columns of analysis.arm_table about `arms` that say something to a reader of one experiment, under short names.

    low and high are the ends of the 95% interval of the mean.
    """
    half = pl.col("half_width")
    shown = summary.select(
        "arm",
        "settings",
        pl.col("iterations").alias("budget"),
        "runs",
        "diverged",
        "failed",
        pl.col("test_accuracy").alias(heading_of(arms)),
        (pl.col("test_accuracy") - half).alias("low"),
        (pl.col("test_accuracy") + half).alias("high"),
        pl.col("to_fixed").alias("to fixed"),
        pl.col("speed_up").alias("speed-up"),
    )
    return shown.drop(column for column in shown.columns if column != "arm" and _is_silent(shown[column]))


def _is_silent(column: pl.Series) -> bool:
    """Whether a column has no value, no text, or as a count of mishaps only 0."""
    if column.name in ("diverged", "failed"):
        return column.sum() == 0
    return column.is_null().all() or (column.dtype == pl.String and not any(column.to_list()))


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


def to_html(frame: pl.DataFrame, caption: str = "") -> str:
    """A table; the first cell of each row is its heading."""
    if frame.is_empty():
        return ""
    numeric = [dtype.is_numeric() for dtype in frame.dtypes]
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in frame.columns)
    body = "".join(f"<tr>{_cells(row, frame.columns, numeric)}</tr>" for row in frame.iter_rows())
    title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cells(row: Sequence[Any], columns: Sequence[str], numeric: Sequence[bool]) -> str:
    cells = []
    for at, (value, name, is_number) in enumerate(zip(row, columns, numeric, strict=True)):
        shown = html.escape(text(value, name))
        kind = ' class="number"' if is_number else ""
        cells.append(f'<th scope="row"{kind}>{shown}</th>' if at == 0 else f"<td{kind}>{shown}</td>")
    return "".join(cells)


def to_markdown(frame: pl.DataFrame) -> str:
    """A table of GitHub's Markdown."""
    rules = ["---:" if dtype.is_numeric() else "---" for dtype in frame.dtypes]
    rows = [[in_cell(text(value, name)) for value, name in zip(row, frame.columns, strict=True)] for row in frame.iter_rows()]
    return "\n".join(f"| {' | '.join(row)} |" for row in [frame.columns, rules, *rows])


def in_cell(words: str) -> str:
    """Text that keeps to its cell of a Markdown table and is no markup."""
    return " ".join(escaped(words).split())


def escaped(words: str) -> str:
    """Text that is no markup in Markdown."""
    plain = html.escape(words, quote=False)
    for character in ("\\", "|", "*", "_", "`", "[", "]"):
        plain = plain.replace(character, f"\\{character}")
    return plain


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
