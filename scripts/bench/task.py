"""What the suite adds to a user's own training: a small transformer by Lightning's Trainer, alone and as a task."""

import itertools
import statistics
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from bench import ours
from bench.figure import Figure, Goal
from bench.sizes import Sizes
from bench.timing import alternate
from clrbench.config import Config, PathNames
from clrbench.quiet import quiet
from clrbench.training.lean import Console, train

GOAL = Goal(2.0, is_minimum=False)
ALONE, TASK = "Trainer.fit", "task"
_BATCH, _LENGTH, _LETTERS = 16, 64, 128
# The steps of one epoch begin here; its first tenth warms up.
_begun: list[float] = []


class Transformer(pl.LightningModule):
    """Two blocks of 64 units, which note when each step begins."""

    def __init__(self) -> None:
        super().__init__()
        self.letter, self.out = nn.Embedding(_LETTERS, 64), nn.Linear(64, _LETTERS)
        self.blocks = nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 4, 128, batch_first=True), 2)

    def _loss(self, batch: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(_LENGTH)
        scores: Tensor = self.out(self.blocks(self.letter(batch[:, :-1]), mask))
        return F.cross_entropy(scores.transpose(1, 2), batch[:, 1:])

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        """The loss."""
        _begun.append(time.perf_counter())
        return self._loss(batch)

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        """Log the loss."""
        self.log("val_loss", self._loss(batch))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW."""
        return torch.optim.AdamW(self.parameters(), lr=0.001)


class Letters(pl.LightningDataModule):
    """So many batches of letters at random."""

    def __init__(self, batches: int) -> None:
        super().__init__()
        self._letters = torch.randint(_LETTERS, (batches * _BATCH, _LENGTH + 1), generator=torch.Generator().manual_seed(0))

    def train_dataloader(self) -> Any:
        """All of them."""
        return DataLoader(self._letters, batch_size=_BATCH, shuffle=True)  # type: ignore[arg-type]

    def val_dataloader(self) -> Any:
        """The first batch."""
        return DataLoader(self._letters[:_BATCH], batch_size=_BATCH)  # type: ignore[arg-type]


def measure(conf: Path, folder: Path, sizes: Sizes) -> list[Figure]:
    """The figures."""
    config = ours.composed(
        conf,
        *("task=lightning", "task.module._target_=bench.task.Transformer", "task.data._target_=bench.task.Letters"),
        *(f"+task.data.batches={sizes.task_steps}", "task.monitor=val_loss", "task.mode=min", "iterations='1 epochs'"),
        *("bounds.base_lr=0.0005", "bounds.max_lr=0.002", "policy=triangular", "policy.step_size=2000"),
        "tracking.wandb=disabled",
    )
    measures = {ALONE: partial(_alone, sizes.task_steps), TASK: partial(_by_task, config)}
    found = alternate("task", measures, sizes.repetitions)
    cost = [100 * (task / alone - 1) for alone, task in zip(found[ALONE], found[TASK], strict=True)]
    return [
        *(Figure(f"transformer, {name}", "ms", found[name]) for name in measures),
        Figure("transformer, task over Trainer.fit", "%", cost, GOAL),
    ]


def _alone(steps: int) -> float:
    """Milliseconds a step as a user trains, at one rate."""
    pl.seed_everything(1, verbose=False)
    silent = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    with quiet():
        pl.Trainer(accelerator="cpu", max_epochs=1, **silent).fit(Transformer(), datamodule=Letters(steps))  # type: ignore[arg-type]
    return _ms_per_step()


def _by_task(config: Config) -> float:
    """The same by the suite, whose rates change at every step."""
    with tempfile.TemporaryDirectory() as folder:
        # A record of its own each time: `train` does nothing where it finds one.
        result, _ = train(replace(config, paths=PathNames(folder, folder, folder)), Console(silent=True))
    ours.check(result)
    return _ms_per_step()


def _ms_per_step() -> float:
    """The median over the steps that have just been made, which no other work of the machine moves far."""
    steps = [1000 * (later - earlier) for earlier, later in itertools.pairwise(_begun)][len(_begun) // 10 :]
    _begun.clear()
    return statistics.median(steps)
