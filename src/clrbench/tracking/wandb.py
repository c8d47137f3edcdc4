"""Weights & Biases: one W&B run a run folder, written by a thread of its own so that training never waits for it."""

import logging
import math
import os
import queue
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from clrbench.config import Tracking
from clrbench.store import FINISHED, Evaluation, Result

# Without these the client waits for minutes on a server that does not answer, and looks up hosts to report errors to.
PATIENCE = {
    "WANDB_INIT_TIMEOUT": "15",
    "WANDB_FINISH_TIMEOUT": "15",
    "WANDB_FINISH_TIMEOUT_RAISES": "true",
    "WANDB_ERROR_REPORTING": "false",
    "WANDB_SILENT": "true",
}
WAIT_AT_END, WAIT_AT_INTERRUPT = 30.0, 3.0
# What only a finished run has in its summary: its accuracy, and the iterations to each of the targets (percent) it reaches.
FINAL, TARGETS = "final_accuracy", range(5, 100, 5)
LATER = "the record is complete without it, and `make sync` uploads what is missing later"
Say = Callable[[str], None]
# What a mirror's thread does with the W&B run.
Task = Callable[[Any], object]


@dataclass(frozen=True)
class TrackedRun:
    """What W&B is told about a run at its start; `job_type` is the policy of a training. `folder` is for W&B's files."""

    run_id: str
    name: str
    experiment: str
    job_type: str
    tags: Sequence[str]
    config: Mapping[str, Any]
    folder: Path


@dataclass
class Mirror:
    """Mirrors one run to W&B, in a thread of its own.

    The id of the W&B run is the run's own, so that it stays one run however often it is interrupted. Online, a resumed run
    is mirrored from where the server's history ends; offline, from its first line on, in place of what was left there.
    Where the server cannot be reached, it is offline. Trouble with W&B is said in one line and never reaches the run.
    """

    tracking: Tracking
    run: TrackedRun
    say: Say
    _queue: "queue.SimpleQueue[Task | None]" = field(default_factory=queue.SimpleQueue)
    _thread: threading.Thread | None = None
    # Lines of the history. The same run makes the same lines, so that those which the server has are told by their number.
    _known_to_server: int = 0
    _lines: int = 0
    _has_given_up: bool = False

    def start(self) -> None:
        """Begin in the background; does nothing where tracking is disabled."""
        if self.tracking.wandb == "disabled":
            return
        self._thread = threading.Thread(target=self._work, name="wandb", daemon=True)
        self._thread.start()

    def put(self, task: Task) -> None:
        """Have the thread do `task` with the W&B run, after all that was put before."""
        self._queue.put(task)

    def close(self, patience: float) -> bool:
        """Close the W&B run, and wait so many seconds for that at most; whether all of it was mirrored."""
        if self._thread is None:
            return False
        self._queue.put(None)
        self._thread.join(patience)
        if self._thread.is_alive():
            self._give_up(f"W&B did not answer within {patience:.0f} s; {LATER}")
        return not self._has_given_up

    def log(self, wandb_run: Any, line: Mapping[str, Any]) -> None:
        """Log a line of the history, unless the server has it. For tasks."""
        self._lines += 1
        if self._lines > self._known_to_server:
            wandb_run.log(line)

    def _give_up(self, line: str) -> None:
        """Say so, once: after the end of the run, its thread may go on to fail in other ways."""
        if not self._has_given_up:
            self._has_given_up = True
            self.say(line)

    def _work(self) -> None:
        try:
            wandb_run = self._begin()
            while (task := self._queue.get()) is not None:
                task(wandb_run)
            wandb_run.finish()
            self._mark()
        except Exception as error:
            self._give_up(f"W&B: {reason_of(error)}; {LATER}")

    def _begin(self) -> Any:
        os.environ.update({key: os.environ.get(key, value) for key, value in PATIENCE.items()})
        import wandb

        logging.getLogger("wandb").setLevel(logging.ERROR)
        if self._is_online(wandb):
            try:
                return self._init(wandb, online=True)
            except Exception as error:
                if self._has_given_up:  # nobody waits for this thread any more, and files that change now may be read
                    raise
                self.say(f"W&B: {reason_of(error)}; the run is mirrored offline, and `make sync` uploads it later")
                # The client's process still tries to begin the run, and would not have it a second time.
                wandb.teardown()
        return self._init(wandb, online=False)

    def _init(self, wandb: Any, online: bool) -> Any:
        folder = self.run.folder / "wandb"
        if not online:
            has_begun = begun_note(folder).exists() or any(folder.glob("*run-*/*.syncstate"))
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        if not online and has_begun:
            begun_note(folder).touch()
        wandb_run = wandb.init(
            id=self.run.run_id,
            name=self.run.name,
            project=self.tracking.project,
            entity=self.tracking.entity,
            group=self.run.experiment,
            job_type=self.run.job_type,
            tags=list(self.run.tags),
            config=dict(self.run.config),
            dir=self.run.folder,
            mode="online" if online else "offline",
            resume="allow" if online else None,
            settings=settings(wandb),
        )
        if wandb_run.resumed:
            self._known_to_server = wandb_run.starting_step
        define_axes(wandb_run)
        return wandb_run

    def _mark(self) -> None:
        if (log := latest_log(self.run.folder)) and not is_offline(log):
            mark(log)

    def _is_online(self, wandb: Any) -> bool:
        if self.tracking.wandb != "auto":
            return self.tracking.wandb == "online"
        return bool(wandb.login(prompt=False, verify=False))


