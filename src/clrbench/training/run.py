"""One run, from its configuration to its record."""

import dataclasses
import os
import signal
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment

from clrbench import store
from clrbench.callback import CyclicLR
from clrbench.config import PRECISIONS, Config
from clrbench.data.load import load
from clrbench.errors import ClrbenchError, DataError, worded
from clrbench.files import replacing, write_text
from clrbench.lock import HeldElsewhereError, RunLock, locked, refuse_if_held
from clrbench.packages import PACKAGES
from clrbench.quiet import quiet
from clrbench.spec import RunSpec, Spec, resolve
from clrbench.store import Evaluation, Record, Result
from clrbench.streams import make_lasting
from clrbench.training import processes
from clrbench.training.build import build
from clrbench.training.checkpoints import leave_checkpoint, resumable_iteration
from clrbench.training.console import Console, ProgressNote, plan_of_images
from clrbench.training.devices import ComputePlace, share_of, strategy
from clrbench.training.evaluation import METRIC
from clrbench.training.feed import stream
from clrbench.training.mirror import Mirror, Mirrors, NoMirror
from clrbench.training.module import Classifier
from clrbench.training.observers import observers
from clrbench.training.recorder import OnEvaluation, Recorder
from clrbench.training.run_folders import RunFolders
from clrbench.training.task import Task
from clrbench.unofficial import no_profiler

_DEFAULT_THREADS = torch.get_num_threads()


def train(
    config: Config,
    console: Console,
    overrides: Sequence[str] = (),
    planned: str | None = None,
    mirrors: Mirrors | None = None,
    branches: Sequence[tuple[int, str]] = (),
) -> tuple[Result, Record]:
    """Carry out the run that `config` describes, or return its record if it was carried out before.

    overrides: what was typed to compose `config`, for the record. planned: the id that the run was planned with.
    mirrors: who else is shown the run.
    branches: (iteration, working folder) of other runs, which begin like this one up to there: they get its checkpoint.

    An interrupted run goes on from its last evaluation. Raises ClrbenchError for what cannot be run, before anything is
    written; an error in the midst of training is recorded as `failed`, with its traceback in the run's log.
    """
    run = dataclasses.replace(RunFolders.of(_resolved(config, console, planned)), branches=branches)
    mirrors = mirrors or NoMirror()
    if planned is None and (warning := run.spec.changed_text(run.record)):
        console.say(warning)  # a sweep has said it
    result = run.ended()
    if result is not None:
        mirrors.found_ended(run.record, result, config.tracking, run.work, console.say)
    elif processes.must_start(config.trainer):
        result = _with_processes(run, console, overrides, mirrors)
    else:
        with locked(run.work) as lock:
            # Another process may have ended it between the first look and the lock.
            result = run.ended() or _carry_out(run, lock, console, overrides, mirrors)
    return result, run.record


def _resolved(config: Config, console: Console, planned: str | None) -> Spec:
    """The run with its data at hand. Raises DataError where these are no longer those that it was planned with."""
    if config.task.is_own:
        from clrbench.tasks.own_spec import resolve_own

        return resolve_own(config)
    spec = resolve(config, load(config.data, config.paths, console.say))
    if planned not in (None, spec.run_id):
        raise DataError(
            f"data={config.data.name}: its images, or a file that a setting names, are not those that the run was planned "
            "with: they changed meanwhile, or are drawn at random each time they are read; make them the same each time"
        )
    return spec


def _with_processes(run: RunFolders, console: Console, overrides: Sequence[str], mirrors: Mirrors) -> Result:
    config = run.spec.config
    if config.trainer.nodes == 1:
        refuse_if_held(run.work)
    try:
        processes.start(config.trainer, _one_of_several, config, console.silent, list(overrides), run.spec.run_id, mirrors)
    except ClrbenchError:
        # The first process records what goes wrong in training; what keeps processes from training has no record.
        if (result := run.record.result()) is None or result.status != store.FAILED:
            raise
    result = run.record.result()
    if result is None:
        raise ClrbenchError(f"{run.record.folder}: the processes of the run ended without a result")
    return result


