"""The shipped records of the benchmark as tables of the README and of docs/speed.md, between marks."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from bench.peers.contestants import OURS, PEERS
from bench.peers.job import FLOAT32, LINEAR, PRECISIONS
from bench.sizes import BATCH_SIZE
from clrbench.report.summary import with_block
from clrbench.report.tables import to_markdown

STEP, PEER = Path("results/bench/step.json"), Path("results/bench/peers.json")
MARKS = ("<!-- speed: made by `make ship` -->", "<!-- end of speed -->")
NOT_MEASURED = "The suite beside others has not been measured yet: `make bench PART=peers`."
Figures = Mapping[str, Mapping[str, Any]]
# What is told of every contestant: a column's heading, the name of its figure, and the digits behind the point.
COLUMNS = (
    ("float32, ms a step", "step, {}, float32", 1),
    ("bfloat16, ms", "step, {}, bfloat16", 1),
    ("two processes, float32, ms", "step, {}, pair, float32", 1),
    ("two processes, bfloat16, ms", "step, {}, pair, bfloat16", 1),
    ("linear net, ms", "step, {}, linear", 2),
    ("first step after, s", "start to first step, {}", 1),
    ("memory, MiB", "peak memory, {}", 0),
    ("10,000 images evaluated in, s", "evaluation of 10,000 images, {}", 2),
)


def documents(root: Path, begun: Mapping[Path, str] | None = None) -> dict[Path, str]:
    """The two documents of the checkout at `root`, as its records make them. Raises ClrbenchError where one lacks its marks.

    begun: texts of files that are made anew in other parts as well, else they are as they lie there.
    """
    blocks = {root / "README.md": _in_short(root), root / "docs" / "speed.md": _in_full(root)}
    texts = {path: path.read_text(encoding="utf-8") for path in blocks} | dict(begun or {})
    return {path: with_block(texts[path], block, path.name, MARKS) for path, block in blocks.items()}


def _in_short(root: Path) -> str:
    if not (root / PEER).is_file():
        return NOT_MEASURED
    host, figures = _record(root / PEER)
    command = json.loads((root / PEER).read_text(encoding="utf-8"))["command"]
    them = _contestants(figures)
    images = [(f"images a second, {what}", *(_images_a_second(figures, it, what) for it in them)) for what in PRECISIONS]
    loops = ("the loop alone, ms a step", *(_median(figures, f"step, {it}, {LINEAR}") for it in them))
    said = f"`cifar10_full` on {host}, measured by `{command}`. [docs/speed.md](docs/speed.md) says how, and has more."
    return "\n\n".join([said, _table(("figure", *them), [*images, loops])])


def _in_full(root: Path) -> str:
    parts = [NOT_MEASURED]
    if (root / PEER).is_file():
        host, figures = _record(root / PEER)
        parts = [f"The suite and its peers on {host}:", _beside(figures), _all(_others(figures))]
    host, figures = _record(root / STEP)
    return "\n\n".join([*parts, f"The parts of the suite on {host}:", _all(figures)])


def _record(path: Path) -> tuple[str, Figures]:
    """The machine, and the figures by name."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return content["host"], {figure["name"]: figure for figure in content["figures"]}


def _contestants(figures: Figures) -> list[str]:
    return [it.name for it in (OURS, *PEERS) if f"step, {it.name}, {FLOAT32}" in figures]


def _beside(figures: Figures) -> str:
    rows = [(it, *(_median(figures, name.format(it), digits) for _, name, digits in COLUMNS)) for it in _contestants(figures)]
    return _table(("way", *(heading for heading, *_ in COLUMNS)), rows)


def _others(figures: Figures) -> Figures:
    """The figures that are no contestant's own."""
    own = {name.format(it) for it in _contestants(figures) for _, name, _ in COLUMNS}
    return {name: figure for name, figure in figures.items() if name not in own}


def _images_a_second(figures: Figures, it: str, precision: str) -> str:
    figure = figures.get(f"step, {it}, {precision}")
    return f"{1000 * BATCH_SIZE / figure['median']:,.0f}" if figure else ""


def _median(figures: Figures, name: str, digits: int = 2) -> str:
    """A figure's median; nothing where it was not measured."""
    return f"{figures[name]['median']:,.{digits}f}" if name in figures else ""


def _all(figures: Figures) -> str:
    rows = [
        (
            name,
            f"{figure['median']:.2f}",
            f"{figure['lowest']:.2f} - {figure['highest']:.2f}",
            figure["unit"],
            figure["goal"] or "",
            {True: "yes", False: "no", None: ""}[figure["met"]],
        )
        for name, figure in figures.items()
    ]
    return _table(("figure", "median", "spread", "unit", "goal", "met"), rows)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return to_markdown(pl.DataFrame(rows, schema=list(columns), orient="row"))
