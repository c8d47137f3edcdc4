"""What the report says, before it has a form: the same for the page and the summary."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import polars as pl

from clrbench.analysis.answer import Answer, answer
from clrbench.analysis.arm_table import summarize
from clrbench.analysis.arms import Arm, arms_of
from clrbench.analysis.curves import accuracy_curve, rate_curve, sensitivity, target_curves
from clrbench.analysis.decomposition import Step, decompose, decomposition_in_words
from clrbench.analysis.relations import PAPERS_RULE
from clrbench.analysis.verdicts import Verdict, judge_all
from clrbench.analysis.wrong_bounds import deviations
from clrbench.errors import ClrbenchError
from clrbench.league.rows import LEAGUE, Row, read_table
from clrbench.measure import Measure
from clrbench.range_test.records import RANGE_TEST, Measured, range_tests
from clrbench.report.decisions import Shown, decisions
from clrbench.report.league import unranked_lines
from clrbench.report.league_section import EndedLeague
from clrbench.report.titles import position, title_of
from clrbench.runs import EVIDENCE, SOURCES, Run, read_runs


@dataclass(frozen=True)
class Section:
    """One experiment's arms on one data set and model, from one source."""

    source: str
    experiment: str
    data: str
    model: str
    arms: Sequence[Arm]

    @property
    def name(self) -> str:
        """Tells the section from others; for people."""
        return f"{self.experiment}: {self.model} on {self.data}"

    @property
    def title(self) -> str:
        """What a reader calls it."""
        return title_of(self.experiment)

    @property
    def measure(self) -> Measure:
        """What its runs are compared by."""
        return self.arms[0].measure

    @property
    def evaluated(self) -> str:
        """The name of what each evaluation measures: see Run."""
        return self.arms[0].runs[0].evaluated

    @property
    def summary(self) -> pl.DataFrame:
        """A row an arm, the best first: see analysis.arm_table."""
        is_more = self.measure.sign > 0
        return summarize(self.arms).sort("test_accuracy", descending=is_more, nulls_last=True, maintain_order=True)

    @property
    def best_first(self) -> list[Arm]:
        """The arms, the best first."""
        return sorted(
            self.arms, key=lambda arm: -arm.measure.sign * fmean(arm.accuracies.values()) if arm.accuracies else math.inf
        )

    @property
    def accuracy(self) -> dict[str, pl.DataFrame]:
        """By arm: see analysis.curves."""
        return {arm.label: accuracy_curve(arm) for arm in self.best_first if arm.finished}

    @property
    def rates(self) -> dict[str, pl.DataFrame]:
        """By arm: see analysis.curves."""
        return {arm.label: curve for arm in self.best_first if not (curve := rate_curve(arm)).is_empty()}

    @property
    def targets(self) -> dict[str, pl.DataFrame]:
        """By arm: see analysis.targets."""
        return target_curves(self.best_first)

    @property
    def sensitivity(self) -> dict[str, pl.DataFrame]:
        """By setting: see analysis.curves."""
        return sensitivity(self.arms)

    @property
    def range_tests(self) -> dict[str, Measured]:
        """By arm, for those that are ramps of a range test, and by scan."""
        if self.experiment != RANGE_TEST:
            return {}
        return range_tests({arm.label: arm.runs for arm in self.arms if "images" in arm.runs[0].config}, PAPERS_RULE)

    @property
    def steps(self) -> list[Step]:
        """Why CLR wins, and what wrong bounds cost, where the section has the arms for it."""
        wrong = [step for deviation in deviations(self.arms) if (step := deviation.step)]
        return [*decompose(self.arms), *wrong]

    @property
    def sentences(self) -> list[str]:
        """Why CLR wins, in words."""
        return decomposition_in_words(self.arms)


@dataclass(frozen=True)
class Contents:
    """All that is reported. answer: None where no run bears on it. faults: what could not be read, and why."""

    answer: Answer | None
    verdicts: Sequence[Verdict]
    sections: Sequence[Section]
    runs: Sequence[Run]
    faults: Sequence[str]
    leagues: Sequence[EndedLeague] = ()
    decisions: Sequence[Shown] = ()


def gather(results: Path, conf: Path, sources: Sequence[str] = SOURCES, outputs: Path | None = None) -> Contents:
    """Compute the contents from the records of `sources` below `results`.

    outputs: where decisions and an own league lie, whose runs are told by its section alone; None to leave them out.
    """
    decided, lost = ([], []) if outputs is None else decisions(outputs / "decide")
    everything, faults = read_runs(results, sources)
    runs = [run for run in everything if run.record.folder.parent.name != LEAGUE]
    leagues, unranked = _leagues(results, outputs)
    sections = _sections(arms_of(runs))
    verdicts = judge_all(runs, conf, results)
    return Contents(
        answer([run for run in runs if run.is_of_images], verdicts),
        verdicts,
        sections,
        runs,
        [*faults, *lost, *unranked],
        leagues,
        decided,
    )


def _leagues(results: Path, outputs: Path | None) -> tuple[list[EndedLeague], list[str]]:
    """Those with at least one final: what ships, and the reader's own; and what of them is left out."""
    folders = {"shipped": results / LEAGUE} | ({} if outputs is None else {"yours": outputs / LEAGUE})
    leagues, faults = [], []
    for source, folder in folders.items():
        rows: list[Row] = []
        for path in sorted(folder.glob("*.csv")):
            try:
                rows += read_table(path)
            except ClrbenchError as error:
                faults.append(str(error))
        leagues.append(EndedLeague(source, rows))
        faults += [f"{folder}: {line}" for line in unranked_lines(rows)]
    return [league for league in leagues if league.standings], faults


def _sections(arms: Sequence[Arm]) -> list[Section]:
    groups: dict[tuple[Any, ...], list[Arm]] = defaultdict(list)
    for arm in arms:
        groups[arm.source, arm.experiment, *arm.task, arm.measure].append(arm)
    sections = [
        Section(source, experiment, data, model, sorted(members, key=_order))
        for (source, experiment, data, model, _), members in groups.items()
    ]
    return sorted(sections, key=lambda section: position(section.experiment))


def _order(arm: Arm) -> tuple[str, int, list[tuple[bool, Any]]]:
    """By policy, budget and settings: numbers by their size, then texts."""
    values = [value for _, value in sorted(arm.differences.items()) if isinstance(value, (str, int, float))]
    return arm.name, arm.iterations, [(isinstance(value, str), value) for value in values]


def origin(source: str) -> str:
    """What a reader calls a source."""
    return {"": "", EVIDENCE: "shipped"}.get(source, "yours")
