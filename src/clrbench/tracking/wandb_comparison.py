"""The comparison of runs on W&B, as code: a workspace for each section of the report, and a W&B report with the verdicts.

Each is saved under a name of its own, by which it is found and updated the next time; what was changed in it by hand is then
lost. What is drawn are the runs that W&B has; the records below results/ say which sections there are, and by what to group.
"""

import hashlib
import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import polars as pl

from clrbench import unofficial
from clrbench.analysis.relations import NOT_RUN
from clrbench.analysis.targets import iterations_to_target
from clrbench.analysis.verdicts import Verdict
from clrbench.errors import ClrbenchError
from clrbench.report.contents import Contents, Section, origin
from clrbench.report.tables import to_markdown
from clrbench.runs import OWN
from clrbench.tracking import wandb as mirror
from clrbench.tracking.judgement import PICTURE
from clrbench.tracking.sync import check_account
from clrbench.tracking.wandb_environment import be_patient

# How many targets have a chart, the highest ones, and how many runs a chart shows: by default W&B shows ten.
SHOWN_TARGETS, SHOWN_RUNS = 3, 100
# On W&B, the policy of a run is its job type.
POLICY = "JobType"
ABOUT = (
    "A claim of the paper *holds* or *fails* by paired differences over seeds, else it is *inconclusive*, or *not run*. "
    "Shipped records count for the verdicts, but are not among the runs below."
)


@dataclass(frozen=True)
class Destination:
    """A project on W&B, and the user or team that owns it."""

    project: str
    entity: str


@dataclass(frozen=True)
class Saved:
    """What was saved, and its address."""

    name: str
    url: str


def selected(contents: Contents, experiment: str | None) -> tuple[list[Section], list[Verdict]]:
    """A user's own sections, and the verdicts, of all experiments or one. Raises ClrbenchError where no such run has ended."""
    sections = [section for section in contents.sections if section.source == OWN and experiment in (None, section.experiment)]
    if not sections:
        where = f" in the experiment {experiment}" if experiment else ""
        raise ClrbenchError(f"no run of your own has ended{where}: `make sweep EXPERIMENT={experiment or 'quick'}` first")
    return sections, [verdict for verdict in contents.verdicts if experiment in (None, verdict.experiment)]


def save(project: str, entity: str | None, title: str, sections: Sequence[Section], verdicts: Sequence[Verdict]) -> list[Saved]:
    """Save a workspace for each of `sections`, and the report with this title, in `project` of `entity` or of the account.

    Saving the same again updates them. Raises ClrbenchError, within seconds, where there is no key, no such project, or a
    server that does not take them.
    """
    be_patient()
    _workspaces()
    check_account()
    try:
        to, report_id = _look_up(project, entity, title)
        saved = [_save_workspace(section, to) for section in sections]
        return [*saved, _save_report(title, sections, verdicts, to, report_id)]
    except ClrbenchError:
        raise
    except Exception as error:
        raise ClrbenchError(f"W&B: {mirror.reason_of(error)}; the same command saves the rest later") from None


def _look_up(project: str, entity: str | None, title: str) -> tuple[Destination, str]:
    """Where to save, and the id of the report that has the title already, else an empty one."""
    from wandb import Api

    api = Api()
    to = Destination(project, str(entity or api.settings["entity"] or api.default_entity))
    try:
        known = {report.display_name: report.id for report in api.reports(f"{to.entity}/{project}")}
    except ValueError:
        raise ClrbenchError(
            f"W&B has no project {to.entity}/{project}: choose one with --project and --entity, or upload its runs first "
            "with `make sync`"
        ) from None
    return to, known.get(title, "")


def _save_workspace(section: Section, to: Destination) -> Saved:
    made, name = workspace(section, to), _address(section)
    unofficial.name_workspace(made, name)
    if known := _known_workspace(to, name):
        unofficial.replace_workspace(made, known)
    made.save()
    return Saved(f"workspace {made.name}", made.url)


def _address(section: Section) -> str:
    """What the address of the section's workspace ends in, the same each time."""
    return f"clrbench{hashlib.sha256(section.name.encode()).hexdigest()[:8]}"


def _known_workspace(to: Destination, name: str) -> Any:
    """The workspace that was saved with this name before, else None."""
    try:
        return _workspaces().Workspace.from_url(f"https://wandb.ai/{to.entity}/{to.project}?nw={name}")
    except ValueError as error:
        if "not found" not in str(error):
            raise
        return None


def _save_report(
    title: str, sections: Sequence[Section], verdicts: Sequence[Verdict], to: Destination, report_id: str
) -> Saved:
    made = report(title, sections, verdicts, to)
    made.id = report_id
    made.save()
    return Saved(f"report {title}", made.url)


