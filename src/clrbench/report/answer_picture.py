"""The answer's picture: accuracy against epochs for Table 1, and below it the rates; for README and summary."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import polars as pl

from clrbench.analysis.answer import Answer
from clrbench.analysis.arms import Arm
from clrbench.analysis.compared import Compared
from clrbench.analysis.curves import accuracy_curve, rate_curve
from clrbench.report import svg
from clrbench.report.palette import colour_of

# How far below the lowest end the axis begins, in points: where the curves differ, not where they all rise.
BELOW = 6
LETTER = 8.2  # pixels, the mean width in the widest of the fonts that svg.py names


@dataclass(frozen=True)
class Size:
    """Pixels of the picture and of its two parts; ticks: how many epochs are labelled at most; reached: words at a dot."""

    width: int
    accuracy: int
    rate: int
    ticks: int
    reached: str


SIZES: Mapping[str, Size] = {
    "table1.svg": Size(830, 330, 80, 8, "{target}% after {needed:,.0f}"),
    "table1_narrow.svg": Size(370, 290, 70, 4, "{needed:,.0f}"),
}


def pictures(answer: Answer) -> dict[str, str]:
    """The picture for wide and for narrow screens, by file name."""
    return {name: _picture(answer.compared, size) for name, size in SIZES.items()}


def answer_dashes(found: Compared) -> dict[str, int]:
    """For each label the number of its dash in svg.DASHES: whole lines for the two arms of the claim."""
    others = [arm for arm in found.best_first if arm not in (found.treatment, found.control)]
    return {arm.label: others.index(arm) + 1 if arm in others else 0 for arm in found.best_first}


def span(found: Compared) -> tuple[float, float]:
    """The ends of the picture's axis of accuracy, in percent."""
    return span_of([fmean(arm.accuracies.values()) for arm in found.best_first] + list(found.paper.values()))


def span_of(ends: Sequence[float]) -> tuple[float, float]:
    """From below the lowest to above the highest of the accuracies at which curves end, in percent."""
    return 2 * math.floor((min(ends) - BELOW) / 2), 2 * math.ceil((max(ends) + 1) / 2)


def _picture(found: Compared, size: Size) -> str:
    arms = found.best_first
    curves = [accuracy_curve(arm) for arm in arms]
    rates = [rate_curve(arm) for arm in arms]
    epochs = max(curve["epoch"][-1] for curve in curves)
    key = list(_key(found, size.width))
    left, gap, top = 46, 44, 34 + 20 * len(key)
    x = (0.0, epochs)
    accuracy = svg.Axes(left, top, size.width - left - 16, size.accuracy, x, span(found))
    highest = max((curve["rate"].max() for curve in rates if not curve.is_empty()), default=1.0)  # type: ignore[type-var]
    rate = svg.Axes(left, accuracy.bottom + gap, accuracy.width, size.rate, x, (0.0, float(highest)))  # type: ignore[arg-type]
    parts = [
        svg.words(4, 16, "test accuracy, %"),
        *key,
        accuracy.clip("above"),
        *_accuracy(found, accuracy, curves),
        *_target(found, accuracy, curves, size.reached),
        svg.words(4, accuracy.bottom + 34, "learning rate"),
        rate.clip("below"),
        *_rate(found, rate, rates),
        *_epochs(rate, epochs, size.ticks),
    ]
    iterations = found.treatment.iterations / curves[arms.index(found.treatment)]["epoch"][-1]
    parts.append(svg.words(size.width - 16, rate.bottom + 35, f"epochs of {iterations:,.0f} iterations", "end", "soft"))
    return svg.document(size.width, math.ceil(rate.bottom + 44), "Table 1 of the paper, run anew", _said(found), parts)


def _said(found: Compared) -> str:
    ends = [f"{arm.name} {fmean(arm.accuracies.values()):.1f}% after {arm.iterations:,} iterations" for arm in found.best_first]
    return f"Mean test accuracy over seeds with its 95% interval, and the learning rates. At the end: {', '.join(ends)}."


