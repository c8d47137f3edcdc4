"""The comparison of runs on W&B, as code: a workspace for each section of the page, and a W&B report with the page's answer.

Each has a name of its own: saving it again finds and updates it, and loses what was changed in it by hand. The charts draw the
runs that W&B has; the records below results/ decide which sections there are, how they are grouped, and what the answer says.
"""

import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from clrbench import unofficial
from clrbench.analysis.answer import Answer
from clrbench.checkout import here
from clrbench.errors import ClrbenchError
from clrbench.report.claim_table import claim_table
from clrbench.report.contents import Contents, Section
from clrbench.report.summary import answer_paragraphs, claims_in_short
from clrbench.runs import OWN
from clrbench.tracking import wandb as mirror
from clrbench.tracking.sync import check_account
from clrbench.tracking.wandb_environment import be_patient
from clrbench.tracking.wandb_panels import SHOWN_RUNS, WIDE, curves_of, filter_of, outcomes_of, reports, workspaces


@dataclass(frozen=True)
class Project:
    """A project on W&B, and the user or team that owns it."""

    project: str
    entity: str


@dataclass(frozen=True)
class Saved:
    """What was saved, and its address."""

    name: str
    url: str


def selected(contents: Contents, experiment: str | None) -> Contents:
    """The contents with a user's own sections alone, of all experiments or one.

    Raises ClrbenchError where no such run has ended.
    """
    sections = [section for section in contents.sections if section.source == OWN and experiment in (None, section.experiment)]
    if not sections:
        where = f" in the experiment {experiment}" if experiment else ""
        command = here(f"make sweep EXPERIMENT={experiment or 'quick'}")
        raise ClrbenchError(f"none of your runs has ended{where}: run `{command}` first")
    verdicts = [verdict for verdict in contents.verdicts if experiment in (None, verdict.experiment)]
    answer = contents.answer
    if answer and experiment not in (None, answer.compared.treatment.experiment):
        answer = None
    return replace(contents, answer=answer, sections=sections, verdicts=verdicts)


def save(project: str, entity: str | None, title: str, contents: Contents) -> list[Saved]:
    """Save a workspace for each section, and the report with this title, in `project` of `entity` or of the account.

    Saving the same again updates them. Raises ClrbenchError, within seconds, where there is no key, no such project, or a
    server that does not take them.
    """
    be_patient()
    workspaces()
    check_account()
    try:
        to, report_id = _look_up(project, entity, title)
        saved = [_save_workspace(section, to) for section in contents.sections]
        return [*saved, _save_report(title, contents, to, report_id)]
    except ClrbenchError:
        raise
    except Exception as error:
        raise ClrbenchError(f"W&B: {mirror.reason_of(error)}; the same command saves the rest later") from None


def _look_up(project: str, entity: str | None, title: str) -> tuple[Project, str]:
    """Where to save, and the id of the report that has the title already, else an empty one."""
    from wandb import Api

    api = Api()
    to = Project(project, str(entity or api.settings["entity"] or api.default_entity))
    try:
        known = {report.display_name: report.id for report in api.reports(f"{to.entity}/{project}")}
    except ValueError:
        raise ClrbenchError(
            f"W&B has no project {to.entity}/{project}: choose one with --project and --entity, or upload its runs first "
            f"with `{here('make sync')}`"
        ) from None
    return to, known.get(title, "")


def _save_workspace(section: Section, to: Project) -> Saved:
    made, name = workspace(section, to), _address(section)
    unofficial.name_workspace(made, name)
    if known := _known_workspace(to, name):
        unofficial.replace_workspace(made, known)
    made.save()
    return Saved(f"workspace {made.name}", made.url)


def _address(section: Section) -> str:
    """What the address of the section's workspace ends in, the same each time."""
    return f"clrbench{hashlib.sha256(section.name.encode()).hexdigest()[:8]}"


def _known_workspace(to: Project, name: str) -> Any:
    """The workspace that was saved with this name before, else None."""
    try:
        return workspaces().Workspace.from_url(f"https://wandb.ai/{to.entity}/{to.project}?nw={name}")
    except ValueError as error:
        if "not found" not in str(error):
            raise
        return None


