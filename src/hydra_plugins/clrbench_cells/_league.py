"""The sweeper behind `clrbench league`: it tunes every policy on every task, runs the finals, and prints how policies stand."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from omegaconf import OmegaConf

from clrbench.config import Decide, League
from clrbench.decision.trials import Trial, Worths
from clrbench.errors import ConfigError
from clrbench.league.entry import Tuning, wanted
from clrbench.league.rows import LEAGUE, Row, read_rows, write_rows
from clrbench.report.league import plan_lines, standing_lines
from clrbench.runs import OWN, Run, run_of
from clrbench.sweep.carry import failures
from clrbench.sweep.cells import Cell, state_of
from clrbench.sweep.plan import pace
from clrbench.sweep.planner import Planner
from clrbench.sweep.question import Question, asked, check_typed

from ._sweeper import CellSweeper

_REFERENCE = "decide/fixed"
_TUNING = Tuning()
# What a task's file sets.
_OF_TASKS = ("task", "data", "model", "optimizer", "bounds")
# What of a decision the rules of the league leave no choice.
_OF_RULES = ("decide.hours", "decide.looks", "decide.margin", "decide.ratio")


@dataclass
class _Contest:
    """A task with one budget, and its runs so far. part: of the task's budget, as 3 for a third."""

    task: str
    part: int
    question: Question
    runs: dict[Trial, Run] = field(default_factory=dict)

    @property
    def worths(self) -> Worths:
        return {trial: self.question.worth(trial, run) for trial, run in self.runs.items()}

    def wanted(self) -> tuple[str, list[Trial]]:
        return wanted(self.worths, self.question.families, _TUNING)

    def rows(self) -> list[Row]:
        return [self._row(trial, run) for trial, run in self.runs.items()]

    def _row(self, trial: Trial, run: Run) -> Row:
        question, candidate = self.question, trial.candidate
        measure, ended = question.measure, run.is_finished
        return Row(
            task=self.task,
            metric=run.result.metric,
            mode=measure.mode,
            unit=measure.unit,
            margin=measure.margin,
            part=self.part,
            iterations=question.iterations,
            policy=candidate.family.name,
            kind=candidate.family.kind,
            rung=candidate.rung,
            max_lr=question.peak(candidate),
            seed=trial.seed,
            is_final=trial.is_final,
            value=run.result.value if trial.is_final and ended else None,
            held_out=run.end if ended else None,
            course=run.course if trial.is_final else [],
            seconds=run.result.seconds,
            run_id=run.record.folder.name,
        )


