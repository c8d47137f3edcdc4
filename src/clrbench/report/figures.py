"""The report's interactive figures as data: the page draws them and makes their tables in the browser."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from clrbench.analysis.arms import Arm
from clrbench.analysis.compared import Compared
from clrbench.measure import PERCENT, Measure
from clrbench.range_test.records import Measured
from clrbench.report.answer_picture import answer_dashes, span, span_of
from clrbench.report.palette import COLOURS, OTHER, colour_of, dashes
from clrbench.report.tables import HELD_OUT, heading_of

DIGITS = 5
RATE_POINTS = 250


@dataclass(frozen=True)
class FigureKind:
    """What a figure shows: names of the columns, labels of the axes. band: columns of a lower and an upper end."""

    title: str
    words: str
    x: str
    y: str
    labels: tuple[str, str]
    band: tuple[str, str] | None = None
    has_points: bool = False
    has_log_x: bool = False


@dataclass(frozen=True)
class Drawing:
    """A figure of the page. data: what page.js reads, numbers included."""

    name: str
    kind: FigureKind
    data: Mapping[str, Any]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not self.data.get("curves")


ACCURACY = FigureKind(
    "Accuracy",
    "Mean accuracy on the whole test set over seeds; the band is its 95% interval.",
    "epoch",
    "accuracy",
    ("epoch", "test accuracy, %"),
    ("low", "high"),
)
RATE = FigureKind(
    "Learning rate", "The schedules, from the settings in the records.", "epoch", "rate", ("epoch", "learning rate")
)
TARGETS = FigureKind(
    "Iterations to a target",
    "Median over seeds of the iterations until two evaluations in a row are at the target; the band runs from the lower to the "
    "upper quartile. A line ends where half of the seeds never get there.",
    "target",
    "median",
    ("target accuracy, %", "iterations"),
    ("low", "high"),
)


def accuracy_drawing(name: str, arms: Sequence[Arm], curves: Mapping[str, pl.DataFrame]) -> Drawing:
    """Accuracy over epochs, an arm a line."""
    ends = [value for arm in arms for value in arm.accuracies.values()]
    measure = arms[0].measure
    kind = _of_accuracy(arms) if measure == PERCENT else _kind_of(measure)
    return _drawing(name, kind, curves, _colours(arms), dashes(arms), span=span_of(ends) if ends else None)


def _of_accuracy(arms: Sequence[Arm]) -> FigureKind:
    held_out = replace(
        ACCURACY, words=ACCURACY.words.replace("the whole test set", "held-out images"), labels=("epoch", HELD_OUT)
    )
    return held_out if heading_of(arms) == HELD_OUT else ACCURACY


def _kind_of(measure: Measure) -> FigureKind:
    words = f"Mean {measure.metric} of each evaluation over seeds; the band is its 95% interval."
    return replace(ACCURACY, title=measure.metric, words=words, labels=("epoch", measure.heading))


def rate_drawing(name: str, arms: Sequence[Arm], rates: Mapping[str, pl.DataFrame]) -> Drawing:
    """The learning rate over epochs, an arm a line, thinned: the formula gives all points."""
    curves = {arm: curve.gather_every(max(1, len(curve) // RATE_POINTS)) for arm, curve in rates.items()}
    return _drawing(name, RATE, curves, _colours(arms), dashes(arms))


def target_drawing(name: str, arms: Sequence[Arm], curves: Mapping[str, pl.DataFrame]) -> Drawing:
    """Iterations to each target accuracy, an arm a line; infinity is null."""
    columns = ("median", "low", "high")
    finite = {
        arm: curve.with_columns(pl.when(pl.col(column).is_finite()).then(pl.col(column)).alias(column) for column in columns)
        for arm, curve in curves.items()
    }
    return _drawing(name, TARGETS, finite, _colours(arms), dashes(arms))


def sensitivity_drawing(name: str, setting: str, arms: Sequence[Arm], frame: pl.DataFrame) -> Drawing:
    """The accuracy at the end against one setting, a policy a line."""
    key = setting.rpartition(".")[2]
    name_of_it = "accuracy" if arms[0].measure == PERCENT else arms[0].measure.metric
    words = f"Mean {name_of_it} at the end of the budget against {key}, with its 95% interval over seeds."
    kind = FigureKind(
        f"Sensitivity to {key}", words, "value", "accuracy", (key, heading_of(arms)), ("low", "high"), has_points=True
    )
    colours = {arm.name: colour_of(arm) for arm in arms}
    curves = {str(policy): rows.drop("arm") for (policy,), rows in frame.group_by("arm", maintain_order=True)}
    return _drawing(name, kind, curves, colours, _one_by_one(colours))


def range_drawing(name: str, arm: str, measured: Measured) -> Drawing:
    """Accuracy against the rate of a range test, a seed a line, with the bounds and their intervals."""
    bounds = measured.bounds
    words = f"{arm}: {bounds.verdict}. {' '.join(bounds.reasons)}"
    kind = FigureKind(
        "Range test", words, "rate", "accuracy", ("learning rate", "accuracy, %"), has_points=True, has_log_x=True
    )
    curves = {
        f"seed {run.result.seed}": pl.DataFrame({"rate": curve.rates, "accuracy": curve.accuracies, "loss": curve.losses})
        for run, curve in zip(measured.runs, measured.curves, strict=True)
    }
    several = [colour for colour in COLOURS if colour != OTHER][1::2]
    colours = {seed: several[at % len(several)] for at, seed in enumerate(curves)}
    marks = [
        {"label": label, "x": _rounded(rate), "span": [_rounded(low), _rounded(high)]}
        for label, rate, (low, high) in bounds.found
    ]
    return _drawing(name, kind, curves, colours, _one_by_one(colours), marks=marks)


def answer_drawings(found: Compared, anchor: str) -> list[Drawing]:
    """The answer's figure: curves of its arms from the figures of the section at `anchor`, so that no number is there twice."""
    arms = [arm.label for arm in found.best_first]
    paper = {arm.label: found.paper[arm.name] for arm in found.best_first if arm.name in found.paper}
    focus = [found.treatment.label, found.control.label]
    names = {arm.label: arm.name for arm in found.best_first}
    shared = {"arms": arms, "names": names, "focus": focus, "dashes": answer_dashes(found), "sync": "answer"}
    whole = {"of": f"{anchor}-accuracy", **shared, "paper": paper, "span": list(span(found))}
    # The policies of somebody else's code have no rates to draw.
    has_rates = any(arm.runs[0].schedule for arm in found.best_first)
    rates = [Drawing("answer-rate", RATE, {"of": f"{anchor}-rate", **shared})] if has_rates else []
    return [Drawing("answer-accuracy", ACCURACY, {**whole, "shares_x": has_rates}), *rates]


