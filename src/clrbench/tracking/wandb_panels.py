"""The charts of one section on W&B, and the runs that they draw."""

import math
from importlib import import_module
from typing import Any

from clrbench.analysis.targets import iterations_to_target
from clrbench.errors import ClrbenchError
from clrbench.measure import PERCENT
from clrbench.report.answer_picture import span_of
from clrbench.report.contents import Section
from clrbench.tracking import wandb as mirror
from clrbench.tracking.judgement import PICTURE

# How many targets have a chart, the highest ones, and how many runs a chart shows: by default W&B shows ten.
SHOWN_TARGETS, SHOWN_RUNS = 3, 100
# On W&B, the arm of a run is its job type.
ARM = "JobType"
# W&B's grid is 24 columns wide.
WIDE = 24


def curves_of(section: Section) -> list[Any]:
    """The metric and, below it, rate: a line a group, with a band from the lowest to the highest of its runs."""
    wr = reports()
    key, name = _grouping(section)
    band: dict[str, Any] = {
        "groupby": key,
        "groupby_aggfunc": "mean",
        "groupby_rangefunc": "minmax",
        "max_runs_to_show": SHOWN_RUNS,
    }
    ends = [accuracy for arm in section.arms for accuracy in arm.accuracies.values()]
    return [
        wr.LinePlot(
            title=f"{section.measure.heading}, by {name}: mean and range over seeds",
            x="epoch",
            y=[section.evaluated],
            range_y=span_of(ends) if ends and not section.range_tests else (None, None),
            layout=wr.Layout(w=WIDE, h=10),
            **band,
        ),
        wr.LinePlot(title=f"learning rate by {name}", x="iteration", y=["lr"], layout=wr.Layout(w=WIDE, h=5), **band),
    ]


def outcomes_of(section: Section) -> list[Any]:
    """Final values, a bar a group; iterations to each of the highest accuracies, a bar a run. Of range tests, their pictures.

    The iterations are not grouped, for a mean over the runs that get there would hide those that never do.
    """
    wr = reports()
    if section.range_tests:
        return [wr.MediaBrowser(title="bounds, and why", media_keys=[PICTURE], num_columns=1)]
    key, name = _grouping(section)
    final = wr.BarPlot(
        title=f"final {section.measure.metric.replace('_', ' ')} by {name}",
        metrics=[mirror.final_key(section.measure.metric)],
        title_x="percent" if section.measure.is_percent else section.measure.unit,
        groupby=key,
        groupby_aggfunc="mean",
        groupby_rangefunc="minmax",
        max_runs_to_show=SHOWN_RUNS,
        max_bars_to_show=SHOWN_RUNS,
    )
    return [final] + [
        wr.BarPlot(
            title=f"iterations to {target}% (no bar: not reached)",
            metrics=[mirror.target_key(target)],
            max_runs_to_show=SHOWN_RUNS,
            max_bars_to_show=SHOWN_RUNS,
        )
        for target in _targets(section)
    ]


def _targets(section: Section) -> list[int]:
    """The highest accuracies that a run of the section reaches; none of another metric."""
    if section.measure != PERCENT:
        return []
    courses = [run.course for arm in section.arms for run in arm.finished]
    reached = [
        target for target in mirror.TARGETS if any(math.isfinite(iterations_to_target(course, target)) for course in courses)
    ]
    return reached[-SHOWN_TARGETS:]


def _grouping(section: Section) -> tuple[Any, str]:
    """What makes a group, and its name: the arm's; where arms share one, the setting that tells the most of them apart."""
    wr = reports()
    if len({arm.name for arm in section.arms}) == len(section.arms):
        return wr.Metric(ARM), "arm"
    settings = sorted({key for arm in section.arms for key in arm.differences})
    key = max(settings, key=lambda key: len({repr(arm.differences.get(key)) for arm in section.arms}))
    return wr.Config(key), key


def filter_of(section: Section) -> str:
    """Which runs of the project belong to the section, in W&B's language."""
    tags = " and ".join(f"Metric('Tags') in [{_literal(tag)}]" for tag in (section.data, section.model))
    return f"Metric('Group') == {_literal(section.experiment)} and {tags}"


def _literal(text: str) -> str:
    """Text for a filter. The client takes = and < for operators even within quotes, and leaves quotes as they are."""
    return "'" + "".join(sign if sign.isalnum() else f"\\U{ord(sign):08x}" for sign in text) + "'"


def workspaces() -> Any:
    """W&B's package for workspaces. Raises ClrbenchError where that is not installed."""
    return _client("workspaces")


def reports() -> Any:
    """W&B's package for reports. Raises ClrbenchError where that is not installed."""
    return _client("reports.v2")


def _client(name: str) -> Any:
    """A module of W&B's package for views. Raises ClrbenchError where that is not installed."""
    try:
        return import_module(f"wandb_workspaces.{name}")
    except ModuleNotFoundError:
        raise ClrbenchError("wandb-workspaces is not installed: pip install 'clrbench[workspaces]'") from None
