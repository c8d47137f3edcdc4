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
class Share:
    """The part of every batch that the process numbered `rank` of `processes` takes; all of it for a process alone."""

    rank: int = 0
    processes: int = 1

    def of(self, batch: Tensor) -> Tensor:
        """This process' rows of a batch whose size is a multiple of `processes`."""
        size = len(batch) // self.processes
        return batch[self.rank * size : (self.rank + 1) * size]


ALL = Share()


@dataclass(frozen=True)
class ImageTensors:
    """Images (n, height, width, channels) of bytes and labels (n,), as tensors."""

    pixels: Tensor
    labels: Tensor

    @classmethod
    def of(cls, images: Images, device: torch.device | str = "cpu") -> "ImageTensors":
        """Tensors that on the CPU share the memory of `images`; a copy on any other device, made once."""
        return cls(torch.from_numpy(images.pixels).to(device), torch.from_numpy(images.labels).to(device))

    def batches(self, size: int) -> Iterator[Batch]:
        """All images in order, `size` at a time."""
        yield from zip(torch.split(self.pixels, size), torch.split(self.labels, size), strict=True)


def generator(*entropy: int) -> torch.Generator:
    """Random numbers that are a function of `entropy` alone, and leave torch's global ones as they are."""
    return torch.Generator().manual_seed(int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> 1))


def epoch_order(images: int, seed: int, epoch: int) -> Tensor:
    """The order (images,) in which an epoch visits its images."""
    return torch.randperm(images, generator=generator(seed, epoch))


class Order:
    """The epoch, and the images that a process takes, of each iteration of a run from `start` on, without end.

    Each epoch visits the images of `indices` in a new order, or all of them in that of the first where the order `is_fixed`,
    as Caffe reads its database; it leaves out the last ones that do not fill a batch. The images come as a tensor on
    `device`, to which the order of a whole epoch is sent at once.
    """

    def __init__(
        self,
        indices: NDArray[np.int64],
        batch_size: int,
        seed: int,
        start: int = 0,
        share: Share = ALL,
        device: torch.device | str = "cpu",
        is_fixed: bool = False,
    ) -> None:
        self._is_fixed = is_fixed
        self._indices, self._batch_size, self._seed = torch.from_numpy(indices), batch_size, seed
        self._share, self._device = share, device
        self.start = start
        self.iterations_per_epoch = len(indices) // batch_size

    def __iter__(self) -> Iterator[tuple[int, Tensor]]:
        epoch, skipped = divmod(self.start, self.iterations_per_epoch)
        while True:
            drawn = epoch_order(len(self._indices), self._seed, 0 if self._is_fixed else epoch)
            order = self._indices[drawn].to(self._device)
            for iteration in range(skipped, self.iterations_per_epoch):
                yield epoch, self._share.of(order[iteration * self._batch_size : (iteration + 1) * self._batch_size])
            epoch, skipped = epoch + 1, 0


class BatchStream:
    """The batches of images in memory, in an order, without end."""

    def __init__(self, images: ImageTensors, order: Order) -> None:
        self._images, self._order = images, order

    def __iter__(self) -> Iterator[Batch]:
        for _, chosen in self._order:
            yield self._images.pixels[chosen], self._images.labels[chosen]
