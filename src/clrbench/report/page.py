"""The report as one HTML file that needs nothing but itself."""

import html
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import jinja2
import yaml

from clrbench.analysis.answer import NO_ANSWER
from clrbench.analysis.arms import Arm, arms_of
from clrbench.analysis.commands import command_of, command_of_seeds
from clrbench.analysis.compared import Compared
from clrbench.analysis.verdicts import RULE
from clrbench.checkout import here, here_in
from clrbench.measure import PERCENT
from clrbench.report import figures
from clrbench.report.answer_picture import answer_dashes
from clrbench.report.claim_table import ClaimRow, ClaimTable, claim_table
from clrbench.report.contents import Contents, Section, origin
from clrbench.report.decision import how_to_choose
from clrbench.report.figures import Drawing
from clrbench.report.league_section import section as league_section
from clrbench.report.palette import COLOURS, colour_of, dashes, style
from clrbench.report.tables import heading_of, steps_frame, summary_frame, text, to_html
from clrbench.report.titles import question_of
from clrbench.report.verdict_rows import VerdictRow
from clrbench.runs import EVIDENCE, Run

HERE = Path(__file__).parent


def render(contents: Contents, folder: Path, conf: Path) -> str:
    """The page, to lie in `folder`, from which its links to the records lead."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"code": _with_code, "here": here}
    anchors = _anchors(contents.sections)
    drawings = [_drawings(section, anchor) for section, anchor in zip(contents.sections, anchors, strict=True)]
    first = _first(contents, anchors)
    return environment.get_template("page.html.j2").render(
        contents=contents,
        shipped=sum(run.source == EVIDENCE for run in contents.runs),
        no_answer=NO_ANSWER,
        first=[_figure(drawing) for drawing in first],
        answer_legend=_answer_legend(contents.answer.compared) if contents.answer else [],
        groups=_groups(claim_table(contents.verdicts), conf),
        how_to_choose=how_to_choose(),
        sections=[
            _section(*parts, folder, conf)
            for parts in zip(contents.sections, _titles(contents.sections), anchors, drawings, strict=True)
        ],
        leagues=[league_section(league, f"league-{at}") for at, league in enumerate(contents.leagues, 1)],
        data=_data([*first, *(drawing for drawn in drawings for drawing in drawn)]),
        rule=" ".join(RULE.replace("`", "").split()),
        css=_file("uplot/uPlot.min.css") + _file("page.css") + style(lambda name, colour: f".{name}{{--policy:{colour}}}"),
        library=_file("uplot/uPlot.iife.min.js"),
        licence=" ".join(_file("uplot/LICENSE").split()),
        script=_file("page.js"),
    )


def _file(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _with_code(sentence: str) -> str:
    """A sentence whose parts between backquotes are code, commands as they are typed here."""
    parts = [html.escape(part) for part in here_in(sentence).split("`")]
    return "".join(f"<code>{part}</code>" if at % 2 else part for at, part in enumerate(parts))


def _anchors(sections: Sequence[Section]) -> list[str]:
    """Where links to the sections lead: the experiment's name, with a number behind it where several share one."""
    seen: Counter[str] = Counter()
    anchors = []
    for section in sections:
        name = re.sub(r"[^a-z0-9_]+", "-", section.experiment.lower())
        seen[name] += 1
        anchors.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return anchors


def _titles(sections: Sequence[Section]) -> list[str]:
    """What readers call the sections, with model and data where several have one title."""
    several = Counter(section.title for section in sections)
    return [
        section.title if several[section.title] == 1 else f"{section.title}: {section.model} on {section.data}"
        for section in sections
    ]


def _first(contents: Contents, anchors: Sequence[str]) -> list[Drawing]:
    """The figure of the answer."""
    if contents.answer is None:
        return []
    arms = contents.answer.compared.best_first
    anchor = next(
        anchor
        for section, anchor in zip(contents.sections, anchors, strict=True)
        if arms[0].label in [arm.label for arm in section.arms]
        and (section.source, section.experiment) == (arms[0].source, arms[0].experiment)
    )
    return figures.answer_drawings(contents.answer.compared, anchor)


def _groups(table: ClaimTable, conf: Path) -> list[dict[str, Any]]:
    """The claims in groups; those that are folded have a summary."""
    few, waiting = (
        f"{len(table.few)} with too few seeds to settle anything",
        f"{len(table.waiting)} not run yet, with their commands",
    )
    groups = [
        ("settled", "Settled", "", table.settled),
        ("open", "Open", "", table.open),
        ("few", "", few, table.few),
        ("waiting", "", waiting, table.waiting),
    ]
    return [
        {"anchor": anchor, "title": title, "summary": summary, "rows": [_claim(row, conf) for row in rows]}
        for anchor, title, summary, rows in groups
        if rows
    ]


