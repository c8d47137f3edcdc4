"""The plain way to train cifar10_full: what one writes with Lightning, torchvision and torch before thinking of time.

The same mathematics as the suite's, up to torch's SGD, so that only the way differs: PIL images through transforms in two
worker processes, images (n, c, h, w) in memory, the normalisation with a power and plain autograd.
"""

from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from bench.clock import Clock
from bench.sizes import BATCH_SIZE, BLOCKS
from bench.ticker import Ticker
from bench.torch_way import cyclic_sgd, plain_net
from clrbench.data.images import Images
from clrbench.quiet import quiet

WORKERS = 2


class PlainClassifier(pl.LightningModule):
    """A net with torch's SGD and CyclicLR."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

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

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """The same of a batch that is not trained on."""
        images, labels = batch
        self.log("validation_loss", F.cross_entropy(self(images), labels))

    def configure_optimizers(self) -> Any:
        """SGD under triangular2."""
        optimizer, schedule = cyclic_sgd(self.net)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class PILImages(Dataset[tuple[Tensor, int]]):
    """Images as torchvision's CIFAR10 gives them: a PIL image each, through a transform; here pixels minus the mean image.

    mean: that of the training images, None where these are they.
    """

    def __init__(self, images: Images, mean: Tensor | None = None) -> None:
        self._images = images
        self.mean = torch.from_numpy(images.pixels.mean(axis=0)).float().permute(2, 0, 1) if mean is None else mean
        self._transform = transforms.Compose([transforms.ToTensor(), self._centre])

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = Image.fromarray(np.asarray(self._images.pixels[index]))
        return self._transform(image), int(self._images.labels[index])

    def _centre(self, image: Tensor) -> Tensor:
        return image * 255 - self.mean


def loader(images: PILImages) -> DataLoader[tuple[Tensor, int]]:
    """Batches in random orders, made by two worker processes."""
    return DataLoader(images, BATCH_SIZE, shuffle=True, drop_last=True, num_workers=WORKERS)


def ms_per_step(images: Images, block: int) -> float:
    """Train for BLOCKS blocks; milliseconds a step from the end of the first block to that of the last but one."""
    clock = Clock(ready=lambda: None)
    with quiet():
        trainer(BLOCKS * block, Ticker(clock.tick)).fit(PlainClassifier(plain_net()), loader(PILImages(images)))
    return clock.ms_per_step()


def trainer(steps: int, *callbacks: pl.Callback, precision: Any = "32-true") -> pl.Trainer:
    """Lightning's trainer: bar, logger and checkpoints would only make it slower."""
    return pl.Trainer(
        accelerator="cpu",
        precision=precision,
        max_steps=steps,
        callbacks=list(callbacks),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