def _drawing(
    name: str,
    kind: FigureKind,
    curves: Mapping[str, pl.DataFrame],
    colours: Mapping[str, str],
    dash: Mapping[str, int],
    **more: Any,
) -> Drawing:
    drawn = []
    for arm, curve in curves.items():
        colour = colours.get(arm, OTHER)
        columns = {column: [_rounded(value) for value in curve[column].to_list()] for column in curve.columns}
        drawn.append({"arm": arm, "policy": colour, "dash": dash.get(arm, 0), "columns": columns})
    figure = {
        "x": kind.x,
        "y": kind.y,
        "labels": kind.labels,
        "band": kind.band,
        "points": kind.has_points,
        "logX": kind.has_log_x,
        "curves": drawn,
    }
    return Drawing(name, kind, {**figure, **more})


def _colours(arms: Sequence[Arm]) -> dict[str, str]:
    return {arm.label: colour_of(arm) for arm in arms}


def _one_by_one(colours: Mapping[str, str]) -> dict[str, int]:
    """Dashes of lines by how many before them have their colour."""
    seen = list(colours.values())
    return {line: seen[:at].count(colour) for at, (line, colour) in enumerate(colours.items())}


def _rounded(value: float | int | None) -> float | int | None:
    """A number as it is shown, so that another machine's last digit makes no other page."""
    if not isinstance(value, float):
        return value
    if math.isnan(value):
        return None
    rounded = float(f"{value:.{DIGITS}g}")
    return int(rounded) if rounded.is_integer() else rounded
