"""The evaluations of a run: when they happen, what they find, and the checkpoint that each leaves."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pytorch_lightning as pl
import torch

from clrbench.packages import save_checkpoint
from clrbench.store import Evaluation
from clrbench.training.every import Every

CHECK_EVERY = 50
_FLUSH_EVERY = 1.0  # seconds: to wait for the disk takes longer than a short run's evaluation


class OnEvaluation(Protocol):
    """Takes all evaluations so far; flush: what it writes shall outlive a failure of the power."""

    def __call__(self, rows: list[Evaluation], *, flush: bool) -> None:
        """At each evaluation."""


class Recorder(pl.Callback):
    """Evaluate at given iterations, hand each evaluation on, and save a checkpoint behind it.

    A checkpoint holds all evaluations so far, so that a run which is killed anywhere goes on from a consistent state. A
    training loss that is not finite or above `loss_limit` stops the run and sets `diverged` to the reason.
    """

    def __init__(
        self,
        points: Sequence[int],
        iterations_per_epoch: int,
        rate: Callable[[int], float],
        evaluate: Callable[[], Mapping[str, float]],
        on_evaluation: OnEvaluation,
        checkpoint: Path,
        loss_limit: float,
    ) -> None:
        self.rows: list[Evaluation] = []
        self.diverged: str | None = None
        self.iteration = 0
        self._points, self._per_epoch, self._rate = frozenset(points), iterations_per_epoch, rate
        self._evaluate, self._on_evaluation = evaluate, on_evaluation
        self._checkpoint, self._loss_limit = checkpoint, loss_limit
        self._seconds, self._since, self._flush = 0.0, 0.0, Every(_FLUSH_EVERY)
        self._loss, self._batches = torch.zeros((), dtype=torch.float64), 0

    @property
    def seconds(self) -> float:
        """Training time up to the last evaluation or divergence, evaluations left out."""
        return self._seconds

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._loss = torch.zeros((), dtype=torch.float64, device=pl_module.device)
        self._since = time.perf_counter()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop the clock."""
        self._seconds += time.perf_counter() - self._since

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Gather the loss; evaluate and save where it is time."""
        self._loss += outputs["loss"]
        self._batches += 1
        self.iteration = trainer.global_step
        if self.iteration in self._points:
            self._record(trainer)
        elif self._batches % CHECK_EVERY == 0 and self._loss.device.type == "cpu":
            # A GPU would stand still until its loss has been read; there, the next evaluation tells.
            self._stop_if_diverged(trainer, self._mean_loss(trainer), "training")

    def _mean_loss(self, trainer: pl.Trainer) -> float:
        """Of the batches since the last evaluation, over all processes of the run, so that all of them decide alike."""
        mean = trainer.strategy.reduce(self._loss / self._batches, reduce_op="mean")
        assert isinstance(mean, torch.Tensor)
        return mean.item()

    def _record(self, trainer: pl.Trainer) -> None:
        train_loss = self._mean_loss(trainer)
        self._seconds += time.perf_counter() - self._since
        if not self._stop_if_diverged(trainer, train_loss, "training"):
            metrics = self._evaluate()
            epoch = self.iteration / self._per_epoch
            rate = self._rate(self.iteration - 1)
            row = Evaluation(self.iteration, epoch, rate, train_loss, metrics, round(self._seconds, 3))
            if not self._stop_if_diverged(trainer, metrics["test_loss"], "test"):
                self.rows.append(row)
                self._loss.zero_()
                self._batches = 0
                flush = self._flush.take_turn()
                save_checkpoint(trainer, self._checkpoint, flush=flush)
                self._on_evaluation(self.rows, flush=flush)
        self._since = time.perf_counter()

    def _stop_if_diverged(self, trainer: pl.Trainer, loss: float, which: str) -> bool:
        if math.isfinite(loss) and loss <= self._loss_limit:
            return False
        self.diverged = f"{which} loss {loss:.4g} at iteration {self.iteration} (limit {self._loss_limit:g})"
        trainer.should_stop = True
        return True

    def state_dict(self) -> dict[str, Any]:
        """The evaluations so far, the training time, and the state of the random numbers that a net may draw."""
        return {
            "rows": [list(vars(row).values()) for row in self.rows],
            "seconds": self._seconds,
            "random": torch.get_rng_state(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        self.rows = [Evaluation(*row) for row in state_dict["rows"]]
        self.iteration = self.rows[-1].iteration
        self._seconds = state_dict["seconds"]
        torch.set_rng_state(state_dict["random"])
