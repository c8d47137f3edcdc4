"""The figures as a table in the terminal and as a JSON file."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich import box
from rich.table import Table

from bench.figure import Figure
from bench.sizes import Sizes
from clrbench import environment
from clrbench.files import write_text
from clrbench.report.terminal import fitted, left_out

_HEADINGS = ("figure", "median", "spread", "unit", "goal", "met")


def table(figures: Sequence[Figure], width: int = 160) -> Table:
    """One row a figure: the median, the spread from the lowest to the highest repetition, and the goal; what fits."""
    return fitted(lambda without: _table(figures, without), ("spread", "goal", "met"), width)


def _table(figures: Sequence[Figure], without: Sequence[str]) -> Table:
    caption = "; ".join(["ms and µs are a step's; pair: two processes of one thread each, side by side", *left_out(without)])
    result = Table(title=environment.host(), caption=caption, box=box.SIMPLE_HEAD)
    rows = [_row(figure) for figure in figures]
    shown = [heading for heading in _HEADINGS if heading not in without]
    for heading in shown:
        result.add_column(
            heading, justify="right" if heading in ("median", "spread") else "left", no_wrap=True, overflow="fold"
        )
    for row in rows:
        result.add_row(*(row[heading] for heading in shown))
    return result


def _row(figure: Figure) -> dict[str, str]:
    return {
        "figure": figure.name,
        "median": f"{figure.median:.2f}",
        "spread": f"{min(figure.values):.2f} - {max(figure.values):.2f}",
        "unit": figure.unit,
        "goal": str(figure.goal or ""),
        "met": {True: "yes", False: "[bold]no[/bold]", None: ""}[figure.met],
    }


def write(path: Path, figures: Sequence[Figure], sizes: Sizes, command: str, load: float, versions: Mapping[str, str]) -> None:
    """Write the figures with what they depend on.

    load: the machine's (one minute) before the first of them. versions: those of packages that the suite itself does not need.
    """
    origin = environment.describe()
    content = {
        "command": command,
        **origin,
        "versions": {**origin["versions"], **versions},
        "load_before": round(load, 2),
        "sizes": asdict(sizes),
        "figures": [figure.as_json() for figure in figures],
    }
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def busy(load: float) -> str | None:
    """A warning where the machine had other work when the benchmark began."""
    if load < 0.3 * (os.cpu_count() or 1):
        return None
    return f"warning: the machine was busy (load {load:.1f} before the start): these times are not its own"
