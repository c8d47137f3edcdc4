"""The report as one HTML file that needs nothing but itself."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import yaml
from plotly.offline import get_plotlyjs

from clrbench.analysis import verdicts
from clrbench.analysis.commands import command_of
from clrbench.analysis.runs import EVIDENCE, Arm, Run
from clrbench.analysis.verdicts import NOT_RUN
from clrbench.report import figures
from clrbench.report.contents import Contents, Section, origin
from clrbench.report.figures import Drawing
from clrbench.report.rows import advice_title, verdict_row
from clrbench.report.tables import steps_frame, summary_frame, text, to_html

HERE = Path(__file__).parent


def render(contents: Contents, folder: Path, conf: Path) -> str:
    """The page, to lie in `folder`, from which its links to the records lead."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    rows = [verdict_row(verdict, number) for number, verdict in enumerate(contents.verdicts, 1)]
    verdict_rows = [{**vars(row), "numbers": to_html(row.values)} for row in rows]
    return environment.get_template("page.html.j2").render(
        contents=contents,
        shipped=sum(run.source == EVIDENCE for run in contents.runs),
        judged=[row for row in verdict_rows if row["verdict"] != NOT_RUN],
        waiting=[row for row in verdict_rows if row["verdict"] == NOT_RUN],
        advice=[{**vars(advice), "title": advice_title(advice)} for advice in contents.advice],
        sections=[_section(section, f"experiment-{at}", folder, conf) for at, section in enumerate(contents.sections, 1)],
        rule=" ".join((verdicts.__doc__ or "").replace("`", "").split()),
        css=(HERE / "page.css").read_text(encoding="utf-8"),
        script=(HERE / "page.js").read_text(encoding="utf-8"),
        plotly=get_plotlyjs(),
    )


def _section(section: Section, anchor: str, folder: Path, conf: Path) -> dict[str, Any]:
    caption = "low and high: the 95% interval; to fixed: iterations to the accuracy at which the fixed rate ends (median)"
    anchors = {arm.label: f"{anchor}-arm-{at}" for at, arm in enumerate(section.arms, 1)}
    return {
        "anchor": anchor,
        "title": section.name,
        "origin": origin(section.source),
        # Where a ramp ends is no result.
        "summary": ""
        if section.range_tests
        else to_html(summary_frame(section.summary), caption, [f"#{anchors[arm.label]}" for arm in section.arms]),
        "sentences": section.sentences,
        "steps": to_html(steps_frame(section.steps), "What each change adds, in percentage points"),
        "arms": list(anchors),
        "drawings": [_drawing(drawing) for drawing in _drawings(section, anchor)],
        "runs": [_arm(arm, anchors[arm.label], folder, conf) for arm in section.arms],
    }


def _drawings(section: Section, anchor: str) -> Sequence[Drawing]:
    if section.range_tests:
        return [
            figures.range_drawing(f"{anchor}-{at}", arm, measured)
            for at, (arm, measured) in enumerate(section.range_tests.items(), 1)
        ]
    drawings = [
        figures.accuracy_drawing(anchor, section.accuracy),
        figures.rate_drawing(anchor, section.rates),
        figures.target_drawing(anchor, section.targets),
    ]
    drawings += [figures.sensitivity_drawing(anchor, setting, frame) for setting, frame in section.sensitivity.items()]
    return [drawing for drawing in drawings if not drawing.table.is_empty()]


def _drawing(drawing: Drawing) -> dict[str, str | bool]:
    return {
        "anchor": drawing.name,
        "title": drawing.title,
        "words": drawing.words,
        # Inside a script element, only this could end it.
        "json": str(drawing.figure.to_json()).replace("<", "\\u003c"),
        "table": to_html(drawing.table),
        "has_log_x": drawing.has_log_x,
    }


def _arm(arm: Arm, anchor: str, folder: Path, conf: Path) -> dict[str, Any]:
    config = {key: value for key, value in arm.runs[0].config.items() if key not in ("identity", "run_id", "seed", "overrides")}
    return {
        "anchor": anchor,
        "label": arm.label,
        "rows": [_run(run, folder, conf) for run in arm.runs],
        "config": yaml.safe_dump(config, sort_keys=False, allow_unicode=True),
    }


def _run(run: Run, folder: Path, conf: Path) -> dict[str, str]:
    result = run.result
    return {
        "seed": str(result.seed),
        "status": result.status if result.reason is None else f"{result.status}: {result.reason}",
        "accuracy": text(result.value, "accuracy"),
        "iterations": f"{result.iterations:,}",
        "device": result.device,
        "link": Path(os.path.relpath(run.record.folder, folder)).as_posix() + "/",
        "name": result.name,
        "command": command_of(run, conf),
    }
