"""One run, from its configuration to its record."""

import signal
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment

from clrbench import environment, store
from clrbench.claim import Claim, HeldElsewhereError, claimed
from clrbench.config import Config
from clrbench.data.batches import BatchStream, ImageTensors
from clrbench.data.load import load
from clrbench.files import replacing
from clrbench.spec import RunSpec, resolve
from clrbench.store import CHECKPOINT, PROGRESS, Evaluation, Record, Result
from clrbench.tracking.wandb import TrackedRun, WandbMirror
from clrbench.training.build import build
from clrbench.training.callback import CyclicLR
from clrbench.training.console import Console, ProgressNote
from clrbench.training.evaluation import evaluate
from clrbench.training.module import Classifier
from clrbench.training.quiet import quiet
from clrbench.training.recorder import Recorder

_DEFAULT_THREADS = torch.get_num_threads()
PRECISIONS: dict[str, Any] = {"float32": "32-true", "bfloat16": "bf16-mixed"}


@dataclass(frozen=True)
class Run:
    """One run and the two folders that it writes to: its record, and its working files (checkpoint, log, weights)."""

    spec: RunSpec
    record: Record
    work: Path
    # Taken at the start: the checkout may have moved on when a long run ends.
    environment: dict[str, Any]

    @classmethod
    def of(cls, spec: RunSpec) -> "Run":
        """The run of `spec`, in the folders that its configuration names."""
        paths, experiment = spec.config.paths, spec.config.experiment
        return cls(
            spec,
            Record(store.run_folder(Path(paths.results), experiment, spec.name)),
            store.run_folder(Path(paths.outputs), experiment, spec.name),
            environment.describe(),
        )

    @property
    def checkpoint(self) -> Path:
        """Where an interrupted run goes on."""
        return self.work / CHECKPOINT

    @property
    def progress(self) -> Path:
        """The iteration that a run under way has reached."""
        return self.work / PROGRESS

    def ended(self) -> Result | None:
        """How the run ended; None if it has not, or failed and may be tried again."""
        result = self.record.result()
        return None if result is None or result.status == store.FAILED else result

    @property
    def log(self) -> Path:
        """The traceback of a failure."""
        return self.work / "error.log"

    @property
    def weights(self) -> Path:
        """The weights at the end of the budget."""
        return self.work / "weights.pt"


def train(config: Config, console: Console, overrides: Sequence[str] = ()) -> tuple[Result, Record]:
    """Carry out the run that `config` describes, or return its record if it was carried out before.

    overrides: what was typed to compose `config`, for the record.

    An interrupted run goes on from its last evaluation. Raises ClrbenchError for what cannot be run, before anything is
    written; an error in the midst of training is recorded as `failed`, with its traceback in the run's log.
    """
    spec = resolve(config, load(config.data, config.paths, console.say))
    run = Run.of(spec)
    result = run.ended()
    if result is None:
        with claimed(run.work) as claim:
            # Another process may have ended it between the first look and the claim.
            result = run.ended() or _carry_out(run, claim, console, overrides)
    return result, run.record


def _carry_out(run: Run, claim: Claim, console: Console, overrides: Sequence[str]) -> Result:
    set_threads(run.spec)
    module = build(run.spec)
    start = _resumable_iteration(run.checkpoint)
    console.plan(run.spec, module, run.record.folder, start)
    run.record.write_config(run.spec.config_text(overrides))
    mirror = WandbMirror(run.spec.config.tracking, _tracked(run), console.say, rate=run.spec.schedule)
    mirror.start()
    result = None
    try:
        result = _fit(run, claim, module, start, mirror, console)
        claim.check()
        run.record.write_result(result)
        run.checkpoint.unlink(missing_ok=True)
    finally:
        mirror.finish(result)
    return result


def set_threads(spec: RunSpec) -> None:
    """Compute with as many threads as the run asks for, or as torch chose at first; not with those of the run before."""
    torch.set_num_threads(spec.config.trainer.threads or _DEFAULT_THREADS)


def _resumable_iteration(checkpoint: Path) -> int:
    """The iteration of the checkpoint that an interrupted run left, 0 where there is none."""
    if not checkpoint.is_file():
        return 0
    iteration: int = torch.load(checkpoint, weights_only=True)["global_step"]
    return iteration


