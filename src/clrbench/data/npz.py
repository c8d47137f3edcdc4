"""The arrays of an .npz file, by any of the names that such files have."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from clrbench.data.folders import HELD_OUT, TRAINING
from clrbench.data.images import Array, Images, checked_images
from clrbench.data.telling import Say, not_used
from clrbench.errors import DataError

# How Keras' and MedMNIST's files name images and labels of a split.
_LAYOUTS = (("x_{}", "y_{}"), ("{}_images", "{}_labels"))
_ONE_SPLIT = (("x", "y"), ("images", "labels"))
Names = tuple[str, str]


def read_arrays(path: Path, say: Say) -> tuple[Images, Images | None]:
    """The training and the test set of a file, the latter None where it has one split; `say` gets a line for unused arrays.

    Raises DataError in one line for other arrays, and what numpy raises for a damaged file.
    """
    with np.load(path, allow_pickle=False) as archive:
        names = archive.files
        train, test = _chosen(path, names)
        # Reading an array finds a wrong byte in its pixels, but not one in its header: this finds all.
        if damaged := archive.zip.testzip():
            raise zipfile.BadZipFile(f"bad checksum of {damaged}")
        arrays = {name: np.asarray(archive[name]) for name in (*train, *(test or ()))}
    if unused := [name for name in names if name not in arrays]:
        say(f"{path}: {not_used('array', unused)}")
    return _images(arrays, train, f"{path} (train)"), test and _images(arrays, test, f"{path} ({_split_of(test)})")


def _images(arrays: dict[str, Array], names: Names, where: str) -> Images:
    return checked_images(arrays[names[0]], arrays[names[1]], where)


def _split_of(names: Names) -> str:
    return next(split for split in HELD_OUT if split in names[0].lower())


def _chosen(path: Path, names: Sequence[str]) -> tuple[Names, Names | None]:
    for layout in _LAYOUTS:
        train, test = _pair(path, names, layout, TRAINING), _pair(path, names, layout, HELD_OUT)
        if train:
            return train, test
        if test:
            missing = " and ".join(part.format("train") for part in layout)
            raise DataError(f"{path}: has {test[0]} but no training images: add {missing}")
    for pair in _ONE_SPLIT:
        if set(pair) <= set(names):
            return pair, None
    raise DataError(
        f"{path}: lacks x_train, y_train, x_test, y_test; it has {', '.join(names) or 'nothing'}: name its arrays so"
    )


def _pair(path: Path, names: Sequence[str], layout: Names, splits: Sequence[str]) -> Names | None:
    """The names of images and labels of the first of `splits` that the file has. Raises DataError where it has half of one."""
    for split in splits:
        wanted = tuple(part.format(split) for part in layout)
        found = {name.lower(): name for name in names}
        lacking = [name for name in wanted if name not in found]
        if len(lacking) == 1:
            raise DataError(f"{path}: lacks {lacking[0]}; it has {', '.join(names)}: add it")
        if not lacking:
            return found[wanted[0]], found[wanted[1]]
    return None
