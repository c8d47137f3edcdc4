"""Data of fixed arrays in three parts, the same for every seed."""

import hashlib
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

from clrbench.errors import DataError

Parts = tuple[Sequence[Tensor], Sequence[Tensor], Sequence[Tensor]]
_Array = TypeVar("_Array", bound=NDArray[Any])
_STEPS = 10_000  # of a checksum, in each unit: far above the rounding errors of another processor


class ArrayData(pl.LightningDataModule):
    """Tensors in three parts: training, validation, test. A batch is a list of tensors; an evaluation takes one batch.

    batch_size: of training, which leaves out what fills no batch, other items in each epoch.
    """

    def __init__(self, batch_size: int) -> None:
        super().__init__()
        self.batch_size = batch_size

    @abstractmethod
    def parts(self) -> Parts:
        """Training, validation and test data: tensors that have one item in each place of their first dimension."""

    def setup(self, stage: str) -> None:
        """Make the parts."""
        self.training, self.validation, self.test = self.parts()

    def train_dataloader(self) -> DataLoader[Any]:
        """Shuffled batches. A batch is taken out of the tensors at once: items one by one cost more than the step."""
        items = TensorDataset(*self.training)
        order = BatchSampler(RandomSampler(items), self.batch_size, drop_last=True)
        return DataLoader(items, sampler=order, batch_size=None)

    def val_dataloader(self) -> DataLoader[Any]:
        """All validation data in one batch."""
        return _whole(self.validation)

    def test_dataloader(self) -> DataLoader[Any]:
        """All test data in one batch."""
        return _whole(self.test)


def _whole(part: Sequence[Tensor]) -> DataLoader[Any]:
    return DataLoader([list(part)], batch_size=None)  # type: ignore[arg-type]


def split(arrays: Iterable[NDArray[Any]], *sizes: int) -> Any:
    """Cut arrays of as many items into parts of `sizes`, the last one of what is left: a list of tensors a part."""
    tensors = [torch.from_numpy(_narrow(array)) for array in arrays]
    ends = np.cumsum([0, *sizes, len(tensors[0]) - sum(sizes)])
    return tuple([tensor[start:end] for tensor in tensors] for start, end in pairwise(ends))


def _narrow(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(np.float32 if array.dtype.kind == "f" else np.int64)


def checked(made: Sequence[_Array], sha256: str, what: str) -> Sequence[_Array]:
    """The arrays `made`, whose checksum is `sha256`. Raises DataError for other ones: their results could not be compared."""
    if (found := checksum(made)) != sha256:
        raise DataError(
            f"{what}: the data that the packages here make are others (SHA-256 {found[:12]} instead of {sha256[:12]}): install "
            "the versions in requirements.lock"
        )
    return made


def checksum(arrays: Iterable[NDArray[Any]]) -> str:
    """The SHA-256 of arrays: of real numbers rounded to four decimals, so that rounding errors don't count."""
    digest = hashlib.sha256()
    for array in arrays:
        whole = np.rint(array * _STEPS) if array.dtype.kind == "f" else array
        digest.update(f"{array.shape}".encode() + whole.astype("<i8").tobytes())
    return digest.hexdigest()
