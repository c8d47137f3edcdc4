"""One picture a policy: its learning rate over a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from clrbench.files import replacing
from clrbench.schedules import Schedule

_STYLE: dict[Any, Any] = {"svg.hashsalt": "clrbench", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}


def draw_policy(schedule: Schedule, iterations: int, name: str, path: Path) -> None:
    """Draw the rate of every iteration of a run as an SVG file; the same schedule makes the same file."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(4.2, 1.6), layout="constrained")
        axes = figure.add_subplot(xlabel="iteration", ylabel="learning rate", title=name)
        now = np.arange(iterations)
        axes.plot(now, schedule(now), linewidth=1.5, color="#2a6fbb")
        axes.set_xlim(0, iterations)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        with replacing(path) as partial:
            figure.savefig(partial, format="svg", metadata={"Date": None})


def draw_policies(policies: Mapping[str, tuple[Schedule, int]], folder: Path) -> list[Path]:
    """Draw each of {name: (schedule, iterations)} to FOLDER/NAME.svg; returns the files."""
    paths = [folder / f"{name}.svg" for name in policies]
    for path, (name, (schedule, iterations)) in zip(paths, policies.items(), strict=True):
        draw_policy(schedule, iterations, name, path)
    return paths