def _claim(row: ClaimRow, conf: Path) -> dict[str, Any]:
    return {
        **_verdict(row.row, conf),
        "anchor": row.anchor,
        "why": row.why,
        "is_ours": not row.is_of_the_paper,
        "variants": [_verdict(variant, conf) for variant in row.variants],
    }


def _verdict(row: VerdictRow, conf: Path) -> dict[str, Any]:
    """A row with the commands that make its runs again, an arm each, and the one that settles what these leave unsettled."""
    recorded = [here(command) for arm in arms_of(row.runs) if (command := command_of_seeds(arm.runs, conf))]
    return {
        **vars(row),
        "numbers": to_html(row.values),
        "commands": recorded or [row.command] * (not row.is_unfounded),
        "settles": row.command if row.is_unfounded else "",
    }


def _section(
    section: Section, title: str, anchor: str, drawings: Sequence[Drawing], folder: Path, conf: Path
) -> dict[str, Any]:
    return {
        "anchor": anchor,
        "title": title,
        "question": question_of(section.experiment),
        "about": section.name,
        "origin": origin(section.source),
        # Where a ramp ends is no result.
        "summary": "" if section.range_tests else _summary(section),
        "sentences": section.sentences,
        "steps": to_html(steps_frame(section.steps), "What each change adds, in percentage points"),
        "legend": [] if section.range_tests else _legend(section.best_first),
        "figures": [_figure(drawing) for drawing in drawings],
        "runs": [_arm(arm, f"{anchor}-arm-{at}", folder, conf) for at, arm in enumerate(section.best_first, 1)],
    }


def _summary(section: Section) -> str:
    """The table of a section's arms, with the words for its columns."""
    frame = summary_frame(section.arms, section.summary)
    ends = "accuracy" if section.measure == PERCENT else "value"
    words = {
        "low": "low and high: the 95% interval",
        "to fixed": f"to fixed: iterations to the {ends} at which the fixed rate ends (median)",
        "speed-up": "speed-up: the budget of that fixed rate divided by it",
    }
    return to_html(frame, "; ".join(said for column, said in words.items() if column in frame.columns))


def _legend(arms: Sequence[Arm]) -> list[dict[str, Any]]:
    """A box an arm, in the colour and dash of its line."""
    dash = dashes(arms)
    return [{"arm": arm.label, "name": arm.label, "policy": colour_of(arm), "dash": dash[arm.label]} for arm in arms]


def _answer_legend(found: Compared) -> list[dict[str, Any]]:
    """The same for the answer's figure, by the names alone."""
    dash = answer_dashes(found)
    return [{"arm": arm.label, "name": arm.name, "policy": colour_of(arm), "dash": dash[arm.label]} for arm in found.best_first]


def _drawings(section: Section, anchor: str) -> Sequence[Drawing]:
    if section.range_tests:
        return [
            figures.range_drawing(f"{anchor}-range-{at}", arm, measured)
            for at, (arm, measured) in enumerate(section.range_tests.items(), 1)
        ]
    arms = section.best_first
    drawings = [
        figures.accuracy_drawing(f"{anchor}-accuracy", arms, section.accuracy),
        figures.rate_drawing(f"{anchor}-rate", arms, section.rates),
        figures.target_drawing(f"{anchor}-targets", arms, section.targets),
    ]
    drawings += [
        figures.sensitivity_drawing(f"{anchor}-{setting.rpartition('.')[2]}", setting, arms, frame)
        for setting, frame in section.sensitivity.items()
    ]
    return [drawing for drawing in drawings if not drawing.is_empty]


def _figure(drawing: Drawing) -> dict[str, Any]:
    kind = drawing.kind
    return {"anchor": drawing.name, "title": kind.title, "words": kind.words, "has_log_x": kind.has_log_x}


def _data(drawings: Iterable[Drawing]) -> str:
    """The numbers of all figures."""
    data = {"colours": COLOURS, "figures": {drawing.name: drawing.data for drawing in drawings}}
    # Inside a script element, only this could end it.
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def _arm(arm: Arm, anchor: str, folder: Path, conf: Path) -> dict[str, Any]:
    config = {key: value for key, value in arm.runs[0].config.items() if key not in ("identity", "run_id", "seed", "overrides")}
    return {
        "anchor": anchor,
        "label": arm.label,
        "heading": heading_of([arm]),
        "rows": [_run(run, folder, conf) for run in arm.runs],
        "config": yaml.safe_dump(config, sort_keys=False, allow_unicode=True),
    }


def _run(run: Run, folder: Path, conf: Path) -> dict[str, str]:
    result = run.result
    return {
        "seed": str(result.seed),
        "status": result.status if result.reason is None else f"{result.status}: {result.reason}",
        "accuracy": text(result.value, "accuracy" if run.measure.is_percent else "value"),
        "iterations": f"{result.iterations:,}",
        "device": result.device,
        "link": Path(os.path.relpath(run.record.folder, folder)).as_posix() + "/",
        "name": result.name,
        "command": here(command_of(run, conf)),
    }
