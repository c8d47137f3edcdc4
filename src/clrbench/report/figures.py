"""The report's figures: Plotly draws what the analysis computed."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
import polars as pl

from clrbench.range_test.records import Measured

# Okabe and Ito's colours, told apart by colour-blind readers too; then once more with dashes.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#b8a800")
DASHES = ("solid", "dash", "dot", "dashdot")
DIGITS = 4


@dataclass(frozen=True)
class Drawing:
    """A figure, what it shows in words, and its numbers; `table` has the columns of the figure and, first, the arm.

    has_log_x: whether its x axis is logarithmic at first.
    """

    name: str
    title: str
    words: str
    figure: go.Figure
    table: pl.DataFrame
    has_log_x: bool = False


def accuracy_drawing(name: str, curves: Mapping[str, pl.DataFrame]) -> Drawing:
    """Accuracy over epochs, an arm a line, with the 95% interval of the mean over seeds as a band."""
    figure = _figure("epoch", "test accuracy, %")
    for at, (arm, curve) in enumerate(curves.items()):
        _add_band(figure, at, arm, curve, "epoch", "low", "high")
        _add_line(figure, at, arm, curve, "epoch", "accuracy", "epoch %{x:.4g}: %{y:.2f}%")
    words = "Mean accuracy on the whole test set over seeds; the band is its 95% interval."
    return Drawing(f"{name}-accuracy", "Accuracy", words, figure, _stacked(curves))


def rate_drawing(name: str, rates: Mapping[str, pl.DataFrame]) -> Drawing:
    """The learning rate over epochs, an arm a line."""
    figure = _figure("epoch", "learning rate")
    for at, (arm, curve) in enumerate(rates.items()):
        _add_line(figure, at, arm, curve, "epoch", "rate", "epoch %{x:.4g}: %{y:.3g}")
    words = "The schedules themselves, from the settings in the records."
    # Every eighth point is enough for reading: the formula gives all.
    table = _stacked({arm: curve.gather_every(8) for arm, curve in rates.items()})
    return Drawing(f"{name}-rate", "Learning rate", words, figure, table)


def target_drawing(name: str, curves: Mapping[str, pl.DataFrame]) -> Drawing:
    """Iterations to each target accuracy, an arm a line, with the quartiles over seeds as a band."""
    figure = _figure("target accuracy, %", "iterations")
    finite = {
        arm: curve.with_columns(
            pl.when(pl.col(column).is_finite()).then(pl.col(column)).alias(column) for column in ("median", "low", "high")
        )
        for arm, curve in curves.items()
    }
    for at, (arm, curve) in enumerate(finite.items()):
        _add_band(figure, at, arm, curve, "target", "low", "high")
        _add_line(figure, at, arm, curve, "target", "median", "%{x:.1f}% after %{y:,.0f} iterations")
    words = (
        "Median over seeds of the iterations until two evaluations in a row are at the target; the band runs from the lower to "
        "the upper quartile. A line ends where half of the seeds never get there."
    )
    return Drawing(f"{name}-targets", "Iterations to a target", words, figure, _stacked(curves))


def sensitivity_drawing(name: str, setting: str, frame: pl.DataFrame) -> Drawing:
    """The accuracy at the end against one setting, a policy a line."""
    figure = _figure(setting.rpartition(".")[2], "test accuracy, %")
    for at, (policy, rows) in enumerate(_by_arm(frame).items()):
        _add_band(figure, at, policy, rows, "value", "low", "high")
        _add_line(figure, at, policy, rows, "value", "accuracy", "%{x:.4g}: %{y:.2f}%", mode="lines+markers")
    key = setting.rpartition(".")[2]
    words = f"Mean accuracy at the end of the budget against {key}, with its 95% interval over seeds."
    return Drawing(f"{name}-{key}", f"Sensitivity to {key}", words, figure, frame)


def range_drawing(name: str, arm: str, measured: Measured) -> Drawing:
    """Accuracy against the rate of a range test, a seed a line, with the bounds and their intervals."""
    figure = _figure("learning rate", "accuracy, %")
    curves = {
        f"seed {run.result.seed}": pl.DataFrame({"rate": curve.rates, "accuracy": curve.accuracies, "loss": curve.losses})
        for run, curve in zip(measured.runs, measured.curves, strict=True)
    }
    for at, (seed, curve) in enumerate(curves.items()):
        _add_line(figure, at, seed, curve, "rate", "accuracy", "%{x:.3g}: %{y:.2f}%", mode="lines+markers")
    bounds = measured.bounds
    seen = [accuracy for curve in curves.values() for accuracy in curve["accuracy"]]
    for label, rate, (low, high) in bounds.found:
        figure.add_vrect(x0=low, x1=high, fillcolor="#7f7f7f", opacity=0.15, line_width=0)
        # A line of points, for the words of an annotation would stay behind when the axis changes between linear and log.
        figure.add_scatter(
            x=[rate, rate],
            y=[min(seen), max(seen)],
            name=f"{label} {rate:.3g} ({low:.3g} to {high:.3g})",
            mode="lines",
            line={"color": "#7f7f7f", "dash": "dash" if label == "base_lr" else "dot"},
        )
    figure.update_xaxes(type="log")
    words = f"{arm}: {bounds.verdict}. {' '.join(bounds.reasons)}"
    return Drawing(f"{name}-range", "Range test", words, figure, _stacked(curves), has_log_x=True)


def _figure(x: str, y: str) -> go.Figure:
    grid = {"gridcolor": "rgba(128,128,128,0.25)", "zerolinecolor": "rgba(128,128,128,0.4)", "automargin": True}
    return go.Figure(
        layout={
            "xaxis": {"title": {"text": x}, **grid},
            "yaxis": {"title": {"text": y}, **grid},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "margin": {"l": 10, "r": 10, "t": 10, "b": 10},
            "legend": {"orientation": "h", "y": -0.2},
            "hovermode": "closest",
            "template": "none",
        }
    )


def _add_line(
    figure: go.Figure, at: int, arm: str, frame: pl.DataFrame, x: str, y: str, hover: str, mode: str = "lines"
) -> None:
    figure.add_scatter(
        x=_rounded(frame[x]),
        y=_rounded(frame[y]),
        # Plotly reads a name as HTML, and an arm's may come from outside.
        name=html.escape(arm),
        legendgroup=html.escape(arm),
        mode=mode,
        line={"color": COLOURS[at % len(COLOURS)], "dash": DASHES[at // len(COLOURS) % len(DASHES)], "width": 2},
        hovertemplate=f"{html.escape(arm)}<br>{hover}<extra></extra>",
    )


def _add_band(figure: go.Figure, at: int, arm: str, frame: pl.DataFrame, x: str, low: str, high: str) -> None:
    whole = frame.drop_nulls([low, high])
    if whole.is_empty():
        return
    colour = COLOURS[at % len(COLOURS)]
    there, back = whole, whole.reverse()
    figure.add_scatter(
        x=_rounded(there[x]) + _rounded(back[x]),
        y=_rounded(there[high]) + _rounded(back[low]),
        legendgroup=html.escape(arm),
        fill="toself",
        fillcolor=f"rgba({', '.join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))}, 0.18)",
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
    )


def _rounded(column: pl.Series) -> list[float | None]:
    """Numbers as they are shown, so that another machine's last digit makes no other page."""
    return [None if value is None else float(f"{value:.{DIGITS + 2}g}") for value in column.to_list()]


def _stacked(frames: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    rows = [frame.select(pl.lit(arm).alias("arm"), pl.all()) for arm, frame in frames.items()]
    return pl.concat(rows) if rows else pl.DataFrame()


def _by_arm(frame: pl.DataFrame) -> Mapping[str, pl.DataFrame]:
    arms: Sequence[str] = frame["arm"].unique(maintain_order=True).to_list()
    return {arm: frame.filter(pl.col("arm") == arm) for arm in arms}