@dataclass
class WandbMirror(Mirror):
    """Mirrors the evaluations of one run, and the rate between them; `rate` gives that of iterations from 0."""

    rate: Callable[[Any], Any] = field(kw_only=True)
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
            self.put(lambda wandb_run: wandb_run.summary.update(_summary(result, rows)))
        # Nobody who interrupts a run wants to wait for it.
        self.close(WAIT_AT_INTERRUPT if result is None else WAIT_AT_END)

    def _log(self, wandb_run: Any, row: Evaluation, since: int) -> None:
        thinned = np.arange(since, row.iteration, self.tracking.log_every)
        for iteration, rate in zip(thinned.tolist(), np.asarray(self.rate(thinned)).tolist(), strict=True):
            self.log(wandb_run, {"iteration": iteration, "lr": rate})
        # The row's rate is that of the update before; the curve of rates has the one at this iteration.
        told = {name: value for name, value in vars(row).items() if name not in ("lr", "metrics")}
        self.log(wandb_run, {**told, **row.metrics})


def latest_log(folder: Path) -> Path | None:
    """What the client wrote of the run with this working folder: its last start counts, which goes on from those before."""
    logs = folder.glob("wandb/*run-*/run-*.wandb")
    return max(logs, key=lambda log: log.parent.name.removeprefix("offline-"), default=None)


def mark(log: Path) -> None:
    """Note that W&B has the whole of `log`, as `wandb sync` does it."""
    log.with_name(f"{log.name}.synced").touch()


def is_uploaded(log: Path) -> bool:
    """Whether that is noted."""
    return log.with_name(f"{log.name}.synced").exists()


def begun_note(folder: Path) -> Path:
    """The file in a run's W&B folder which says that an earlier log of the run was uploaded, in part at least."""
    return folder / "uploaded-before"


def settings(wandb: Any) -> Any:
    """What the client is to do beside logging: nothing."""
    return wandb.Settings(
        silent=True,
        console="off",
        x_disable_stats=True,
        x_disable_meta=False,
        x_save_requirements=False,  # a tenth of a second a run, to read what is known of every package
        disable_git=True,
    )


def define_axes(wandb_run: Any) -> None:
    """Draw every metric over the iteration, never over W&B's own step."""
    wandb_run.define_metric("iteration", hidden=True)
    wandb_run.define_metric("*", step_metric="iteration")


def is_offline(log: Path) -> bool:
    """Whether the client was offline when it wrote `log`."""
    return log.parent.name.startswith("offline-")


def reason_of(error: Exception) -> str:
    """What went wrong, in one line."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def target_key(target: int) -> str:
    """Where the summary has the iterations to an accuracy of so many percent; a run that never gets there lacks it."""
    return f"iterations_to_{target}"


def _summary(result: Result, rows: Sequence[Evaluation]) -> dict[str, Any]:
    shown = ("status", "iterations", "seconds", "images_per_second", "reason")
    told = {name: value for name, value in asdict(result).items() if name in shown and value is not None}
    return told | (_outcome(result, rows) if result.status == FINISHED and rows else {})


def _outcome(result: Result, rows: Sequence[Evaluation]) -> dict[str, Any]:
    from clrbench.analysis.targets import iterations_to_target

    course = [(row.iteration, row.metrics[result.metric]) for row in rows]
    needed = {target: iterations_to_target(course, target) for target in TARGETS}
    reached = {target_key(target): int(iterations) for target, iterations in needed.items() if math.isfinite(iterations)}
    return {FINAL: result.value, **rows[-1].metrics, **reached}
