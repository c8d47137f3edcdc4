"""Batches whose order is a function of (seed, epoch) alone, so that a run can go on at any iteration."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from clrbench.data.images import Images

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class ImageTensors:
    """Images (n, height, width, channels) of bytes and labels (n,), as tensors."""

    pixels: Tensor
    labels: Tensor

    @classmethod
    def of(cls, images: Images) -> "ImageTensors":
        """Tensors that share the memory of `images`."""
        return cls(torch.from_numpy(images.pixels), torch.from_numpy(images.labels))

    def batches(self, size: int) -> Iterator[Batch]:
        """All images in order, `size` at a time."""
        yield from zip(torch.split(self.pixels, size), torch.split(self.labels, size), strict=True)


def epoch_order(images: int, seed: int, epoch: int) -> Tensor:
    """The order (images,) in which an epoch visits its images."""
    generator = torch.Generator().manual_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> 1))
    return torch.randperm(images, generator=generator)


class BatchStream:
    """The batches of a run from iteration `start` on, without end.

    Each epoch visits the images of `indices` in a new order and leaves out the last ones that do not fill a batch.
    """

    def __init__(self, images: ImageTensors, indices: NDArray[np.int64], batch_size: int, seed: int, start: int = 0) -> None:
        self._images, self._seed, self._batch_size = images, seed, batch_size
        self._indices = torch.from_numpy(indices)
        self.start = start
        self.iterations_per_epoch = len(indices) // batch_size

    def __iter__(self) -> Iterator[Batch]:
        epoch, skipped = divmod(self.start, self.iterations_per_epoch)
        while True:
            order = self._indices[epoch_order(len(self._indices), self._seed, epoch)]
            for iteration in range(skipped, self.iterations_per_epoch):
                chosen = order[iteration * self._batch_size : (iteration + 1) * self._batch_size]
                yield self._images.pixels[chosen], self._images.labels[chosen]
            epoch, skipped = epoch + 1, 0
