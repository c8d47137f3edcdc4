"""The picture of a range test: accuracy and loss against the rate, as in the paper's Figure 3, with the bounds and why."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

from clrbench.files import replacing
from clrbench.range_test.anchor import place_of_best
from clrbench.range_test.curve import Curve, Values, mean, readings
from clrbench.range_test.judge import FoundBounds

_STYLE: dict[Any, Any] = {"svg.hashsalt": "clrbench", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
_CURVE, _LOSS, _COLOURS = "#2a6fbb", "#8a6d3b", {"base_lr": "#2e8b57", "max_lr": "#c0392b"}
_COLUMNS = 105
# Labels of the rate axis: within each decade at these multiples, so that any span of a factor of ten has four.
_LABELLED = (1.0, 2.0, 3.0, 5.0)
# A loss beyond so many times its median would press all others flat.
_SHOWN_LOSS = 3.0


def draw(curves: Sequence[Curve], bounds: FoundBounds, title: str, path: Path, classes: int | None = None) -> None:
    """Draw each seed's readings, their mean, the loss beside them, the best point, both bounds with their intervals, and why.

    classes: how many, for a line at the accuracy of guessing. path: an .svg or .png file. The same curves and bounds make the
    same SVG file.
    """
    with mpl.rc_context(_STYLE):
        lines = [line for reason in bounds.reasons for line in textwrap.wrap(reason, _COLUMNS)]
        figure = Figure(figsize=(7, 4.1 + 0.16 * len(lines)), layout="constrained")
        name = next((curve.monitor for curve in curves if curve.monitor), "accuracy in %")
        axes = figure.add_subplot(xlabel="learning rate", ylabel=name, xscale="log")
        axes.set_title(f"{title}: {_headline(bounds)}", parse_math=False)
        axes.xaxis.set_major_locator(LogLocator(subs=_LABELLED, numticks=30))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))
        axes.xaxis.set_minor_formatter(FuncFormatter(lambda rate, _: ""))
        axes.tick_params(axis="x", labelrotation=45, labelsize=8)
        _draw_curves(axes, curves)
        _draw_best(axes, curves)
        if classes and name == "accuracy in %":
            axes.axhline(100 / classes, color="grey", linestyle="--", linewidth=1, label=f"guessing {100 / classes:.0f}%")
        for name, at, (low, high) in bounds.found:
            axes.axvspan(low, high, color=_COLOURS[name], alpha=0.15, linewidth=0)
            axes.axvline(at, color=_COLOURS[name], label=f"{name} {at:.2g} ({low:.2g} to {high:.2g})")
        axes.grid(alpha=0.3)
        _draw_losses(axes, curves)
        if axes.get_legend_handles_labels()[0]:
            figure.legend(loc="outside upper center", fontsize=8, ncols=3)
        figure.supxlabel("\n".join(lines), fontsize=8, x=0.01, ha="left", parse_math=False)
        with replacing(path) as partial:
            kind = path.suffix[1:]
            figure.savefig(partial, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else None)


def _headline(bounds: FoundBounds) -> str:
    return "no bounds" if bounds.base_lr is None else f"bounds by {bounds.rule}, {bounds.verdict}"


def _draw_curves(axes: Axes, curves: Sequence[Curve]) -> None:
    seeds = [readings(curve) for curve in curves]
    for seed in seeds:
        alpha = 0.4 if len(seeds) > 1 else 1.0
        axes.plot(np.exp(seed.x), seed.accuracies, color=_CURVE, linewidth=0.8, alpha=alpha, marker=".", markersize=4)
    if len(seeds) > 1:
        together = mean(seeds)
        axes.plot(np.exp(together.x), together.accuracies, color=_CURVE, linewidth=2, label=f"mean of {len(seeds)} seeds")
    for rate in {curve.diverged_at for curve in curves if curve.diverged_at}:
        axes.axvline(rate, color="black", linestyle=":", linewidth=1)


def _draw_best(axes: Axes, curves: Sequence[Curve]) -> None:
    """A mark at each ramp's best point, by the smoothed loss where that is known."""
    found = [(curve, best[0]) for curve in curves if (best := place_of_best(curve))]
    for number, (curve, rate) in enumerate(found):
        label = None if number else "best point of a ramp"
        value = float(curve.accuracies[int(np.argmin(np.abs(curve.rates - rate)))])
        axes.plot([rate], [value], color=_CURVE, marker="*", markersize=9, linestyle="", label=label)


def _draw_losses(axes: Axes, curves: Sequence[Curve]) -> None:
    """The loss on an axis of its own, where it is known."""
    known = [curve for curve in curves if np.isfinite(curve.losses).any()]
    if not known:
        return
    beside = axes.twinx()
    beside.spines["right"].set_visible(True)
    beside.set_ylabel("loss", color=_LOSS)
    for number, curve in enumerate(known):
        usable = (curve.rates > 0) & np.isfinite(curve.losses)
        label = None if number else "loss"
        beside.plot(curve.rates[usable], curve.losses[usable], color=_LOSS, linewidth=0.8, alpha=0.6, label=label)
    finite: Values = np.concatenate([curve.losses[np.isfinite(curve.losses)] for curve in known])
    highest = min(float(finite.max()), _SHOWN_LOSS * float(np.median(finite)))
    beside.set_ylim(min(0.0, float(finite.min())), 1.05 * highest or 1.0)