def _one_of_several(config: Config, silent: bool, overrides: Sequence[str], planned: str, mirrors: Mirrors) -> None:
    """What each process of a run does: all of them train, the first one keeps the record and talks."""
    make_lasting()
    is_first = ComputePlace.of(config.trainer).is_first
    console = Console(silent or not is_first)
    run = RunFolders.of(_resolved(config, console, planned))
    if not is_first:
        _follow(run, console)
    else:
        with locked(run.work) as lock:
            result = _carry_out(run, lock, console, overrides, mirrors)
        if result.status == store.FAILED:
            raise ClrbenchError(result.reason)  # so that the others are ended too
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def _follow(run: RunFolders, console: Console) -> None:
    set_threads(run.spec)
    task = _task(run, console)
    module = task.build()
    start = resumable_iteration(run.checkpoint, task.saved_iteration)
    recorder = task.recorder(module, lambda rows, *, flush: None, run.checkpoint)
    with quiet():
        task.fit(module, recorder, run.checkpoint if start else None, [])


def _carry_out(run: RunFolders, lock: RunLock, console: Console, overrides: Sequence[str], mirrors: Mirrors) -> Result:
    set_threads(run.spec)
    task = _task(run, console)
    module = task.build()
    start = resumable_iteration(run.checkpoint, task.saved_iteration)
    if not start and run.checkpoint.is_file():
        console.say(f"{run.checkpoint} cannot be read: the run begins anew")
    console.plan(run.spec, task.plan(module), run.record.folder, start)
    run.notes.unlink(missing_ok=True)
    run.record.write_config(run.spec.config_text(overrides))
    mirror = mirrors.begin(run.record, run.spec.config.tracking, run.work, console.say, run.spec.schedule)
    result = None
    try:
        result = _fit(run, lock, task, module, start, mirror, console)
        lock.check()
        run.record.write_result(result)
        run.checkpoint.unlink(missing_ok=True)
    finally:
        mirror.finish(result)
    return result


def set_threads(spec: Spec) -> None:
    """Compute with as many threads as the run asks for, or as torch chose at first; not with those of the run before."""
    torch.set_num_threads(spec.config.trainer.threads or _DEFAULT_THREADS)


def _fit(run: RunFolders, lock: RunLock, task: Task, module: Any, start: int, mirror: Mirror, console: Console) -> Result:
    on_evaluation = partial(_on_evaluation, run, lock, mirror)
    recorder = task.recorder(module, on_evaluation, run.checkpoint)

    def reached() -> int:
        return int(recorder.iteration)

    progress = [console.progress(start, run.spec.iterations, reached), ProgressNote(run.progress, reached)]
    try:
        with quiet():
            task.fit(module, recorder, run.checkpoint if start else None, progress)
    except HeldElsewhereError:
        raise
    except (Exception, SystemExit) as error:
        if _is_interrupt(error):
            # Lightning leaves the signal ignored.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            raise KeyboardInterrupt from None
        return _result(run, task, recorder, store.FAILED, f"{_reason(error)} ({_logged(run.log)})")
    # Once more, for a run that was killed behind its last checkpoint.
    on_evaluation(recorder.rows, flush=True)
    if recorder.diverged:
        return _result(run, task, recorder, store.DIVERGED, recorder.diverged)
    if recorder.iteration != run.spec.iterations:
        reason = (
            f"training ended after {recorder.iteration:,} of {run.spec.iterations:,} iterations: the module, or a callback of "
            "it, stopped it, and runs are compared at equal budgets"
        )
        return _result(run, task, recorder, store.FAILED, reason)
    with replacing(run.weights) as partial_path, partial_path.open("wb") as file:  # by its path, torch would raise no OSError
        torch.save(module.state_dict(), file)
    return _result(run, task, recorder, store.FINISHED)


def _reason(error: BaseException) -> str:
    return worded(error) if isinstance(error, OSError) else " ".join(f"{type(error).__name__}: {error}".split())


def _logged(log: Path) -> str:
    """Write down the traceback of the error that is handled, and say where; what cannot be written hides no error."""
    try:
        write_text(log, traceback.format_exc())
    except OSError as error:
        return f"no traceback: {worded(error)}"
    return f"traceback in {log}"


def _is_interrupt(error: BaseException) -> bool:
    """Whether Lightning exits for a Ctrl-C or a termination, or submitit for Slurm's signal, and not the module itself."""
    terminations = tuple(package.utilities.exceptions.SIGTERMException for package in PACKAGES)
    if isinstance(error, terminations) or not isinstance(error, SystemExit):
        return isinstance(error, terminations)
    packages = {str(frame.f_globals.get("__name__")).partition(".")[0] for frame, _ in traceback.walk_tb(error.__traceback__)}
    return isinstance(error.__context__, KeyboardInterrupt) or "submitit" in packages


