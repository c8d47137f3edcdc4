"""The report in Markdown, and the README's results."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from statistics import fmean
from typing import Any

from clrbench.analysis.answer import NO_ANSWER
from clrbench.analysis.arms import Arm, arms_of
from clrbench.analysis.cases import ORDER
from clrbench.analysis.commands import command_of_seeds
from clrbench.analysis.compared import paper_numbers
from clrbench.analysis.relations import NOT_RUN
from clrbench.analysis.verdicts import Verdict
from clrbench.checkout import here, here_in
from clrbench.errors import ClrbenchError
from clrbench.report.claim_table import ClaimRow, ClaimTable, claim_table
from clrbench.report.contents import Contents, Section, origin
from clrbench.report.league import budget, sentences
from clrbench.report.league_section import EndedLeague, gains_frame, in_short, ranks_frame
from clrbench.report.tables import escaped, in_cell, summary_frame, to_markdown
from clrbench.report.verdict_rows import VerdictRow
from clrbench.runs import EVIDENCE, OWN, Run
from clrbench.stats import interval

BEGIN, END = "<!-- results: made by `make ship` -->", "<!-- end of results -->"
_COLUMNS = (
    'In the tables of experiments, low and high are the ends of the mean\'s 95% interval over seeds; "to fixed" counts the '
    'iterations to the accuracy at which the best fixed rate ends (the median over seeds), and "speed-up" is the budget of '
    "that fixed rate divided by it."
)


def summary(contents: Contents, conf: Path, maker: str = "make report") -> str:
    """summary.md, which the command `maker` makes: the answer, the claims, and a table an experiment."""
    table = claim_table(contents.verdicts)
    parts = [
        "# What the runs say",
        f"`{here(maker)}` generates this file and the page beside it from `results/`.",
        *_with_picture(answer_paragraphs(contents), "![accuracy against epochs, and the learning rates](table1.svg)"),
    ]
    parts += claims_in_short(table, "")
    parts += ["## The claims in detail", "\n\n".join(_detail(row) for row in table.judged)]
    parts += ["## Not run yet", "\n".join(_waiting(row.row) for row in table.waiting)]
    parts += _paper_runs(contents.runs, contents.verdicts, conf)
    for league in contents.leagues:
        parts += _league(league)
    parts += [_COLUMNS] if contents.sections else []
    for section in contents.sections:
        rows = to_markdown(summary_frame(section.arms, section.summary)) if not section.range_tests else _range_tests(section)
        title = f"## {in_cell(section.title)} ({in_cell(section.name)}, {origin(section.source)})"
        parts += [title, *map(_prose, section.sentences), rows]
    if contents.faults:
        parts += ["## Left out", "\n".join(f"- {in_cell(fault)}" for fault in contents.faults)]
    return "\n\n".join(parts) + "\n"


def _league(league: EndedLeague) -> list[str]:
    parts = [f"## The league: policies across tasks ({league.source})"]
    for standing in league.standings:
        title = f"### {budget(standing.part).capitalize()}"
        gains = f"Gain over the tuned fixed rate, mean and 95% interval:\n\n{to_markdown(gains_frame(standing))}"
        parts += [title, in_cell(" ".join(sentences(standing))), gains, to_markdown(ranks_frame(standing))]
    return parts


def answer_paragraphs(contents: Contents) -> list[str]:
    """The answer's sentences, a paragraph a part."""
    if contents.answer is None:
        return [NO_ANSWER]
    (_, measured), *others = contents.answer.parts
    others = [*others, *(("Across tasks", lines) for lines in map(in_short, contents.leagues))]
    answers = [f"**{heading}:** {' '.join(_prose(line) for line in lines)}" for heading, lines in others]
    first, *rest = map(_prose, measured)
    return [f"**{first}** {' '.join(rest)}", *answers]


