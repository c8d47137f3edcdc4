"""Weights & Biases: one W&B run a run folder, written by a thread of its own so that training never waits for it."""

import logging
import math
import queue
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from clrbench import unofficial
from clrbench.analysis.targets import iterations_to_target
from clrbench.checkout import here
from clrbench.config import Tracking
from clrbench.measure import PERCENT
from clrbench.runs import recorded_schedule
from clrbench.store import FINISHED, Evaluation, Record, Result
from clrbench.tracking.tracked_run import TrackedRun
from clrbench.tracking.wandb_environment import DISABLED, OFFLINE, ONLINE, Say, agents_run_id, be_patient, chosen_mode, unheeded

WAIT_AT_END, WAIT_AT_INTERRUPT = 30.0, 3.0
# What only a finished run has in its summary beside its value: the iterations to each of the accuracies (percent) it reaches.
TARGETS = range(5, 100, 5)
LATER = f"the record is complete without it, and `{here('make sync')}` uploads what is missing later"
# Exit codes: W&B calls a run finished only at 0. 130 is what a shell gives a process that Ctrl-C ended.
_ENDED_WELL, _ENDED_BADLY, _INTERRUPTED = 0, 1, 130
Rate = Callable[[Any], Any]
# What a mirror's thread does with the W&B run.
Task = Callable[[Any], object]


@dataclass
class Uploader:
    """Mirrors one run to W&B, in a thread of its own; `folder` is where the client's files go.

    The id of the W&B run is the run's own, so that it stays one run however often it is interrupted. Online, a resumed run
    is mirrored from where the server's history ends; offline, from its first line on, in place of what was left there.
    Where the server cannot be reached, it is offline. Trouble with W&B is said in one line and never reaches the run.
    """

    wanted: str
    run: TrackedRun
    folder: Path
    say: Say
    _queue: "queue.SimpleQueue[Task | None]" = field(default_factory=queue.SimpleQueue)
    _thread: threading.Thread | None = None
    _exit_code: int = _ENDED_WELL
    _has_given_up: bool = False

    def start(self) -> None:
        """Begin in the background; does nothing where tracking is disabled."""
        if self.wanted == DISABLED:
            return
        self._thread = threading.Thread(target=self._work, name="wandb", daemon=True)
        self._thread.start()

    def put(self, task: Task) -> None:
        """Have the thread do `task` with the W&B run, after all that was put before."""
        self._queue.put(task)

    def close(self, patience: float, exit_code: int = _ENDED_WELL) -> bool:
        """Close the W&B run, and wait so many seconds for that at most; whether all of it was mirrored."""
        if self._thread is None:
            return False
        self._exit_code = exit_code
        self._queue.put(None)
        self._thread.join(patience)
        if self._thread.is_alive():
            self._give_up(f"W&B did not answer within {patience:.0f} s; {LATER}")
        return not self._has_given_up

    def _give_up(self, line: str) -> None:
        """Say so, once: after the end of the run, its thread may go on to fail in other ways."""
        if not self._has_given_up:
            self._has_given_up = True
            self.say(line)

    def _work(self) -> None:
        try:
            wandb_run = self._begin()
            if wandb_run is None:
                return
            while (task := self._queue.get()) is not None:
                task(wandb_run)
            wandb_run.finish(exit_code=self._exit_code)
            self._mark()
        except Exception as error:
            self._give_up(f"W&B: {reason_of(error)}; {LATER}")

    def _begin(self) -> Any:
        be_patient()
        import wandb

        mode = chosen_mode(self.wanted, self.say)
        if mode == DISABLED:
            return None
        if line := unheeded():
            self.say(line)
        if mode != OFFLINE:
            try:
                if mode == ONLINE or wandb.login(prompt=False, verify=False):
                    return begin(self.run, self.folder, online=True)
            except Exception as error:
                if self._has_given_up:  # nobody waits for this thread any more, and files that change now may be read
                    raise
                self.say(f"W&B: {reason_of(error)}; the run is mirrored offline, and `{here('make sync')}` uploads it later")
                # The client's process still tries to begin the run, and would not have it a second time.
                wandb.teardown()
        shutil.rmtree(self.folder / "wandb", ignore_errors=True)
        return begin(self.run, self.folder, online=False)

    def _mark(self) -> None:
        if (log := unofficial.latest_log(self.folder)) and not unofficial.is_offline(log):
            unofficial.mark_uploaded(log)


@dataclass
class WandbMirror(Uploader):
    """Mirrors the evaluations of one run, and the rate between them; `rate` gives that of iterations from 0."""

    rate: Rate | None = field(kw_only=True)
    _rows: Sequence[Evaluation] = ()
    _mirrored: int = 0

    def evaluations(self, rows: Sequence[Evaluation]) -> None:
        """Mirror those of `rows`, the run's evaluations so far, that are new."""
        self._rows = list(rows)
        for row in rows:
            if row.iteration > self._mirrored:
                self.put(lambda wandb_run, row=row, since=self._mirrored: self._log(wandb_run, row, since))  # type: ignore[misc]
                self._mirrored = row.iteration

    def finish(self, result: Result | None) -> None:
        """Close the W&B run, with its summary if the run ended; waits for it, but not for long."""
        if result is not None:
            rows = self._rows
            self.put(lambda wandb_run: wandb_run.summary.update(summary(result, rows)))
        # Nobody who interrupts a run wants to wait for it.
        self.close(WAIT_AT_INTERRUPT if result is None else WAIT_AT_END, exit_code(result))

    def _log(self, wandb_run: Any, row: Evaluation, since: int) -> None:
        for line in lines(row, since, self.rate, self.run.log_every):
            log(wandb_run, line)


