"""The sweeper behind `clrbench decide`: it asks the strategy for the next runs, until there is an answer."""

import json
import math
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from clrbench.checkout import program
from clrbench.config import Decide, config_dirs
from clrbench.decision.conclusion import conclusion_of
from clrbench.decision.strategy import OVER, DecisionState, state_of
from clrbench.decision.trials import Candidate, Trial
from clrbench.errors import ClrbenchError, ConfigError
from clrbench.files import write_text
from clrbench.range_test.measuring import to_measure
from clrbench.report.decision import Decided, as_json, lines, to_copy
from clrbench.report.decision_picture import picture
from clrbench.runs import OWN, Run, run_of
from clrbench.spec import without_places
from clrbench.sweep.carry import failures
from clrbench.sweep.cells import Cell
from clrbench.sweep.outlook import outlook, stage_line
from clrbench.sweep.plan import pace
from clrbench.sweep.planner import Planner
from clrbench.sweep.question import Question, asked, check_typed, with_first_peak
from clrbench.sweep.ramps import carry_out

from ._sweeper import CellSweeper

_MEASURED = "bounds=range_test"
# What gives a first peak.
_PEAKS = ("bounds", "bounds.max_lr")


class DecisionSweeper(CellSweeper):
    """Decides between policies by docs/decide.md. Every run is an ordinary one: found again where there is its record."""

    def sweep(self, arguments: list[str]) -> None:
        """Decide for the task that the command line names, and print the answer; the process ends with 1 if a run failed."""
        typed = self._typed(arguments)
        check_typed(typed)
        composed = self._compose(typed)
        decide = Decide(**OmegaConf.to_container(composed.decide, resolve=True))  # type: ignore[arg-type]
        keys = {text: text.partition("=")[0] for text in typed}
        given = [text for text, key in keys.items() if key in _PEAKS and text != _MEASURED]
        if unused := next((text for text, key in keys.items() if key == "bounds.base_lr"), None):
            self._say(f"{unused}: not used, for a decision takes base_lr = max_lr / {decide.ratio:g} (decide.ratio)")
        is_measured = composed.task.name == "image" and not given
        if is_measured:
            typed = [text for text in typed if text != _MEASURED]  # the plan comes first
        planner = self._planner()
        question = asked(typed, decide, lambda overrides: planner.spec(tuple(overrides)))
        seconds = self._pace_of(planner, question)
        for line in outlook(question, seconds, self._workers, is_measured, decide.hours):
            self._say(line)
        if self._plan_only:
            return
        tested = 0.0
        if is_measured:
            question, tested = self._measured(question)
        state, runs = self._decided(planner, question, decide.hours, seconds)
        self._conclude(question, state, runs, tested)

    def _typed(self, arguments: list[str]) -> list[str]:
        assert self.hydra_context is not None
        overrides = OverridesParser.create(config_loader=self.hydra_context.config_loader).parse_overrides(arguments)
        for override in overrides:
            if override.is_sweep_override():
                raise ConfigError(f"{override.input_line}: a decision is about one task: decide once for each value")
        return list(arguments)

    def _pace_of(self, planner: Planner, question: Question) -> float | None:
        """Seconds an iteration, None where no run tells."""
        (cell,) = planner.cells([question.of_trial(Trial(Candidate(question.families[0], 0), 1))])
        return pace(Path(self._paths.results)).of(cell)

    def _measured(self, question: Question) -> tuple[Question, float]:
        """The question with the first peak that the range test finds, and how many runs it was as long as."""
        composed = self._compose([*question.typed, f"arm={question.arm(question.families[0])}"])
        measured = carry_out(to_measure(composed), self._say)
        found, tested = measured.bounds, measured.iterations / question.iterations
        if found.max_lr is None:
            self._say(f"start: the range test shows no bounds ({' '.join(found.reasons)}); first peak {question.first_peak:g}")
            return question, tested
        self._say(f"start: the range test is {found.verdict}: first peak {found.max_lr:.3g}")
        return with_first_peak(question, found.max_lr), tested

    def _decided(
        self, planner: Planner, question: Question, hours: float | None, seconds: float | None
    ) -> tuple[DecisionState, dict[Trial, Run]]:
        """The last state, and the runs of all trials. seconds: see _has_time."""
        runs: dict[Trial, Run] = {}
        workers, started = self._workers, ""
        while True:
            worths = {trial: question.worth(trial, run) for trial, run in runs.items()}
            state = state_of(worths, question.families, question.rules)
            if state.stage == OVER:
                return state, runs
            made = planner.cells([question.of_trial(trial) for trial in state.wanted])
            cells = [replace(cell, shared=frozenset(question.typed)) for cell in made]
            if hours is not None and not self._has_time(cells, runs, hours * workers, seconds):
                return state, runs
            if state.stage != started:
                started = state.stage
                self._say(stage_line(state))
            reasons = self._run([cell for cell in cells if cell.error is None])
            self._fail(failures(cells, reasons), len(cells))
            runs |= {trial: run_of(cell.record, OWN)[0] for trial, cell in zip(state.wanted, cells, strict=True)}

    def _has_time(self, cells: Sequence[Cell], runs: dict[Trial, Run], hours: float, seconds: float | None) -> bool:
        """Whether the cells fit in what is left of the hours of training, by the mean of the runs so far.

        seconds: that an iteration takes by earlier runs, for the first cells.
        """
        spent = _hours(list(runs.values()))
        each = spent / len(runs) if runs else (seconds or 0.0) * cells[0].iterations / 3600
        return spent + len(cells) * each <= hours

    def _conclude(self, question: Question, state: DecisionState, runs: dict[Trial, Run], tested: float) -> None:
        assert self.config is not None
        spent = _hours(list(runs.values()))
        if state.final is None or not state.final.seeds:
            raise ClrbenchError(
                f"decide.hours ends the decision in its stage {state.stage}, before fresh seeds could tell: {len(runs)} runs "
                f"took {spent:.2f} h of training; the same command with more hours goes on"
            )
        conclusion = conclusion_of(state, question.rules)
        if not math.isfinite(conclusion.worth):
            raise ClrbenchError(
                f"runs of every finalist diverged with fresh seeds, so there is no answer: lower bounds.max_lr, the first peak "
                f"({question.first_peak:g})"
            )
        chosen = question.overrides(conclusion.chosen)
        spec = self._planner().spec((*chosen, "seed=1"))
        last = next(run for trial, run in runs.items() if trial.is_final)
        decided = Decided(
            task=(question.config.data.name, question.config.model.name),
            measure=question.measure,
            metric=last.result.metric,
            iterations=question.iterations,
            conclusion=conclusion,
            state=state,
            bounds={one: (question.base(one), question.peak(one)) for one in state.screened},
            asked=question.asked,
            arms={family: question.arm(family) for family in question.families},
            command=f"{program()} {shlex.join([*config_dirs(self.config.hydra), *without_places(chosen[1:]), 'seed=1'])}",
            policy=spec.policy,
            runs=len(runs),
            hours=spent,
            range_test=tested,
            notes=_notes(question, state, last),
        )
        in_one_piece = to_copy(decided)
        for line in lines(decided):
            if line in in_one_piece:
                self._console.print(line, markup=False)
            else:
                self._say(line)
        name = f"{'-'.join(decided.task)}-{question.iterations}"
        files = {"json": json.dumps(as_json(decided), indent=1) + "\n", "svg": picture(decided)}
        folder = Path(self._paths.outputs) / "decide"
        if other := replaced(folder / f"{name}.json", decided.asked):
            self._say(other)
        for ending, text in files.items():
            path = folder / f"{name}.{ending}"
            write_text(path, text)
            self._say(str(path))


