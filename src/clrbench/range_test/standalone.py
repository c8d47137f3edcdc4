"""The range test for any LightningModule and data loader, outside of the suite's configurations and records."""

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.seed import isolate_rng
from torch.nn import functional as F

from clrbench.callback import CyclicLR
from clrbench.packages import Callback, package_of
from clrbench.quiet import quiet
from clrbench.range_test.curve import LOSS_LIMIT, Curve
from clrbench.range_test.judge import Bounds, judge
from clrbench.schedules import named

# An evaluation: accuracy in percent, mean loss, number of classes.
Evaluation = tuple[float, float, int]
Evaluate = Callable[[pl.LightningModule], Evaluation]


@dataclass(frozen=True)
class Found:
    """What a range test found: the bounds, and a curve a seed."""

    bounds: Bounds
    curves: Sequence[Curve]


class LRRangeTest:
    """Find base_lr and max_lr for a LightningModule (section 3.3).

        found = LRRangeTest(high=0.1, iterations=800).run(module, train_loader, val_loader)
        print(found.bounds)

    low, high: the ends of the ramp, `linear` in the iteration, or `exponential`, which needs a `low` above 0. iterations:
    the length of the ramp, in optimizer steps; points: how often it is evaluated. seeds: one ramp each; a seed decides
    the order of a shuffling loader and whatever the module draws, while all start from the module's own weights.
    rule: see `range_test.judge`. Raises ValueError for impossible settings.
    """

    def __init__(
        self,
        high: float,
        low: float = 0.0,
        iterations: int = 1000,
        points: int = 20,
        ramp: str = "linear",
        seeds: Sequence[int] = (1, 2, 3),
        rule: str = "rise_and_slow",
    ) -> None:
        self._schedule = named("ramp", min_lr=low, max_lr=high, iterations=iterations, ramp=ramp)
        if not 1 <= points <= iterations:
            raise ValueError(f"points={points} is impossible: it must be between 1 and the {iterations} iterations")
        self._iterations, self._points, self._seeds, self._rule = iterations, points, tuple(seeds), rule

    def run(
        self,
        module: pl.LightningModule,
        train_loader: Iterable[Any],
        val_loader: Iterable[Any],
        evaluate: Evaluate | None = None,
    ) -> Found:
        """Train copies of `module` up the ramp and judge the curves; the module and all random states stay as they are.

        evaluate: from the module to accuracy in percent, mean loss and number of classes. By default, that of
        `module(inputs)` as scores (n, classes) for the batches (inputs, labels) of `val_loader`.
        """
        score = evaluate or (lambda trained: _evaluate(trained, val_loader))
        ramps = [self._ramp(module, train_loader, score, seed) for seed in self._seeds]
        curves = [ramp.curve for ramp in ramps]
        return Found(judge(curves, max(ramp.classes for ramp in ramps), self._rule), curves)

    def _ramp(self, module: pl.LightningModule, loader: Iterable[Any], score: Evaluate, seed: int) -> "_Ramp":
        every = max(1, self._iterations // self._points)
        ramp = _Ramp(lambda iteration: float(self._schedule(iteration)), every, score)
        with isolate_rng(), quiet():
            torch.manual_seed(seed)
            np.random.seed(seed)
            trainer = package_of(module).Trainer(
                max_steps=self._iterations,
                max_epochs=-1,
                callbacks=[ramp, CyclicLR(self._schedule)],
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                limit_val_batches=0,
                num_sanity_val_steps=0,
            )
            trainer.fit(_copy(module), loader)
        return ramp


class _Ramp(Callback):
    """Evaluates on the way up, and stops where training has clearly diverged."""

    def __init__(self, rate: Callable[[int], float], every: int, score: Evaluate) -> None:
        self.classes = 2
        self._rate, self._every, self._score = rate, every, score
        self._found: list[tuple[float, float, float]] = []
        self._diverged_at: float | None = None

    @property
    def curve(self) -> Curve:
        """What was seen."""
        rates, accuracies, losses = np.array(self._found, float).reshape(-1, 3).T
        return Curve(rates, accuracies, losses, self._diverged_at)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the module's own schedulers aside: the ramp takes their place."""
        trainer.strategy.lr_scheduler_configs = []

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Evaluate where it is time."""
        iteration = trainer.global_step
        if iteration % self._every or trainer.should_stop:
            return
        rate = self._rate(iteration - 1)
        with _evaluating(pl_module):
            accuracy, loss, self.classes = self._score(pl_module)
        if math.isfinite(loss) and loss <= LOSS_LIMIT:
            self._found.append((rate, accuracy, loss))
        else:
            self._diverged_at = rate
            trainer.should_stop = True


@contextmanager
def _evaluating(module: pl.LightningModule) -> Iterator[None]:
    was_training = module.training
    module.eval()
    with torch.no_grad(), isolate_rng():
        yield
    module.train(was_training)


def _evaluate(module: pl.LightningModule, loader: Iterable[Any]) -> Evaluation:
    correct, total, loss, classes = 0, 0, 0.0, 2
    for batch in loader:
        inputs, labels = module.transfer_batch_to_device(batch, module.device, 0)
        scores = module(inputs).float()
        if scores.ndim != 2 or scores.shape[1] < 2 or labels.shape != scores.shape[:1] or labels.is_floating_point():
            raise ValueError(
                f"module(inputs) is {tuple(scores.shape)} and labels are {tuple(labels.shape)} of {labels.dtype}, not scores "
                "(n, classes) and class numbers (n,): pass evaluate=, a function of the module to accuracy, loss and classes"
            )
        correct += int((scores.argmax(1) == labels).sum())
        loss += float(F.cross_entropy(scores, labels, reduction="sum"))
        total, classes = total + len(labels), scores.shape[1]
    return 100 * correct / total, loss / total, classes


def _copy(module: pl.LightningModule) -> pl.LightningModule:
    """A copy of the module alone: a trainer that it hangs on stays with the original."""
    trainer, module._trainer = module._trainer, None
    try:
        return copy.deepcopy(module)
    finally:
        module._trainer = trainer