def workspace(section: Section, to: Destination) -> Any:
    """The comparison of a section's runs."""
    ws, wr = _workspaces(), _reports()
    parts = {"curves": _curves(section), "outcomes": _outcomes(section), "runs": [wr.RunComparer(diff_only="split")]}
    return ws.Workspace(
        entity=to.entity,
        project=to.project,
        name=_without_symbols(section.name),
        sections=[
            ws.Section(
                name=name,
                panels=panels,
                is_open=True,
                layout_settings=ws.SectionLayoutSettings(columns=len(panels), rows=1),
            )
            for name, panels in parts.items()
        ],
        settings=ws.WorkspaceSettings(x_axis="iteration", max_runs=SHOWN_RUNS),
        runset_settings=ws.RunsetSettings(
            filters=_filter(section), pinned_columns=["run:displayName", "run:jobType", f"summary:{mirror.FINAL}"]
        ),
    )


def report(title: str, sections: Sequence[Section], verdicts: Sequence[Verdict], to: Destination) -> Any:
    """The verdicts, and below them the curves and outcomes of each section."""
    wr = _reports()
    blocks: list[Any] = [wr.MarkdownBlock(f"{ABOUT}\n\n{verdict_table(verdicts)}")]
    for section in sections:
        panels = [*_curves(section), *_outcomes(section)]
        blocks += [wr.H2(section.name), wr.PanelGrid(runsets=[_runset(section, to)], panels=panels)]
    return wr.Report(project=to.project, entity=to.entity, title=title, blocks=blocks, width="fluid")


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    """Markdown: a row a verdict, those that runs have settled or left open first, every text in it escaped."""
    columns = ("claim", "says", "verdict", "why", "runs of", "whose")
    rows = [
        (verdict.claim.id, verdict.claim.says, verdict.verdict, verdict.reason, verdict.experiment, origin(verdict.source))
        for verdict in sorted(verdicts, key=lambda verdict: verdict.verdict == NOT_RUN)
    ]
    return to_markdown(pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row"))


def _curves(section: Section) -> list[Any]:
    """Accuracy and rate: a line a group, with a band from the least to the greatest of its runs."""
    wr = _reports()
    key, name = _grouping(section)
    band: dict[str, Any] = {
        "groupby": key,
        "groupby_aggfunc": "mean",
        "groupby_rangefunc": "minmax",
        "max_runs_to_show": SHOWN_RUNS,
    }
    return [
        wr.LinePlot(title=f"test accuracy by {name}", x="epoch", y=["test_accuracy"], title_y="percent", **band),
        wr.LinePlot(title=f"learning rate by {name}", x="iteration", y=["lr"], **band),
    ]


def _outcomes(section: Section) -> list[Any]:
    """Final accuracy, a bar a group; iterations to each of the highest targets, a bar a run. Of range tests, their pictures.

    The iterations are not grouped, for a mean over the runs that get there would hide those that never do.
    """
    wr = _reports()
    if section.range_tests:
        return [wr.MediaBrowser(title="bounds, and why", media_keys=[PICTURE], num_columns=1)]
    key, name = _grouping(section)
    final = wr.BarPlot(
        title=f"final test accuracy by {name}",
        metrics=[mirror.FINAL],
        title_x="percent",
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
    """The highest targets that a run of the section reaches."""
    courses = [run.course for arm in section.arms for run in arm.finished]
    reached = [
        target for target in mirror.TARGETS if any(math.isfinite(iterations_to_target(course, target)) for course in courses)
    ]
    return reached[-SHOWN_TARGETS:]


def _grouping(section: Section) -> tuple[Any, str]:
    """What makes a group, and its name: the arm's; where arms share one, the setting that tells the most of them apart."""
    wr = _reports()
    if len({arm.name for arm in section.arms}) == len(section.arms):
        return wr.Metric(POLICY), "policy"
    settings = sorted({key for arm in section.arms for key in arm.differences})
    key = max(settings, key=lambda key: len({repr(arm.differences.get(key)) for arm in section.arms}))
    return wr.Config(key), key


def _runset(section: Section, to: Destination) -> Any:
    wr = _reports()
    return wr.Runset(entity=to.entity, project=to.project, name=section.name, filters=_filter(section))


def _filter(section: Section) -> str:
    """Which runs of the project belong to the section, in W&B's language."""
    tags = " and ".join(f"Metric('Tags') in [{_literal(tag)}]" for tag in (section.data, section.model))
    return f"Metric('Group') == {_literal(section.experiment)} and {tags}"


def _literal(text: str) -> str:
    """Text for a filter. The client takes = and < for operators even within quotes, and leaves quotes as they are."""
    return "'" + "".join(sign if sign.isalnum() else f"\\U{ord(sign):08x}" for sign in text) + "'"


def _without_symbols(name: str) -> str:
    """The name of a workspace must not have any: neither emoji nor currencies nor + and =."""
    return "".join("-" if unicodedata.category(sign).startswith("S") else sign for sign in name)


def _workspaces() -> Any:
    return _client("workspaces")


def _reports() -> Any:
    return _client("reports.v2")


def _client(name: str) -> Any:
    """A module of W&B's package for views. Raises ClrbenchError where that is not installed."""
    try:
        return import_module(f"wandb_workspaces.{name}")
    except ModuleNotFoundError:
        raise ClrbenchError("wandb-workspaces is not installed: pip install 'clrbench[workspaces]'") from None