def _with_picture(paragraphs: Sequence[str], picture: str) -> list[str]:
    """The picture behind what was measured and what to choose; none where there is no answer."""
    return [*paragraphs[:2], picture, *paragraphs[2:]] if len(paragraphs) > 1 else list(paragraphs)


def _prose(sentence: str) -> str:
    """A sentence as Markdown; what stands between backquotes is code, commands as they are typed here."""
    parts = here_in(sentence).split("`")
    return "`".join(part if at % 2 else escaped(part) for at, part in enumerate(parts))


def claims_in_short(table: ClaimTable, target: str | None) -> list[str]:
    """The table of claims in plain words, its rows linked to the details in the document `target`, "" for the same document.

    Without a target there are no links.
    """
    heads = ("claim", "verdict", "measured here, 95% interval", "in the paper")
    rows = [("**Settled**", "", "", ""), *(_claim(row, target) for row in table.settled if row.is_of_the_paper)]
    rows += [("**Open**", "", "", ""), *(_claim(row, target) for row in table.open if row.is_of_the_paper)]
    lines = ["| " + " | ".join(cells) + " |" for cells in (heads, ("---",) * len(heads), *rows)]
    parts = ["\n".join(lines)] if len(rows) > 2 else []
    own = [row for row in (*table.settled, *table.open) if not row.is_of_the_paper]
    parts += _own(own)
    counts = [f"{len(table.few)} with too few seeds to settle anything" if table.few else ""]
    able = [row for row in table.waiting if not row.verdict.claim.missing]
    counts += [f"{len(able)} not run yet" if able else ""]
    lacking = len(table.waiting) - len(able)
    counts += [f"{lacking} for which the suite lacks something" if lacking else ""]
    further = ", ".join(filter(None, counts))
    where = {None: f"`{here('make report')}` lists", "": "the list below has"}.get(
        target, f"[{target}]({target}#not-run-yet) has"
    )
    return [*parts, f"Further claims: {further}; {where} them, with the commands that run them."] if further else parts


def _claim(row: ClaimRow, target: str | None) -> tuple[str, str, str, str]:
    verdict = f"**{row.verdict.verdict}**" + (f": {in_cell(row.why)}" if row.why else "")
    mine = " (yours)" if row.verdict.source == OWN else ""
    says = in_cell(row.row.says) if target is None else f"[{in_cell(row.row.says)}]({target}#{row.anchor})"
    return f"{says}{mine}", verdict, in_cell(row.row.measured), in_cell(row.row.paper)


def _own(rows: Iterable[ClaimRow]) -> list[str]:
    """The files of claims that are not the paper's, each with its verdicts, in one line; none where there are none."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        counts[row.verdict.case.family.title][row.verdict.verdict] += 1
    verdicts = {title: ", ".join(f"{count} {verdict}" for verdict, count in of.items()) for title, of in counts.items()}
    families = "; ".join(f"{title} ({counted})" for title, counted in verdicts.items())
    return [in_cell(f"Claims that are not the paper's: {families}.")] if families else []


def _detail(row: ClaimRow) -> str:
    """A claim with all its verdicts, at the place that the table links to."""
    why = f"; {row.why}" if row.why else ""
    lines = [f"- {_in_short(one)}" for one in (row.row, *row.variants)]
    head = f'<a id="{row.anchor}"></a>**{row.row.id}: {in_cell(row.row.says)}** ({in_cell(row.row.source)}{in_cell(why)})'
    return "\n".join([head, "", *lines])


def _in_short(row: VerdictRow) -> str:
    command = f": `{row.command}`" if row.verdict == NOT_RUN and row.command else ""
    tests = f" ({in_cell(row.tests)})" if row.tests else ""
    runs = f"{in_cell(row.experiment)}{f', {row.origin}' if row.origin else ''}"
    return f"{runs}: **{row.verdict}**, {in_cell(row.reason)}{tests}{command}"


def _waiting(row: VerdictRow) -> str:
    why = in_cell("; ".join([row.reason, *row.missing]))
    return f"- {row.id}, {in_cell(row.says)}: {why}" + (f": `{row.command}`" if row.command else "")


def _range_tests(section: Section) -> str:
    return "\n".join(
        f"- {in_cell(arm)}: {measured.bounds.verdict}, base_lr {_rate(measured.bounds.base_lr)}, "
        f"max_lr {_rate(measured.bounds.max_lr)} (n = {len(measured.runs)}). {in_cell(' '.join(measured.bounds.reasons))}"
        for arm, measured in section.range_tests.items()
    )


def _rate(rate: float | None) -> str:
    return "unknown" if rate is None else f"{rate:.3g}"


def readme_block(contents: Contents) -> str:
    """The README's results: the answer, its picture and the table of claims."""
    picture = (
        '<picture><source media="(max-width: 600px)" srcset="results/report/table1_narrow.svg">'
        '<img src="results/report/table1.svg" alt="test accuracy against epochs, and learning rates below" width="100%">'
        "</picture>"
    )
    parts = _with_picture(answer_paragraphs(contents), picture)
    return "\n\n".join([*parts, *claims_in_short(claim_table(contents.verdicts), "results/report/summary.md")])


