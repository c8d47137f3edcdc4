"""Tables for the terminal."""

from typing import Any

import polars as pl
from rich.table import Table


def summary_table(summary: pl.DataFrame, title: str) -> Table:
    """The table behind a sweep, from `analysis.summary.summarize`; columns that say nothing are left out."""
    table = Table(title=title, title_justify="left")
    shown = _columns(summary)
    for heading, (_, justify) in shown.items():
        table.add_column(heading, justify=justify)
    for row in summary.iter_rows(named=True):
        table.add_row(*(show(row) for show, _ in shown.values()))
    return table


def _columns(summary: pl.DataFrame) -> dict[str, Any]:
    """Heading: (a row's text, alignment)."""
    columns = {
        "data": (lambda row: row["data"], "left"),
        "model": (lambda row: row["model"], "left"),
        "policy": (lambda row: row["policy"], "left"),
        "settings": (lambda row: row["settings"], "left"),
        "iterations": (lambda row: f"{row['iterations']:,}", "right"),
        "runs": (lambda row: str(row["runs"]), "right"),
        "diverged": (lambda row: str(row["diverged"]), "right"),
        "failed": (lambda row: str(row["failed"]), "right"),
        "test accuracy %": (_accuracy, "right"),
        "training s": (lambda row: "-" if row["seconds"] is None else f"{row['seconds']:.1f}", "right"),
    }
    silent = [name for name in ("diverged", "failed") if summary[name].sum() == 0]
    silent += [name for name in ("data", "model") if summary[name].n_unique() == 1]
    silent += ["settings"] if not any(summary["settings"]) else []
    return {heading: column for heading, column in columns.items() if heading not in silent}


def _accuracy(row: dict[str, Any]) -> str:
    if row["test_accuracy"] is None:
        return "-"
    interval = "" if row["half_width"] is None else f" ± {row['half_width']:.2f}"
    return f"{row['test_accuracy']:.2f}{interval}"