def replaced(path: Path, asked: Sequence[str]) -> str | None:
    """A line where the file of an answer is about to be replaced by that of another question; asked: the new question."""
    if not path.is_file():
        return None
    try:
        before = list(json.loads(path.read_text(encoding="utf-8"))["asked"])
    except (OSError, ValueError, KeyError, TypeError):
        return f"{path}: this answer replaces one that does not say what was asked"
    was, now = (" ".join(word for word in one if word not in other) for one, other in ((before, asked), (asked, before)))
    if not was and not now:
        return None
    return f"{path}: this answer replaces that of another question: it was {was or 'the default'}, now {now or 'the default'}"


def unvaried(state: DecisionState, metric: str) -> str | None:
    """A line where no run differs from another, on held-out data as in the final."""
    assert state.final is not None
    tables = [[worth for by_seed in one.values() for worth in by_seed.values()] for one in (state.screened, state.final.values)]
    if any(len(set(worths)) > 1 for worths in tables):
        return None
    return f"all {sum(map(len, tables))} runs have the same {metric.replace('_', ' ')}: nothing was compared"


def _hours(runs: Sequence[Run]) -> float:
    return sum(run.result.seconds for run in runs) / 3600


def _notes(question: Question, state: DecisionState, last: Run) -> list[str]:
    notes = []
    if line := unvaried(state, question.measure.metric):
        notes.append(line)
    if question.config.task.is_own and last.result.metric == last.evaluated:
        notes.append("the module has no test loop: the final was on validation data too, with fresh seeds")
    if not question.config.task.is_own and question.config.data.split == "paper":
        notes.append("data.split=paper holds no images out: peaks and final were both judged on the test set")
    if state.stage != OVER:
        notes.append("decide.hours ended the final early: the same command with more hours goes on")
    return notes
