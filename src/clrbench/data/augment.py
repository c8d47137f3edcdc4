"""Crops and flips of whole batches on the device that trains, as a function of (seed, iteration) alone."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from clrbench.data.batches import ALL, Share, generator

PADDING = 4


def crop_and_flip(images: Tensor, tops: Tensor, lefts: Tensor, flips: Tensor) -> Tensor:
    """Surround each image with PADDING zeros, cut its own size out of that, and mirror it where `flips` says so.

    images (n, channels, height, width); tops, lefts (n,) from 0 to 2 * PADDING, where PADDING leaves an image in place;
    flips (n,), 0 or 1. The zeros are the mean of images that were centred before (He et al., arXiv:1512.03385, section
    4.2). The result keeps channels last in memory.
    """
    count, _, height, width = images.shape
    padded = F.pad(images, (PADDING,) * 4)
    rows = tops[:, None] + torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device).expand(count, width)
    columns = lefts[:, None] + torch.where(flips[:, None] > 0, width - 1 - columns, columns)
    each = torch.arange(count, device=images.device)
    # Indices on both sides of a slice: the result is (n, height, width, channels).
    cut: Tensor = padded[each[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return cut.permute(0, 3, 1, 2)


@dataclass(frozen=True)
class CropFlip:
    """The crops and flips of a run: a resumed one repeats them, and several processes share those of a batch."""

    seed: int
    batch_size: int
    share: Share = ALL

    def __call__(self, images: Tensor, iteration: int) -> Tensor:
        """Augment this process' part of the batch of an iteration."""
        # The last number keeps these draws apart from the order of an epoch, which is drawn from (seed, epoch).
        random = generator(self.seed, iteration, 1)
        offsets = torch.randint(2 * PADDING + 1, (self.batch_size, 2), generator=random)
        flips = torch.randint(2, (self.batch_size, 1), generator=random)
        draws = self.share.of(torch.cat([offsets, flips], dim=1))
        if images.is_cuda:
            draws = draws.pin_memory()  # from other memory, the copy would wait for the GPU
        return crop_and_flip(images, *draws.to(images.device, non_blocking=True).unbind(1))