def _on_evaluation(run: RunFolders, lock: RunLock, mirror: Mirror, rows: list[Evaluation], *, flush: bool) -> None:
    lock.check()
    run.record.write_evaluations(rows, flush=flush)
    for iteration, folder in run.branches:
        if rows and rows[-1].iteration == iteration:
            leave_checkpoint(run.checkpoint, Path(folder))
    mirror.evaluations(rows)


def _task(run: RunFolders, console: Console) -> Task:
    if isinstance(run.spec, RunSpec):
        return ImageTask(run.spec, console.say)
    from clrbench.tasks.lightning import LightningTask
    from clrbench.tasks.own_spec import OwnSpec

    assert isinstance(run.spec, OwnSpec)
    share = share_of(run.spec.config.trainer)
    return LightningTask(run.spec, console.say if share.rank else _telling(run, console), share)


def _telling(run: RunFolders, console: Console) -> Callable[[str], None]:
    """Says a line; where a sweep watches, which says it once for all of its runs, notes it."""

    def note(line: str) -> None:
        with run.notes.open("a", encoding="utf-8") as notes:
            notes.write(f"{line}\n")

    return note if console.silent else console.say


class ImageTask:
    """Classification of images: the suite's own module, data and loop."""

    def __init__(self, spec: RunSpec, say: Callable[[str], None]) -> None:
        self._spec, self._say = spec, say

    def build(self) -> Classifier:
        """See Task."""
        return build(self._spec)

    def saved_iteration(self, checkpoint: Path) -> int:
        """See Task."""
        return int(torch.load(checkpoint, map_location="cpu", weights_only=True)["global_step"])

    def plan(self, module: Classifier) -> Sequence[tuple[str, str]]:
        """See Task."""
        return plan_of_images(self._spec, module)

    def recorder(self, module: Classifier, on_evaluation: OnEvaluation, checkpoint: Path) -> Recorder:
        """See Task."""
        self._modes, self._averages, recorder = observers(self._spec, module, checkpoint, on_evaluation)
        return recorder

    def fit(self, module: Classifier, recorder: Recorder, checkpoint: Path | None, others: Sequence[pl.Callback]) -> None:
        """See Task."""
        spec = self._spec
        if spec.config.trainer.compile:
            cache = Path(spec.config.paths.outputs) / "cache" / "compiled"
            os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache.resolve()))
            module.net.compile()
        start = self.saved_iteration(checkpoint) if checkpoint else 0
        callbacks = [CyclicLR(spec.schedule), self._modes, self._averages, recorder, *others]
        trainer(spec, module, callbacks).fit(module, stream(spec, start), ckpt_path=checkpoint, weights_only=True)
        if spec.config.averages:
            self._say(self._averages.cost)

    def outcome(self, recorder: Recorder, is_finished: bool) -> dict[str, Any]:
        """See Task."""
        return {"value": recorder.rows[-1].metrics[METRIC] if is_finished else None}


def trainer(spec: RunSpec, module: Classifier, callbacks: list[pl.Callback]) -> pl.Trainer:
    """Lightning's trainer for a run, without what the suite does itself; the whole run is one of Lightning's epochs."""
    settings = spec.config.trainer
    return pl.Trainer(
        accelerator="cuda" if settings.accelerator == "gpu" else "cpu",
        devices=settings.devices,
        num_nodes=settings.nodes,
        strategy=strategy(settings, module.net),
        sync_batchnorm=settings.processes > 1,
        precision=PRECISIONS[settings.precision],  # type: ignore[arg-type]
        max_steps=spec.iterations,
        max_epochs=-1,
        callbacks=callbacks,
        profiler=no_profiler(),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        plugins=[LightningEnvironment()],  # inside a Slurm job it would else take the job's tasks for its own
    )


def _result(run: RunFolders, task: Task, recorder: Any, status: str, reason: str | None = None) -> Result:
    spec, config = run.spec, run.spec.config
    images = recorder.iteration * config.data.batch_size if isinstance(spec, RunSpec) else 0
    return Result(
        run_id=spec.run_id,
        name=spec.name,
        experiment=config.experiment,
        data=config.data.name,
        model=config.model.name,
        policy=spec.policy["name"],
        arm=config.arm,
        seed=config.seed,
        status=status,
        iterations=recorder.iteration,
        seconds=round(recorder.seconds, 3),
        images_per_second=round(images / recorder.seconds, 1) if recorder.seconds else 0.0,
        **run.environment,
        device=ComputePlace.of(config.trainer).name,
        step_id=spec.step_id,
        reason=reason,
        **task.outcome(recorder, is_finished=status == store.FINISHED),
    )