class LeagueSweeper(CellSweeper):
    """Carries out the league by docs/league.md. Every run is an ordinary one: found again where there is its record."""

    def sweep(self, arguments: list[str]) -> None:
        """Run what is left of the league and print how policies stand; the process ends with 1 if a run failed."""
        check_typed(arguments, LEAGUE)
        check_of_league(arguments)
        composed = self._compose(arguments)
        decide = Decide(**OmegaConf.to_container(composed.decide, resolve=True))  # type: ignore[arg-type]
        league = League(**OmegaConf.to_container(composed.league, resolve=True))  # type: ignore[arg-type]
        if _REFERENCE not in decide.families:
            decide = replace(decide, families=[_REFERENCE, *decide.families])
            self._say(f"{_REFERENCE} joins: gains are those over the tuned fixed rate")
        planner, started = self._planner(), time.monotonic()
        with self._console.status("planning: every policy on every task is composed ..."):
            contests = list(_contests(arguments, decide, league, planner))
        self._say_plan(planner, contests)
        if self._plan_only:
            return
        folder = Path(self._paths.outputs) / LEAGUE
        read_rows(folder)  # what could not be joined with the new rows is refused before the runs
        hours = self._carry_out(planner, contests)
        rows = [row for contest in contests for row in contest.rows()]
        for line in standing_lines(rows):
            self._say(line)
        if hours:
            spent = (time.monotonic() - started) * self._workers / 3600
            held = f"{spent:.2f} h of {self._workers} worker{'s' * (self._workers > 1)}"
            self._say(f"cost     {hours:.2f} h of training in {held}: {spent / hours - 1:+.0%}")
        for path in write_rows(folder, rows, self._say):
            self._say(str(path))

    def _say_plan(self, planner: Planner, contests: Sequence[_Contest]) -> None:
        speeds, hours, unknown = pace(Path(self._paths.results)), 0.0, set()
        for contest in contests:
            question = contest.question
            (cell,) = planner.cells([question.of_trial(contest.wanted()[1][0])])
            speed = speeds.of(cell)
            if speed is None:
                unknown.add(contest.task)
            else:
                runs = len(question.families) * (_TUNING.trials + len(_TUNING.final_seeds))
                hours += speed * question.iterations * runs / 3600
        tasks = list(dict.fromkeys(contest.task for contest in contests))
        policies = [family.name for family in contests[0].question.families]
        parts = [contest.part for contest in contests]
        for line in plan_lines(tasks, policies, parts, _TUNING, hours, sorted(unknown)):
            self._say(line)

    def _carry_out(self, planner: Planner, contests: Sequence[_Contest]) -> float:
        """Run all stages of all tasks, side by side; returns the hours of training that this call took."""
        hours = 0.0
        while wanted_now := [(one, trial) for one in contests for trial in one.wanted()[1]]:
            self._say(f"{wanted_now[0][0].wanted()[0]}: {len(wanted_now):,} runs")
            with self._console.status("planning ..."):
                cells = [_cell(planner, one.question, trial) for one, trial in wanted_now]
            fresh = {cell for cell in cells if not state_of(cell).is_ended}
            reasons = self._run([cell for cell in cells if cell.error is None])
            self._fail(failures(cells, reasons), len(cells))
            for (one, trial), cell in zip(wanted_now, cells, strict=True):
                one.runs[trial] = run_of(cell.record, OWN)[0]
                hours += one.runs[trial].result.seconds / 3600 if cell in fresh else 0.0
        return hours


def check_of_league(arguments: Sequence[str]) -> None:
    """Refuse what the files of tasks set, and what the rules do. Raises ConfigError."""
    for text in arguments:
        key = text.partition("=")[0].lstrip("+~")
        if key in _OF_RULES:
            raise ConfigError(f"{text}: the league has rules of its own in its place: leave it out (docs/league.md)")
        if key.partition(".")[0] in _OF_TASKS:
            raise ConfigError(
                f"{text}: each task of the league sets that itself: name tasks in league.tasks=[...] (docs/league.md)"
            )


def _contests(arguments: Sequence[str], decide: Decide, league: League, planner: Planner) -> Iterator[_Contest]:
    """The tasks with their budgets, the whole first. Raises ConfigError for a task that cannot be run."""
    check_league(league)
    for task in league.tasks:
        whole = 0
        for part in sorted(league.parts):
            budget = [f"iterations={whole // part}"] if whole else []
            typed = [f"task={task}", *arguments, *budget]
            question = asked(typed, decide, lambda overrides: planner.spec(tuple(overrides)), LEAGUE)
            whole = whole or question.iterations
            yield _Contest(task, part, question)


def check_league(league: League) -> None:
    """Refuse tasks or budgets that are none, or come twice. Raises ConfigError."""
    tasks, parts = list(league.tasks), list(league.parts)
    if not tasks or len(set(tasks)) < len(tasks):
        raise ConfigError(f"league.tasks={tasks}: name at least one task, and each once")
    if 1 not in parts or min(parts) < 1 or len(set(parts)) < len(parts):
        raise ConfigError(f"league.parts={parts}: name 1, the whole budget, and others above it, each once, as in [1,3]")


def _cell(planner: Planner, question: Question, trial: Trial) -> Cell:
    (cell,) = planner.cells([question.of_trial(trial)])
    return replace(cell, shared=frozenset(question.typed[2:]))
