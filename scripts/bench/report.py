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


def table(figures: Sequence[Figure]) -> Table:
    """One row a figure: the median, the spread from the lowest to the highest repetition, and the goal."""
    caption = "ms and µs are a step's; pair: two processes of one thread each, side by side"
    result = Table("figure", title=environment.host(), caption=caption, box=box.SIMPLE_HEAD)
    for heading in ("median", "spread"):
        result.add_column(heading, justify="right", no_wrap=True)
    for heading in ("unit", "goal", "met"):
        result.add_column(heading, no_wrap=True)
    for figure in figures:
        result.add_row(
            figure.name,
            f"{figure.median:.2f}",
            f"{min(figure.values):.2f} - {max(figure.values):.2f}",
            figure.unit,
            str(figure.goal or ""),
            {True: "yes", False: "[bold]no[/bold]", None: ""}[figure.met],
        )
    return result


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
