"""LightningDataModules as a user might write them, for tests."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, SubsetRandomSampler, WeightedRandomSampler

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
            "nan": lambda: torch.full((1, *SHAPE), float("nan")),
            "deep": lambda: Image.fromarray(image.astype(np.uint16) * 257),
            "palette": lambda: Image.fromarray(image).convert("RGB").convert("P", palette=Image.Palette.ADAPTIVE),
            "random": lambda: np.random.default_rng().integers(0, 256, SHAPE, dtype=np.uint8),
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


class WithTargets(OwnData):
    """Numbers in the place of classes."""

    def setup(self, stage: str) -> None:
        self._train = self._test = [(image, 0.5 + at % 3) for at, image in enumerate(pixels(12))]  # type: ignore[assignment]


class WithSamplers(OwnData):
    """One data set, of which samplers take different parts."""

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self._train, sampler=SubsetRandomSampler(range(18)))

    def test_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self._train, sampler=SubsetRandomSampler(range(18, 30)))


class Weighted(OwnData):
    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self._train, sampler=WeightedRandomSampler([1.0] * 30, 30))


class Batched(OwnData):
    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self._train, batch_sampler=[[0, 1, 2], [3, 4, 5]])


class WithMore(OwnData):
    """Does things that the suite leaves out."""

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self._train, collate_fn=lambda items: items)

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self._test)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        return batch


class WithVal(pl.LightningDataModule):
    """Has no test set."""

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(Items(30, "pil"))

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(Items(12, "pil"))


class WithoutLength(OwnData):
    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(Stream())


class WithoutTest(pl.LightningDataModule):
    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(Items(3, "pil"))
