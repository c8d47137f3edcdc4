"""The LightningModule: a network, the form of its input, and its optimizer."""

from collections.abc import Callable, Sequence

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from clrbench.config import INPUTS
from clrbench.data.images import AnyImages, Array, ImageFiles
from clrbench.errors import ConfigError

_CHUNK = 5000
# ImageNet's mean and standard deviation for red, green and blue, 0-255, as torchvision's nets have them.
IMAGENET_MEAN, IMAGENET_SCALE = 255 * np.array([0.485, 0.456, 0.406]), 255 * np.array([0.229, 0.224, 0.225])


class Input(nn.Module):
    """Bytes (n, height, width, channels) to floats (n, channels, height, width): (pixels - mean) / scale.

    The result keeps channels last in memory, the order in which the images are stored and CPUs convolve fastest.
    """

    mean: Tensor
    scale: Tensor | None

    def __init__(self, mean: NDArray[np.float64], scale: NDArray[np.float64] | None = None) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(mean).float())
        self.register_buffer("scale", None if scale is None else torch.from_numpy(scale).float())

    def forward(self, pixels: Tensor) -> Tensor:
        """Centre and scale a batch."""
        images = pixels.float().sub_(self.mean)
        if self.scale is not None:
            images.div_(self.scale)
        return images.permute(0, 3, 1, 2)


def mean_image(images: AnyImages, indices: NDArray[np.int64]) -> Input:
    """Pixels 0-255 minus the mean image (height, width, channels) of the training images, as Caffe does."""
    return Input(_mean(_pixels(images, "mean_image"), indices, lambda chunk: chunk))


def standardize(images: AnyImages, indices: NDArray[np.int64]) -> Input:
    """Pixels minus their mean, by their standard deviation, per channel over the training images."""
    pixels = _pixels(images, "standardize")
    mean = _mean(pixels, indices, lambda chunk: chunk).mean(axis=(0, 1))
    variance = _mean(pixels, indices, lambda chunk: np.square(chunk - mean)).mean(axis=(0, 1))
    return Input(mean, np.sqrt(np.maximum(variance, 1e-12)))


def imagenet(images: AnyImages, indices: NDArray[np.int64]) -> Input:
    """Pixels minus ImageNet's mean, by its standard deviation, per channel: for a set that is too big to be averaged."""
    return Input(IMAGENET_MEAN, IMAGENET_SCALE)


def _pixels(images: AnyImages, name: str) -> Array:
    if isinstance(images, ImageFiles):
        raise ConfigError(
            f"model.input={name} averages all images, which a streamed set is too big for: take model.input=imagenet"
        )
    return images.pixels


def _mean(
    pixels: Array, indices: NDArray[np.int64], transform: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """The mean over images (height, width, channels), chunk by chunk: a whole set in float64 would not fit in memory."""
    total = np.zeros(pixels.shape[1:])
    for start in range(0, len(indices), _CHUNK):
        total += transform(pixels[indices[start : start + _CHUNK]].astype(np.float64)).sum(axis=0)
    return total / len(indices)


def training_loss(outputs: Tensor | Sequence[Tensor], labels: Tensor) -> Tensor:
    """The mean cross-entropy of what a net puts out in training for labels (n,).

    outputs: scores (n, classes); or several such, of which those of auxiliary classifiers, all but the first, count 0.3 each
    (Szegedy et al., arXiv:1409.4842).
    """
    if isinstance(outputs, Tensor):
        return F.cross_entropy(outputs, labels)
    scores, *auxiliary = outputs
    return F.cross_entropy(scores, labels) + 0.3 * sum(F.cross_entropy(others, labels) for others in auxiliary)


PREPARATIONS = dict(zip(INPUTS, (mean_image, standardize, imagenet), strict=True))
Augment = Callable[[Tensor, int], Tensor]


class Classifier(pl.LightningModule):
    """Softmax classification of images; the rate is the callback's business.

    augment: changes the prepared images (n, channels, height, width) of an iteration, in training only.
    """

    def __init__(
        self,
        prepare: Input,
        net: nn.Module,
        make_optimizer: Callable[[nn.Module], Optimizer],
        augment: Augment | None = None,
    ) -> None:
        super().__init__()
        self.prepare = prepare
        self.net = net.to(memory_format=torch.channels_last)
        self._make_optimizer, self._augment = make_optimizer, augment

    def forward(self, pixels: Tensor) -> Tensor:
        """Scores (n, classes) of images (n, height, width, channels) of bytes."""
        scores: Tensor = self.net(self.prepare(pixels))
        return scores

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """The loss of a batch."""
        pixels, labels = batch
        iteration = 0 if self._augment is None else self.trainer.global_step  # a bare step of a plain module needs no trainer
        return training_loss(self.net(self.inputs(pixels, iteration)), labels)

    def inputs(self, pixels: Tensor, iteration: int) -> Tensor:
        """What the net is fed in training: images of an iteration, prepared and augmented."""
        images: Tensor = self.prepare(pixels)
        return images if self._augment is None else self._augment(images, iteration)

    def configure_optimizers(self) -> Optimizer:
        """The optimizer of the net's parameters."""
        return self._make_optimizer(self.net)
