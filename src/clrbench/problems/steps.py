"""What the modules of all problems have in common: their steps and metrics. Their optimizers' rates come from the policy."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import pytorch_lightning as pl
from torch import Tensor, nn
from torch.nn import functional as F

Batch = Sequence[Tensor]


class Measured(pl.LightningModule):
    """A net whose loss trains it, and whose metric is logged as val_METRIC and test_METRIC."""

    metric: ClassVar[str]

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        """What the net makes of inputs (n, ...)."""
        out: Tensor = self.net(x)
        return out

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """What training lowers: the mean over a batch."""

    @abstractmethod
    def value(self, batch: Batch) -> Tensor:
        """The metric of a batch."""

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss."""
        return self.loss(batch)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the metric, which decides what is chosen."""
        self.log(f"val_{self.metric}", self.value(batch), batch_size=len(batch[0]))

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the metric, which is the result."""
        self.log(f"test_{self.metric}", self.value(batch), batch_size=len(batch[0]))


class CrossEntropy(Measured):
    """Scores (n, classes, ...) against labels (n, ...); the metric is the cross-entropy in bits."""

    metric = "bits"

    def loss(self, batch: Batch) -> Tensor:
        """The cross-entropy in nats."""
        x, y = batch
        return F.cross_entropy(self(x), y)

    def value(self, batch: Batch) -> Tensor:
        """The cross-entropy in bits."""
        return self.loss(batch) / math.log(2)


class Accuracy(CrossEntropy):
    """The same, of which the metric is the share of right answers in percent."""

    metric = "accuracy"

    def value(self, batch: Batch) -> Tensor:
        """The share whose class has the highest score, 0 to 100."""
        x, y = batch
        right: Tensor = self(x).argmax(1) == y
        return 100 * right.float().mean()


class LeastSquares(Measured):
    """Numbers (n, ...) against targets of their shape; the metric is the root of the mean squared error."""

    metric = "rmse"

    def loss(self, batch: Batch) -> Tensor:
        """The mean squared error."""
        x, y = batch
        return F.mse_loss(self(x), y)

    def value(self, batch: Batch) -> Tensor:
        """Its root, in the unit of the targets."""
        return self.loss(batch).sqrt()
