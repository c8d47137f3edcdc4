"""The picture of a range test: accuracy against the rate, as in the paper's Figure 3, with the bounds and their reasons."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clrbench.files import replacing
from clrbench.range_test.curve import Curve, mean, readings
from clrbench.range_test.judge import Bounds

_STYLE: dict[Any, Any] = {"svg.hashsalt": "clrbench", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
_CURVE, _COLOURS = "#2a6fbb", {"base_lr": "#2e8b57", "max_lr": "#c0392b"}
_COLUMNS = 105


def draw(curves: Sequence[Curve], bounds: Bounds, title: str, path: Path) -> None:
    """Draw the seeds, their mean, both bounds with their intervals, and the reasons, to `path`, an .svg or .png file.

    The same curves and bounds make the same SVG file.
    """
    with mpl.rc_context(_STYLE):
        lines = [line for reason in bounds.reasons for line in textwrap.wrap(reason, _COLUMNS)]
        figure = Figure(figsize=(7, 3.6 + 0.16 * len(lines)), layout="constrained")
        name = next((curve.monitor for curve in curves if curve.monitor), "accuracy in %")
        axes = figure.add_subplot(xlabel="learning rate", ylabel=name, xscale="log")
        axes.set_title(f"{title}: {_headline(bounds)}", parse_math=False)
        _draw_curves(axes, curves)
        for name, at, (low, high) in bounds.found:
            axes.axvspan(low, high, color=_COLOURS[name], alpha=0.15, linewidth=0)
            axes.axvline(at, color=_COLOURS[name], label=f"{name} {at:.2g} ({low:.2g} to {high:.2g})")
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="best", fontsize=8)
        figure.supxlabel("\n".join(lines), fontsize=8, x=0.01, ha="left", parse_math=False)
        with replacing(path) as partial:
            kind = path.suffix[1:]
            figure.savefig(partial, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else None)


def _headline(bounds: Bounds) -> str:
    return "no bounds" if bounds.base_lr is None else f"bounds by {bounds.rule}, {bounds.verdict}"


def _draw_curves(axes: Axes, curves: Sequence[Curve]) -> None:
    seeds = [readings(curve) for curve in curves]
    for seed in seeds:
        axes.plot(np.exp(seed.x), seed.accuracies, color=_CURVE, linewidth=0.8, alpha=0.4 if len(seeds) > 1 else 1.0)
    if len(seeds) > 1:
        together = mean(seeds)
        axes.plot(np.exp(together.x), together.accuracies, color=_CURVE, linewidth=2, label=f"mean of {len(seeds)} seeds")
    for rate in {curve.diverged_at for curve in curves if curve.diverged_at}:
        axes.axvline(rate, color="black", linestyle=":", linewidth=1)
