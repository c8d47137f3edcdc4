"""One picture of all policies: the learning rate of each over a run."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from clrbench.files import write_text
from clrbench.report import svg
from clrbench.report.palette import COLOURS, OTHER
from clrbench.schedules import Schedule

# File: columns, and the width of the whole in pixels; the narrow one is for phones.
LAYOUTS = {"policies.svg": (5, 830), "policies_narrow.svg": (2, 370)}
POINTS = 400
ROW = 118  # pixels


def draw_policies(policies: Mapping[str, tuple[Schedule, int]], folder: Path) -> list[Path]:
    """Draw {name: (schedule, iterations)} to the files of LAYOUTS in `folder`; the same schedules make the same files."""
    for name, (columns, width) in LAYOUTS.items():
        write_text(folder / name, _picture(policies, columns, width))
    return [folder / name for name in LAYOUTS]


def _picture(policies: Mapping[str, tuple[Schedule, int]], columns: int, width: int) -> str:
    parts, cell = [], width / columns
    for at, (name, (schedule, iterations)) in enumerate(policies.items()):
        left, top = cell * (at % columns), ROW * (at // columns)
        now = np.unique(np.linspace(0, iterations - 1, POINTS).round().astype(int))
        rates = schedule(now)
        axes = svg.Axes(left + 8, top + 26, cell - 20, ROW - 52, (0, iterations), (0, float(rates.max())))
        colour = name if name in COLOURS else OTHER
        parts += [
            svg.words(left + 8, top + 16, name),
            axes.clip(f"of-{name}"),
            f'<path class="grid" d="M{axes.left:.1f} {axes.bottom:.1f}h{axes.width:.1f}" fill="none"/>',
            axes.line(now.tolist(), rates.tolist(), colour, 1.8, f"of-{name}"),
            svg.words(axes.left + axes.width, axes.bottom + 16, f"{iterations:,}", "end", "soft"),
        ]
    said = f"The learning rate over a run, from 0 up, of {', '.join(policies)}. The number is the length in iterations."
    return svg.document(width, ROW * math.ceil(len(policies) / columns), "The policies", said, parts)