def _save_report(title: str, contents: Contents, to: Project, report_id: str) -> Saved:
    made = report(title, contents, to)
    made.id = report_id
    made.save()
    return Saved(f"report {title}", made.url)


def workspace(section: Section, to: Project) -> Any:
    """The comparison of a section's runs: the metric with the rate below it, then the outcomes side by side."""
    ws, wr = workspaces(), reports()
    outcomes = outcomes_of(section)
    parts = [("curves", curves_of(section), 1), ("outcomes", outcomes, len(outcomes))]
    parts += [("runs", [wr.RunComparer(diff_only="split")], 1)]
    return ws.Workspace(
        entity=to.entity,
        project=to.project,
        name=_without_symbols(section.name),
        sections=[
            ws.Section(
                name=name,
                panels=panels,
                is_open=True,
                layout_settings=ws.SectionLayoutSettings(columns=columns, rows=len(panels) // columns),
            )
            for name, panels, columns in parts
        ],
        settings=ws.WorkspaceSettings(x_axis="iteration", max_runs=SHOWN_RUNS),
        runset_settings=ws.RunsetSettings(
            filters=filter_of(section),
            pinned_columns=["run:displayName", "run:jobType", f"summary:{mirror.final_key(section.measure.metric)}"],
        ),
    )


def report(title: str, contents: Contents, to: Project) -> Any:
    """The page's answer, its figure, its table of claims, and below them the charts of each section."""
    wr = reports()
    figure = _figure(contents)
    blocks: list[Any] = []
    if contents.answer:
        blocks.append(_markdown([*answer_paragraphs(contents), _basis(contents.answer, figure)]))
    if figure:
        blocks.append(_grid(figure, to, curves_of(figure)))
    if claims := claims_in_short(claim_table(contents.verdicts), None):
        blocks.append(_markdown(claims))
    for section in contents.sections:
        panels = [*([] if section is figure else curves_of(section)), *outcomes_of(section)]
        blocks += [wr.H2(f"{section.title} ({section.name})"), _grid(section, to, panels)]
    return wr.Report(project=to.project, entity=to.entity, title=title, blocks=blocks, width="fluid")


def _figure(contents: Contents) -> Section | None:
    """The section whose curves are the answer's figure; None where you have no runs of it."""
    if contents.answer is None:
        return None
    arm = contents.answer.compared.treatment
    alike = (
        section
        for section in contents.sections
        if (section.experiment, section.data, section.model) == (arm.experiment, *arm.task)
    )
    return next(alike, None)


def _basis(answer: Answer, figure: Section | None) -> str:
    """Whose runs the answer and its figure are made of."""
    source = answer.compared.treatment.source
    records = "your own runs" if source == OWN else "the records that ship with clrbench"
    lacking = f"You have no runs of it on W&B; `{here('make report')}` draws its figure."
    drawn = "The charts draw your own runs." if figure else lacking
    return f"The answer is computed from {records}. {drawn}"


def _markdown(paragraphs: Sequence[str]) -> Any:
    return reports().MarkdownBlock("\n\n".join(paragraphs))


def _grid(section: Section, to: Project, panels: Sequence[Any]) -> Any:
    """The panels row by row; the client itself lets some of them overlap."""
    wr = reports()
    x = y = below = 0
    for panel in panels:
        width, height = panel.layout.w, panel.layout.h
        if x + width > WIDE:
            x, y = 0, below
        panel.layout = wr.Layout(x=x, y=y, w=width, h=height)
        x, below = x + width, max(below, y + height)
    return wr.PanelGrid(runsets=[_runset(section, to)], panels=list(panels))


def _runset(section: Section, to: Project) -> Any:
    wr = reports()
    return wr.Runset(entity=to.entity, project=to.project, name=section.name, filters=filter_of(section))


def _without_symbols(name: str) -> str:
    """The name of a workspace must not have any: neither emoji nor currencies nor + and =."""
    return "".join("-" if unicodedata.category(sign).startswith("S") else sign for sign in name)