def _paper_runs(runs: Iterable[Run], verdicts: Sequence[Verdict], conf: Path) -> list[str]:
    """The shipped runs that the paper gives a number for, beside it; nothing where there are none."""
    paper, settings = paper_numbers(verdicts), {verdict.experiment: verdict.claim.setting for verdict in verdicts}
    shipped = [run for run in runs if run.source == EVIDENCE and run.is_finished and _kind(run) in paper]
    alike = [run for run in shipped if _has(run, settings[run.result.experiment])]
    rows = [_paper_row(arm, paper[_kind(arm.runs[0])], conf) for arm in arms_of(alike)]
    heads = ["| run of the paper | the paper | here | n | command |", "|---|---|---|---|---|"]
    return ["## The runs of the paper", "\n".join([*heads, *rows])] if rows else []


def _kind(run: Run) -> tuple[str, str]:
    return run.result.experiment, run.result.arm or ""


def _has(run: Run, setting: Mapping[str, Any]) -> bool:
    return all(run.values.get(key) == value for key, value in setting.items() if key != ORDER)


def _order(arm: Arm) -> str:
    """How its images came."""
    return "images in one order" if arm.runs[0].values[ORDER] == "fixed" else "images shuffled anew each epoch"


def _beside_the_papers(arm: Arm) -> list[str]:
    """What tells the runs of an arm from the paper's, in length and in arithmetic."""
    scale = arm.runs[0].values["scale"]
    shorter = [] if scale == 1 else [f"at {Fraction(scale).limit_denominator(100)} of the paper's length"]
    return [*shorter, *([f"in {arm.arithmetic}"] if arm.arithmetic else [])]


def _paper_row(arm: Arm, number: float, conf: Path) -> str:
    accuracies = list(arm.accuracies.values())
    ends = interval(accuracies)
    mean = f"{fmean(accuracies):.2f}%" + ("" if ends is None else f" [{ends[0]:.2f}, {ends[1]:.2f}]")
    what = ", ".join([in_cell(arm.name), f"{arm.iterations:,} iterations", *_beside_the_papers(arm), _order(arm)])
    command = here(command_of_seeds(arm.runs, conf))
    return f"| {what} | {number:.1f}% | {in_cell(mean)} | {len(accuracies)} | `{command}` |"


def with_block(text: str, block: str, name: str = "README.md", marks: tuple[str, str] = (BEGIN, END)) -> str:
    """The document `name` with what stands between its marks replaced. Raises ClrbenchError where it lacks them."""
    head, begin, rest = text.partition(marks[0])
    _, end, tail = rest.partition(marks[1])
    if not begin or not end:
        raise ClrbenchError(f"{name}: lacks the lines {marks[0]} and {marks[1]} between which the results stand: put them in")
    return f"{head}{begin}\n\n{block}\n\n{end}{tail}"