def _key(found: Compared, width: int) -> Iterator[str]:
    """The names in their colours with the accuracy at the end, as many in a row as fit."""
    entries = [
        (colour_of(arm), _dash(found, arm), f"{arm.name} {fmean(arm.accuracies.values()):.1f}%") for arm in found.best_first
    ]
    entries += [("", "", "◇ the paper's number"), ("", "", "band: 95% interval")]
    row, x = 0, 4.0
    line = ""
    for kind, dash, said in entries:
        needed = 34 + LETTER * len(said)
        if x + needed > width and line:
            yield line
            line, x, row = "", 4.0, row + 1
        y = 38 + 20 * row
        if kind:
            line += svg.sample(x, y - 4.5, 24, kind, 4, dash)
        line += svg.words(x + (29 if kind else 2), y, said)
        x += needed
    yield line


def _dash(found: Compared, arm: Arm) -> str:
    return svg.DASHES[answer_dashes(found)[arm.label] % len(svg.DASHES)]


def _accuracy(found: Compared, axes: svg.Axes, curves: Sequence[pl.DataFrame]) -> Iterator[str]:
    low, high = axes.y
    for value in range(int(low), int(high) + 1, 2):
        yield axes.rule(value, str(value))
    drawn = list(zip(found.best_first, curves, strict=True))[::-1]  # the best on top
    for arm, curve in drawn:
        whole = curve.drop_nulls(["low", "high"])
        if not whole.is_empty():
            low_and_high = whole["low"].to_list(), whole["high"].to_list()
            yield axes.band(whole["epoch"].to_list(), *low_and_high, colour_of(arm), "above")
    for arm, curve in drawn:
        width = 2.6 if arm in (found.treatment, found.control) else 1.6
        yield axes.line(
            curve["epoch"].to_list(), curve["accuracy"].to_list(), colour_of(arm), width, "above", _dash(found, arm)
        )
    for arm, curve in drawn:
        if arm.name in found.paper:
            yield axes.mark(curve["epoch"][-1], found.paper[arm.name], colour_of(arm))


def _target(found: Compared, axes: svg.Axes, curves: Sequence[pl.DataFrame], reached: str) -> Iterator[str]:
    """Where the two arms of the claim reach the accuracy that the answer names."""
    if found.target is None or not axes.y[0] <= found.target <= axes.y[1]:
        return
    for arm in (found.treatment, found.control):
        curve = curves[found.best_first.index(arm)]
        needed = found.needed(arm, found.target)
        x, y = axes.at_x(needed * curve["epoch"][-1] / arm.iterations), axes.at_y(found.target)
        yield f'<circle class="{colour_of(arm)}" cx="{x:.1f}" cy="{y:.1f}" r="5" fill="currentColor"/>'
        yield svg.words(x - 8, y - 9, reached.format(target=found.target, needed=needed), "end", "halo")


def _rate(found: Compared, axes: svg.Axes, rates: Sequence[pl.DataFrame]) -> Iterator[str]:
    yield axes.rule(0, "0")
    yield axes.rule(axes.y[1], f"{axes.y[1]:g}")
    for arm, curve in list(zip(found.best_first, rates, strict=True))[::-1]:
        if not curve.is_empty():
            columns = curve["epoch"].to_list(), curve["rate"].to_list()
            yield axes.line(*columns, colour_of(arm), 1.4, "below", _dash(found, arm))


def _epochs(axes: svg.Axes, epochs: float, ticks: int) -> Iterator[str]:
    fine = [step for power in range(-1, 5) for step in (10.0**power, 2 * 10.0**power, 5 * 10.0**power)]
    step = next((step for step in fine if epochs / step <= ticks), epochs)
    for number in range(int(epochs / step) + 1):
        yield axes.tick(number * step, f"{number * step:g}")