def _fit(run: Run, claim: Claim, module: Classifier, start: int, mirror: WandbMirror, console: Console) -> Result:
    on_evaluation = partial(_on_evaluation, run, claim, mirror)
    recorder = _recorder(run, module, on_evaluation)
    progress = [console.progress(start, run.spec.iterations), ProgressNote(run.progress)]
    callbacks = [CyclicLR(run.spec.schedule), recorder, *progress]
    try:
        with quiet():
            trainer(run.spec, callbacks).fit(
                module, stream(run.spec, start), ckpt_path=run.checkpoint if start else None, weights_only=True
            )
    except HeldElsewhereError:
        raise
    except SystemExit:
        # Lightning turns Ctrl-C into an exit and leaves the signal ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        raise KeyboardInterrupt from None
    except Exception as error:
        run.log.parent.mkdir(parents=True, exist_ok=True)
        run.log.write_text(traceback.format_exc())
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return _result(run, recorder, store.FAILED, f"{reason} (traceback in {run.log})")
    # Once more, for a run that was killed behind its last checkpoint.
    on_evaluation(recorder.rows)
    if recorder.diverged:
        return _result(run, recorder, store.DIVERGED, recorder.diverged)
    with replacing(run.weights) as partial_file:
        torch.save(module.state_dict(), partial_file)
    return _result(run, recorder, store.FINISHED)


def _recorder(run: Run, module: Classifier, on_evaluation: Callable[[list[Evaluation]], None]) -> Recorder:
    spec = run.spec
    return Recorder(
        points=spec.evaluation_points,
        iterations_per_epoch=spec.iterations_per_epoch,
        rate=lambda iteration: float(spec.schedule(iteration)),
        evaluate=partial(evaluate, module, ImageTensors.of(spec.evaluated), spec.data.images.classes),
        on_evaluation=on_evaluation,
        checkpoint=run.checkpoint,
        loss_limit=spec.config.trainer.loss_limit,
    )


def _on_evaluation(run: Run, claim: Claim, mirror: WandbMirror, rows: list[Evaluation]) -> None:
    claim.check()
    run.record.write_evaluations(rows)
    mirror.evaluations(rows)


def stream(spec: RunSpec, start: int) -> BatchStream:
    """The training batches of a run from iteration `start` on."""
    images = ImageTensors.of(spec.data.images.train)
    return BatchStream(images, spec.indices, spec.config.data.batch_size, spec.config.seed, start)


def trainer(spec: RunSpec, callbacks: list[pl.Callback]) -> pl.Trainer:
    """Lightning's trainer for a run, without what the suite does itself; the whole run is one of Lightning's epochs."""
    return pl.Trainer(
        accelerator="cpu",
        devices=1,
        precision=PRECISIONS[spec.config.trainer.precision],
        max_steps=spec.iterations,
        max_epochs=-1,
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        plugins=[LightningEnvironment()],  # inside a Slurm job it would else take the job's tasks for its own
    )


def _result(run: Run, recorder: Recorder, status: str, reason: str | None = None) -> Result:
    spec, config = run.spec, run.spec.config
    last = recorder.rows[-1] if status == store.FINISHED else None
    images = recorder.iteration * config.data.batch_size
    return Result(
        run_id=spec.run_id,
        name=spec.name,
        experiment=config.experiment,
        data=config.data.name,
        model=config.model.name,
        policy=spec.policy["name"],
        seed=config.seed,
        status=status,
        iterations=recorder.iteration,
        test_accuracy=last.test_accuracy if last else None,
        test_loss=last.test_loss if last else None,
        seconds=round(recorder.seconds, 3),
        images_per_second=round(images / recorder.seconds, 1) if recorder.seconds else 0.0,
        **run.environment,
        reason=reason,
    )


def _tracked(run: Run) -> TrackedRun:
    spec = run.spec
    return TrackedRun(
        run_id=spec.run_id,
        name=spec.name,
        experiment=spec.config.experiment,
        job_type=spec.policy["name"],
        tags=[spec.config.data.name, spec.config.model.name],
        config=spec.identity,
        folder=run.work,
    )
