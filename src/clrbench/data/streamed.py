"""Batches of images that are decoded anew in every epoch, by worker processes: for sets too big for memory."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from clrbench.data.batches import Batch, Order, generator
from clrbench.data.decode import opened, plain
from clrbench.data.images import CROPPED, RESIZED, Array, ImageFiles
from clrbench.errors import DataError

_MARGIN = RESIZED - CROPPED
# How many pixels an image has in front of its crop, down and across, and whether it is mirrored.
Crop = tuple[int, int, bool]
CENTRE: Crop = (_MARGIN // 2, _MARGIN // 2, False)


def crop_of(seed: int, epoch: int, image: int) -> Crop:
    """Where an epoch cuts an image: a function of these numbers alone, whoever decodes it and when."""
    random = generator(seed, epoch, image, 2)
    top, left = torch.randint(_MARGIN + 1, (2,), generator=random).tolist()
    return top, left, bool(torch.randint(2, (), generator=random))


def decoded(path: str, crop: Crop) -> Array:
    """The bytes (CROPPED, CROPPED, 3) of an image file, made RESIZED by RESIZED first. Raises DataError in one line."""
    top, left, mirrored = crop
    with opened(path) as image:
        image.draft("RGB", (RESIZED, RESIZED))  # a JPEG is decoded at about the size that is needed
        resized = plain(image).convert("RGB").resize((RESIZED, RESIZED), Image.Resampling.BILINEAR)
    pixels = np.asarray(resized)
    cut = pixels[top : top + CROPPED, left : left + CROPPED]
    return np.ascontiguousarray(cut[:, ::-1] if mirrored else cut)


class _Decoder(Dataset[Batch | DataError]):
    """Images by (index, crop); the error in the place of one that cannot be decoded."""

    def __init__(self, files: ImageFiles) -> None:
        self._files = files

    def __getitem__(self, key: tuple[int, Crop]) -> Batch | DataError:
        index, crop = key
        try:
            pixels = decoded(str(self._files.root / self._files.names[index]), crop)
        except DataError as error:
            return error  # raised in a worker process, it would come with that one's traceback for a message
        return torch.from_numpy(pixels), torch.as_tensor(self._files.labels[index])


class _Keys:
    """The keys of each batch of a run: what to decode, and where to cut it."""

    def __init__(self, order: Order, seed: int, is_augmented: bool) -> None:
        self._order, self._seed, self._is_augmented = order, seed, is_augmented

    def __iter__(self) -> Iterator[list[tuple[int, Crop]]]:
        for epoch, chosen in self._order:
            yield [(image, crop_of(self._seed, epoch, image) if self._is_augmented else CENTRE) for image in chosen.tolist()]


def _together(items: list[Batch | DataError]) -> Batch | DataError:
    errors = [item for item in items if isinstance(item, DataError)]
    return errors[0] if errors else default_collate(items)


class FileStream:
    """Decoded batches; iterating raises the DataError of one that could not be decoded."""

    def __init__(self, loader: DataLoader[Batch | DataError]) -> None:
        self._loader = loader

    def __iter__(self) -> Iterator[Batch]:
        for batch in self._loader:
            if isinstance(batch, DataError):
                raise batch
            yield batch


def file_stream(
    files: ImageFiles, order: Order, seed: int, is_augmented: bool, workers: int, device: torch.device
) -> FileStream:
    """The batches of a run, without end: crops and flips at random where it `is_augmented`, else the centres."""
    # Sampling by lists of keys is what DataLoader calls a batch sampler, whether or not it has a length.
    keys: Any = _Keys(order, seed, is_augmented)
    pinned = device.type == "cuda"
    return FileStream(
        DataLoader(_Decoder(files), batch_sampler=keys, num_workers=workers, pin_memory=pinned, collate_fn=_together)
    )


class FileBatches:
    """The centres of all images of `files`, in order."""

    def __init__(self, files: ImageFiles, workers: int, device: torch.device) -> None:
        self._files, self._workers, self._device = files, workers, device

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """`size` images at a time."""
        keys = [(index, CENTRE) for index in range(len(self._files))]
        sampler: Any = keys
        loader = DataLoader(_Decoder(self._files), size, sampler=sampler, num_workers=self._workers, collate_fn=_together)
        for pixels, labels in FileStream(loader):
            yield pixels.to(self._device, non_blocking=True), labels.to(self._device, non_blocking=True)
