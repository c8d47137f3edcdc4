"""LightningDataModules as a user might write them, for tests."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset

from clrbench.data.images import AnyImages, Images

SHAPE = (20, 50)


def holds(part: AnyImages, pixels: np.ndarray, labels: Iterable[int]) -> bool:
    """Whether `part` has these images with these labels, in the order that images have wherever they come from."""
    pixels = pixels[..., np.newaxis] if pixels.ndim == 3 else pixels
    expected = Images(pixels, np.array(list(labels))).in_order()
    assert isinstance(part, Images)
    return np.array_equal(part.pixels, expected.pixels) and np.array_equal(part.labels, expected.labels)


def pixels(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, *SHAPE), dtype=np.uint8)


class Items(Dataset[Any]):
    """Grey images of 20x50 pixels in three classes, in one of several forms."""

    def __init__(self, count: int, form: str) -> None:
        self._pixels, self._form = pixels(count), form

    def __len__(self) -> int:
        return len(self._pixels)

    def __getitem__(self, index: int) -> Any:
        image = self._pixels[index]
        forms = {
            "pil": lambda: Image.fromarray(image),
            "bytes": lambda: torch.from_numpy(image),
            "floats": lambda: torch.from_numpy(image)[None] / 255,
            "scaled": lambda: torch.from_numpy(image)[None] / 255 - 0.5,
            "ragged": lambda: image[: 20 - index % 2],
        }
        return forms[self._form](), index % 3


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        yield from ()


class OwnData(pl.LightningDataModule):
    """Shuffles, as its owner would train with it; the suite takes the data sets in their own order."""

    def __init__(self, form: str = "pil") -> None:
        super().__init__()
        self._form = form

    def setup(self, stage: str) -> None:
        self._train, self._test = Items(30, self._form), Items(12, self._form)

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self._train, batch_size=7, shuffle=True)

    def test_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self._test, batch_size=7)


class WithoutLength(OwnData):
    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(Stream())


class WithoutTest(pl.LightningDataModule):
    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(Items(3, "pil"))
