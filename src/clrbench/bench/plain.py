"""The plain way to train cifar10_full: what one writes with Lightning, torchvision and torch before thinking of time.

The same mathematics as the suite's, up to torch's SGD, so that only the way differs: PIL images through transforms in two
worker processes, images (n, c, h, w) in memory, the normalisation with a power and plain autograd.
"""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from clrbench.bench.sizes import BATCH_SIZE, BLOCKS, CLASSES
from clrbench.data.images import Images
from clrbench.models import Cifar10Full
from clrbench.models.lrn import ALPHA, BETA, SIZE
from clrbench.optim import parameter_groups
from clrbench.training.quiet import quiet

WORKERS = 2


class PowLRN(nn.Module):
    """The normalisation within a channel, written as torch writes its LocalResponseNorm."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        window = F.avg_pool2d(x.mul(x), SIZE, stride=1, padding=SIZE // 2)
        return x / window.mul(ALPHA).add(1).pow(BETA)


class PlainClassifier(pl.LightningModule):
    """cifar10_full with torch's SGD and CyclicLR, the rates, decay and multipliers as in the suite."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Cifar10Full((3, 32, 32), CLASSES)
        for name in ("norm1", "norm2"):
            self.net.add_module(name, PowLRN())

    def forward(self, images: Tensor) -> Tensor:
        """Scores (n, classes) of centred images (n, c, h, w)."""
        scores: Tensor = self.net(images)
        return scores

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """The mean cross-entropy of a batch."""
        images, labels = batch
        loss = F.cross_entropy(self(images), labels)
        self.log("train_loss", loss)
        return loss

    def configure_optimizers(self) -> Any:
        """SGD under triangular2."""
        groups = parameter_groups(self.net, 0.004, self.net.multipliers)
        scheduler = torch.optim.lr_scheduler.CyclicLR(
            torch.optim.SGD(groups, lr=0.001, momentum=0.9),
            base_lr=[0.001 * group["lr_mult"] for group in groups],
            max_lr=[0.006 * group["lr_mult"] for group in groups],
            step_size_up=2000,
            mode="triangular2",
            cycle_momentum=False,
        )
        return {"optimizer": scheduler.optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class PILImages(Dataset[tuple[Tensor, int]]):
    """Images as torchvision's CIFAR10 gives them: a PIL image each, through a transform; here pixels minus the mean image."""

    def __init__(self, images: Images) -> None:
        self._images = images
        self._mean = torch.from_numpy(images.pixels.mean(axis=0)).float().permute(2, 0, 1)
        self._transform = transforms.Compose([transforms.ToTensor(), self._centre])

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = Image.fromarray(np.asarray(self._images.pixels[index]))
        return self._transform(image), int(self._images.labels[index])

    def _centre(self, image: Tensor) -> Tensor:
        return image * 255 - self._mean


class _Clock(pl.Callback):
    """The time at the end of every step."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Tensor | Mapping[str, Any] | None, *_: Any
    ) -> None:
        self.ends.append(time.perf_counter())


def ms_per_step(images: Images, block: int) -> float:
    """Train for BLOCKS blocks; milliseconds a step from the end of the first block to that of the last but one."""
    clock = _Clock()
    with quiet():
        loader = DataLoader(PILImages(images), BATCH_SIZE, shuffle=True, drop_last=True, num_workers=WORKERS)
        _trainer(BLOCKS * block, clock).fit(PlainClassifier(), loader)
    first, last = block, (BLOCKS - 1) * block
    return 1000 * (clock.ends[last - 1] - clock.ends[first - 1]) / (last - first)


def _trainer(steps: int, clock: _Clock) -> pl.Trainer:
    # Bar, logger and checkpoints would only make it slower.
    return pl.Trainer(
        accelerator="cpu",
        max_steps=steps,
        callbacks=[clock],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