class WandbMirrors:
    """Mirrors runs to W&B, as training asks for it: see training.mirror.Mirrors."""

    def begin(self, record: Record, tracking: Tracking, work: Path, say: Say, rate: Rate | None) -> WandbMirror:
        """Follow a run from now on."""
        mirror = WandbMirror(tracking.wandb, TrackedRun.of(record, tracking), work, say, rate=rate)
        mirror.start()
        return mirror

    def found_ended(self, record: Record, result: Result, tracking: Tracking, work: Path, say: Say) -> None:
        """For a W&B agent alone, which wants a W&B run for each setting that it tries."""
        if agents_run_id():
            mirror = self.begin(record, tracking, work, say, recorded_schedule(record.config()["identity"]))
            mirror.evaluations(record.evaluations())
            mirror.finish(result)


def begin(run: TrackedRun, folder: Path, *, online: bool) -> Any:
    """Begin the W&B run, or go on with it where the server has a part. Raises what the client raises."""
    import wandb

    logging.getLogger("wandb").setLevel(logging.ERROR)
    run.write(folder)
    wandb_run = wandb.init(
        id=run.run_id,
        name=run.name,
        project=run.project,
        entity=run.entity,
        group=run.experiment,
        job_type=run.job_type,
        tags=list(run.tags),
        config=dict(run.config),
        dir=folder,
        mode="online" if online else "offline",
        resume="allow" if online else None,
        # Else the client may give back a run that a thread which was given up has not closed.
        reinit="create_new",
        settings=wandb.Settings(silent=True, console="off", disable_git=True, **unofficial.quiet_settings()),
    )
    # Every metric is drawn over the iteration, never over W&B's own step.
    wandb_run.define_metric("iteration", hidden=True)
    wandb_run.define_metric("*", step_metric="iteration")
    return wandb_run


def lines(row: Evaluation, since: int, rate: Rate | None, every: int) -> Iterator[dict[str, Any]]:
    """The lines of the history from iteration `since` to an evaluation: one an iteration, the last with the evaluation.

    rate: None where it is known at evaluations alone.
    """
    shown = {name: value for name, value in vars(row).items() if name != "metrics"}
    if rate is None:
        yield {**shown, **row.metrics}
        return
    between = np.arange(since + every if since else 0, row.iteration, every)
    rates = np.asarray(rate(np.append(between, row.iteration))).tolist()
    for iteration, lr in zip(between.tolist(), rates[:-1], strict=True):
        yield {"iteration": iteration, "lr": lr}
    # The row's rate is that of the update before; the curve of rates has the one at this iteration.
    yield {**shown, **row.metrics, "lr": rates[-1]}


def log(wandb_run: Any, line: Mapping[str, Any]) -> None:
    """Log a line of the history, unless the server has it: W&B's step is the iteration, however often a run was begun."""
    if line["iteration"] >= wandb_run.starting_step:
        wandb_run.log(line, step=line["iteration"], commit=True)


def exit_code(result: Result | None) -> int:
    """What W&B takes for a run's exit code: 0, which means finished, only where it reached the end of its budget.

    result: None of a run that was interrupted.
    """
    if result is None:
        return _INTERRUPTED
    return _ENDED_WELL if result.status == FINISHED else _ENDED_BADLY


def reason_of(error: BaseException) -> str:
    """What went wrong, in one line."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def final_key(metric: str) -> str:
    """Where the summary has the value at the end of the budget, which is that of a test loop where there is one."""
    return "final_accuracy" if metric == PERCENT.metric else f"final_{metric}"


def target_key(target: int) -> str:
    """Where the summary has the iterations to an accuracy of so many percent; a run that never gets there lacks it."""
    return f"iterations_to_{target}"


def summary(result: Result, rows: Sequence[Evaluation]) -> dict[str, Any]:
    """What W&B shows of a run that has ended."""
    names = ("status", "iterations", "seconds", "images_per_second", "reason")
    shown = {name: value for name, value in asdict(result).items() if name in names and value is not None}
    return shown | (_outcome(result, rows) if result.status == FINISHED and rows else {})


def _outcome(result: Result, rows: Sequence[Evaluation]) -> dict[str, Any]:
    final = {final_key(result.metric): result.value, **rows[-1].metrics}
    if result.metric != PERCENT.metric:
        return final
    course = [(row.iteration, row.metrics[result.metric]) for row in rows]
    needed = {target: iterations_to_target(course, target) for target in TARGETS}
    reached = {target_key(target): int(iterations) for target, iterations in needed.items() if math.isfinite(iterations)}
    return final | reached
