"""One ramp of the rate for any LightningModule, under a Trainer of its own package."""

import contextlib
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from pytorch_lightning.utilities.seed import isolate_rng

from clrbench.callback import CyclicLR
from clrbench.packages import Callback, no_logger, package_of
from clrbench.quiet import quiet
from clrbench.range_test.borrowed import lent, modes_kept, seeded
from clrbench.range_test.curve import LOSS_LIMIT, Curve
from clrbench.range_test.score import Evaluate, Metric

Policy = Callable[[Any], Any]
# A loss so many times as far from the first one as the best that was seen has diverged.
_WORSE = 10.0
# So many times its steps a ramp may take in batches before the first step, in epochs, and in steps of all optimizers together.
_ROOM = 100


def climb(
    module: Any,
    loaders: tuple[Any, Any],
    schedule: Policy,
    steps: int,
    score: Evaluate | Metric | None,
    points: int,
    seed: int,
    options: Mapping[str, Any],
    stop: Callable[[list[float]], bool] | None = None,
) -> "Ramp":
    """Train a copy of `module` for `steps` optimizer steps at the rates of `schedule`, and read `points` scores on the way.

    loaders: training and validation; a datamodule and None. score: None reads the training loss alone. options: for the
    Trainer. stop: of the training losses, whether to end here. Raises ValueError for loaders without batches, for a
    Trainer of several processes, for a metric that is not logged, and for a ramp that needs too much room.
    """
    train, validation = loaders
    batches = steps * int(options.get("accumulate_grad_batches", 1))
    every, room = max(1, batches // points), _ROOM * steps
    cyclic = CyclicLR(lambda iteration: schedule(np.minimum(iteration, steps)))
    ramp = Ramp(cyclic, schedule, steps, score, every, stop)
    is_logged = isinstance(score, Metric)
    package = package_of(module)
    with seeded(seed, [train, validation]), quiet(), lent(module) as trained:
        trainer = package.Trainer(
            **{
                "devices": 1,
                "max_steps": room,  # the ramp ends before; a module may ask how long training is, where it makes its schedulers
                "max_epochs": room,
                "callbacks": [cyclic, ramp],
                "logger": no_logger(module),
                "enable_checkpointing": False,
                "enable_progress_bar": False,
                "enable_model_summary": False,
                "num_sanity_val_steps": 0,
                "limit_val_batches": 1.0 if is_logged else 0,
                **({"val_check_interval": every, "check_val_every_n_epoch": None} if is_logged else {}),
                **options,
            }
        )
        if hasattr(train, "train_dataloader"):
            trainer.fit(trained, datamodule=train)
        else:
            trainer.fit(trained, train, validation if is_logged else None)
    if not ramp.has_batches:
        raise ValueError("the training loader gives no batch: give it data")
    if not trainer.should_stop:
        raise ValueError(
            f"the ramp had made {ramp.count_made} of {steps} steps when it had taken {room} epochs, or {room} steps of all "
            "optimizers together: give more batches an epoch, or a module that steps more often with fewer optimizers"
        )
    return ramp


class Ramp(Callback):
    """Reads the score on the way up, and stops at the last step or where training has clearly diverged."""

    def __init__(
        self,
        cyclic: CyclicLR,
        schedule: Policy,
        steps: int,
        score: Evaluate | Metric | None,
        every: int,
        stop: Callable[[list[float]], bool] | None,
    ) -> None:
        self.classes, self.has_batches, self.groups = 2, False, [1.0]
        self.rates: list[float] = []
        self.losses: list[float] = []
        self._cyclic, self._schedule, self._steps = cyclic, schedule, steps
        self._score, self._every, self._stop = score, every, stop
        self._found: list[tuple[float, float, float]] = []
        self._diverged_at: float | None = None
        self._batches = self._in_epoch = self.count_made = 0
        self._isolated, self._before = contextlib.ExitStack(), dict[str, Any]()

    @property
    def curve(self) -> Curve:
        """What was seen."""
        rates, scores, losses = np.array(self._found, float).reshape(-1, 3).T
        metric = self._score if isinstance(self._score, Metric) else None
        return Curve(
            rates, scores, losses, self._diverged_at, metric.monitor if metric else None, metric.mode if metric else "max"
        )

    @property
    def count(self) -> int:
        """Steps of the optimizer that has made most."""
        return max(self._cyclic.state_dict()["iterations"], default=0)

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Refuse several processes, each of which would see a part, and weights of which none is trained."""
        if trainer.world_size > 1:
            raise ValueError(
                f"a range test trains on one device, not {trainer.world_size}: give devices=1, or devices=[1] for another"
            )
        groups = [group for optimizer in trainer.optimizers for group in optimizer.param_groups]
        if not any(weights.requires_grad for group in groups for weights in group["params"]):
            raise ValueError(
                "all weights that the module's optimizers have are frozen: set requires_grad of those that are to be trained"
            )
        self.groups = [share for shares in self._cyclic.state_dict()["shares"] for share in shares]

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Note the training loss; evaluate where it is time."""
        self.has_batches = True
        self._batches += 1
        self._in_epoch += 1
        count = self.count_made = self.count
        if count > self._batches:
            raise ValueError(
                f"the module makes {count} optimizer steps in {self._batches} batches: a range test reads one a batch at most"
            )
        rate = float(self._schedule(max(0, count - 1)))
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if loss is not None:
            self.rates.append(rate)
            self.losses.append(float(loss))
        if callable(self._score) and self._batches % self._every == 0:
            with modes_kept(pl_module):
                accuracy, loss, self.classes = self._score(pl_module)
            self._read(trainer, rate, accuracy, loss)
        has_broken = self._stop is not None and self._stop(self.losses)
        if count >= self._steps or has_broken:
            trainer.should_stop = True
        if not count and self._batches > _ROOM * self._steps:
            raise ValueError(f"no optimizer made a step in {self._batches} batches: does training_step call optimizer.step()?")

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Refuse a loader that has ended: Lightning would go through empty epochs for ever."""
        if not self._in_epoch:
            raise ValueError("the training loader gives no batch any more: it ends after one epoch; give a loader or a list")
        self._in_epoch = 0

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        """Keep what validation draws and logs apart."""
        self._before = dict(trainer.callback_metrics)
        self._isolated.enter_context(isolate_rng())

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Read the metric."""
        self._isolated.close()
        if isinstance(self._score, Metric):
            value = self._score.read(trainer, self._before)
            self._read(trainer, float(self._schedule(max(0, self.count - 1))), value, math.nan)

    def _read(self, trainer: Any, rate: float, value: float, loss: float) -> None:
        if self._found and rate <= self._found[-1][0]:
            return  # no step since: gradients are being accumulated
        if self._has_diverged(value, loss):
            self._diverged_at = rate
            trainer.should_stop = True
        else:
            self._found.append((rate, value, loss))

    def _has_diverged(self, value: float, loss: float) -> bool:
        if isinstance(self._score, Metric):
            values = [seen for _, seen, _ in self._found]
            if not math.isfinite(value) or self._score.mode == "max" or not values:
                return not math.isfinite(value)
            return value - values[0] > _WORSE * max(values[0] - min(values), abs(values[0]) / _WORSE)
        losses = [seen for _, _, seen in self._found]
        return not math.isfinite(loss) or loss > max([LOSS_LIMIT, *(_WORSE * seen for seen in losses[:1])])
