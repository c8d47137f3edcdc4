"""Random numbers as functions of (seed, epoch), whatever was drawn before: what makes runs of one seed pairs."""

import hashlib
import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from clrbench.data.batches import ALL, Share
from clrbench.packages import has_hook

_EVALUATED = ("val_dataloader", "test_dataloader")


def seed_all(*key: object) -> int:
    """Seed torch, numpy and python from `key`, and return the seed, below 2**32."""
    number = int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:4], "big")
    torch.manual_seed(number)
    np.random.seed(number)
    random.seed(number)
    return number


class Dealt:
    """A loader whose random numbers begin anew when the first batch is asked for, and not when Lightning makes the iterator,
    which it does at another moment in a run that goes on.

    key: from which they begin. share: of several processes each makes all batches, which are those of a process alone, and
    takes every so-manieth of them; as many as any other, so that some at the end of an epoch may be left out.
    """

    def __init__(self, loader: Any, key: Callable[[], tuple[object, ...]], share: Share = ALL) -> None:
        self._loader, self._key, self._share = loader, key, share

    def __len__(self) -> int:
        return len(self._loader) // self._share.processes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def __iter__(self) -> Iterator[Any]:
        key = self._key()
        number = seed_all(*key)
        parts = [getattr(self._loader, name, None) for name in ("sampler", "batch_sampler")]
        for part in (self._loader, *parts):
            if isinstance(generator := getattr(part, "generator", None), torch.Generator):
                generator.manual_seed(number)
            if callable(set_epoch := getattr(part, "set_epoch", None)):
                set_epoch(key[-1] if isinstance(key[-1], int) else 0)
        rank, processes = self._share.rank, self._share.processes
        yield from itertools.islice(self._loader, rank, len(self) * processes if processes > 1 else None, processes)


def pair(datamodule: Any, seed: int, epoch: Callable[[], int], share: Share = ALL) -> Any:
    """Have `datamodule` split, shuffle and augment by (seed, epoch) alone, and evaluate by the seed alone; returns it.

    share: the part of the training batches that this process takes. It evaluates on all that there is to evaluate on.
    """
    setup, train = datamodule.setup, datamodule.train_dataloader

    def paired_setup(stage: str) -> None:
        seed_all(seed, "setup")
        setup(stage)

    def paired_train() -> Dealt:
        return Dealt(train(), lambda: (seed, "epoch", epoch()), share)

    vars(datamodule).update(setup=paired_setup, train_dataloader=paired_train)
    for name in _EVALUATED:
        if has_hook(type(datamodule), name, "LightningDataModule"):
            vars(datamodule)[name] = _evaluated(getattr(datamodule, name), (seed, name))
    return datamodule


def _evaluated(loaders: Callable[[], Any], key: tuple[object, ...]) -> Callable[[], Any]:
    def paired() -> Any:
        made = loaders()
        return [Dealt(one, lambda: key) for one in made] if isinstance(made, (list, tuple)) else Dealt(made, lambda: key)

    return paired


def deals_again(datamodule: Any) -> bool:
    """Whether a paired `datamodule` that is set up gives the first batch of an epoch a second time, bit for bit.

    Workers that live on from epoch to epoch go on drawing where they were.
    """
    loader = datamodule.train_dataloader()
    if getattr(loader, "persistent_workers", False):
        return False
    return equal(next(iter(loader)), next(iter(datamodule.train_dataloader())))


def equal(one: Any, other: Any) -> bool:
    """Whether two batches hold the same, however nested."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.shape == other.shape and _same_numbers(one, other)
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and np.array_equal(one, other, equal_nan=one.dtype.kind == other.dtype.kind == "f")
    if isinstance(one, Mapping):
        return isinstance(other, Mapping) and one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, Sequence) and not isinstance(one, str):
        return len(one) == len(other) and all(map(equal, one, other))
    return equal(vars(one), vars(other)) if hasattr(one, "__dict__") else bool(one == other)


def _same_numbers(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors of one shape hold the same, where what is no number is the same as its like."""
    if not (one.is_floating_point() and other.is_floating_point()):
        return torch.equal(one, other)
    return bool(torch.isclose(one, other, rtol=0, atol=0, equal_nan=True).all())
