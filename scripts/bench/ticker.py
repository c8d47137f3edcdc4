"""A callback for Lightning that tells the end of every step."""

from collections.abc import Callable, Mapping
from typing import Any

import pytorch_lightning as pl
from torch import Tensor


class Ticker(pl.Callback):
    """Calls `tick` at the end of every step."""

    def __init__(self, tick: Callable[[], object]) -> None:
        self._tick = tick

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Tensor | Mapping[str, Any] | None, *_: Any
    ) -> None:
        """Tell it."""
        self._tick()
