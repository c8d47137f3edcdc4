"""The evaluations of a user's own module, by its own validation loop; and the checkpoint that each epoch leaves."""

import contextlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.utilities.seed import isolate_rng

from clrbench.callback import CyclicLR
from clrbench.errors import ConfigError
from clrbench.packages import Callback, save_checkpoint
from clrbench.store import COLUMNS, Evaluation
from clrbench.tasks.own_spec import OwnSpec
from clrbench.unofficial import validate_after


class OwnRecorder(Callback):
    """Have the module validate at the spec's iterations, record what it logs, save a checkpoint behind each epoch, end the run.

    An evaluation draws random numbers of its own: training goes on with those that it would have without. A metric that is not
    finite, or a training loss that is not or is above trainer.loss_limit, stops the run and sets `diverged` to the reason.
    A metric that is called as a column of every record is left out, which `say` is told once.
    """

    def __init__(self, spec: OwnSpec, on_evaluation: Any, checkpoint: Path, say: Callable[[str], None]) -> None:
        self.rows: list[Evaluation] = []
        self.diverged: str | None = None
        self._spec, self._on_evaluation, self._checkpoint, self._say = spec, on_evaluation, checkpoint, say
        self._left_out: set[str] = set()
        self._points = [self._in_batches(point) for point in spec.evaluation_points]
        self._batches, self._losses, self._loss = 0, 0, torch.zeros((), dtype=torch.float64)
        self._seconds, self._since = 0.0, 0.0
        self._aside = contextlib.ExitStack()
        self._before: dict[str, Any] = {}

    @property
    def seconds(self) -> float:
        """Training time, evaluations left out."""
        return self._seconds

    @property
    def iteration(self) -> int:
        """The iterations that are complete."""
        epochs, rest = divmod(self._batches, self._spec.batches)
        return epochs * self._spec.iterations_per_epoch + rest // self._spec.accumulated

    def _in_batches(self, iteration: int) -> int:
        """The batches after which an iteration is complete: the last one of an epoch has what is left."""
        epochs, rest = divmod(iteration, self._spec.iterations_per_epoch)
        return epochs * self._spec.batches + rest * self._spec.accumulated

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Start the clock. Raises ConfigError where an epoch has other batches than were planned with."""
        if trainer.num_training_batches != self._spec.batches:
            raise ConfigError(
                f"task.data: train_dataloader gives each device {trainer.num_training_batches} batches an epoch, and gave "
                f"{self._spec.batches} when the run was planned: it must neither change their number nor share them itself"
            )
        self._loss = self._loss.to(pl_module.device)
        self._since = time.perf_counter()

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Say when the module shall validate next."""
        validate_after(trainer, next(point for point in self._points if point > self._batches))

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Gather the loss, where training_step returns one; end where the budget does."""
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if isinstance(loss, torch.Tensor):
            self._loss += loss.detach() * trainer.accumulate_grad_batches  # Lightning hands on its share of a step's
            self._losses += 1
        self._batches += 1
        trainer.should_stop |= self._batches == self._points[-1]

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        """Stop the clock, and lay the random numbers of training aside."""
        if not trainer.sanity_checking:
            self._seconds += time.perf_counter() - self._since
        self._aside.enter_context(isolate_rng())
        self._before = dict(trainer.callback_metrics)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Record what was logged. Raises ConfigError where the monitor is not among it."""
        self._aside.close()
        metrics = trainer.strategy.broadcast(self._logged(trainer))  # buffers, as statistics of batches, differ by process
        if not trainer.sanity_checking and self.diverged is None:
            self._check_steps(trainer)
            self._record(trainer, metrics)
        self._since = time.perf_counter()

    def _logged(self, trainer: Any) -> dict[str, float]:
        """What this validation has logged, and not training before it."""
        logged = {name: value for name, value in trainer.callback_metrics.items() if self._before.get(name) is not value}
        monitor = self._spec.config.task.monitor
        if monitor not in logged:
            names = ", ".join(sorted(logged)) or "nothing"
            raise ConfigError(
                f"task.monitor={monitor} is never logged by validation_step: it logs {names} (on_epoch=False does not count)"
            )
        self._leave_out([name for name in logged if name in COLUMNS and name not in self._left_out])
        return {name: float(value) for name, value in logged.items() if name not in self._left_out}

    def _leave_out(self, names: Sequence[str]) -> None:
        if names:
            self._left_out.update(names)
            self._say(
                f"{', '.join(names)}: left out of what validation_step logs, for every record has a column of that name: log "
                "it by another name to keep it"
            )

    def _check_steps(self, trainer: Any) -> None:
        """Raise ConfigError where the optimizers have stepped more often, or less often, than iterations are counted."""
        steps = max(next(one for one in trainer.callbacks if isinstance(one, CyclicLR)).state_dict()["iterations"], default=0)
        skips = self._spec.config.trainer.precision == "float16"  # torch's scaler leaves out a step that overflows
        if steps > self.iteration or (steps < self.iteration and not skips):
            raise ConfigError(
                f"task.module makes {steps:,} optimizer steps in {self._batches:,} batches, where the run counts "
                f"{self.iteration:,} iterations, so its rates would not be those of the record: step once a batch, or gather "
                "batches with +task.trainer.accumulate_grad_batches"
            )

    def _record(self, trainer: Any, metrics: Mapping[str, float]) -> None:
        self._share_loss(trainer)
        train_loss = self._loss.item() / self._losses if self._losses else math.nan
        iteration, monitor = self.iteration, str(self._spec.config.task.monitor)
        limit = self._spec.config.trainer.loss_limit
        if (self._losses and not train_loss <= limit) or math.isinf(train_loss):
            self.diverged = f"training loss {train_loss:.4g} at iteration {iteration} (limit {limit:g})"
        elif not math.isfinite(metrics[monitor]):
            self.diverged = f"{monitor} is {metrics[monitor]} at iteration {iteration}"
        if self.diverged:
            trainer.should_stop = True
            return
        names = dict.fromkeys([*(self.rows[0].metrics if self.rows else ()), *metrics])  # the columns of the record
        if self.rows and len(names) > len(self.rows[0].metrics):  # a metric that begins late
            self.rows = [replace(row, metrics={name: row.metrics.get(name, math.nan) for name in names}) for row in self.rows]
        kept = {name: metrics.get(name, math.nan) for name in names}
        epoch = iteration / self._spec.iterations_per_epoch
        rate = float(self._spec.schedule(iteration - 1))
        self.rows.append(Evaluation(iteration, epoch, rate, train_loss, kept, round(self._seconds, 3)))
        self._on_evaluation(self.rows, flush=True)
        self._loss, self._losses = torch.zeros_like(self._loss), 0

    def _share_loss(self, trainer: Any) -> None:
        """Take the mean over the processes of the run, so that all of them decide and go on alike."""
        self._loss = trainer.strategy.reduce(self._loss, reduce_op="mean")

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Save: from here an interrupted run goes on."""
        if not trainer.should_stop:
            self._share_loss(trainer)
            save_checkpoint(trainer, self._checkpoint, flush=True)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Stop the clock."""
        self._seconds += time.perf_counter() - self._since

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Put the random numbers back."""
        self._aside.close()

    def state_dict(self) -> dict[str, Any]:
        """How far the run is: its evaluations, training time, and the loss since the last of them."""
        return {
            "rows": [list(vars(row).values()) for row in self.rows],
            "seconds": self._seconds + time.perf_counter() - self._since,
            "batches": self._batches,
            "iteration": self.iteration,
            "loss": (self._loss.item(), self._losses),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        self.rows = [Evaluation(*row) for row in state_dict["rows"]]
        self._seconds, self._batches = state_dict["seconds"], state_dict["batches"]
        loss, self._losses = state_dict["loss"]
        self._loss = torch.tensor(loss, dtype=torch.float64)


def saved_iteration(checkpoint: Mapping[str, Any]) -> int:
    """The iteration at which a checkpoint was saved."""
    return int(checkpoint["callbacks"][OwnRecorder.__qualname__]["iteration"])
