"""Where image sets come from. A source reads one and returns an ImageSet, or raises DataError in one line."""

import contextlib
import hashlib
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from clrbench.data.folders import Listing, Samples, files_below, listed
from clrbench.data.images import (
    AnyImages,
    Array,
    ImageFiles,
    ImageSet,
    checked_images,
    checked_set,
    every_nth_of_each_class,
)
from clrbench.data.npz import read_arrays
from clrbench.data.pictures import alike, picture_in
from clrbench.data.telling import Say, each, some
from clrbench.errors import DataError

TORCHVISION = {
    "cifar10": ("CIFAR10", "cifar-10-batches-py"),
    "cifar100": ("CIFAR100", "cifar-100-python"),
    "mnist": ("MNIST", "MNIST"),
    "fashion_mnist": ("FashionMNIST", "FashionMNIST"),
    "svhn": ("SVHN", "SVHN"),
}
# Sets that are another view of a stored one.
STORED_AS = {"cifar100_coarse": "cifar100"}
# The superclass of each of CIFAR-100's classes, both in the order of their numbers, which is that of their names.
CIFAR100_COARSE = np.array([
    4, 1, 14, 8, 0, 6, 7, 7, 18, 3, 3, 14, 9, 18, 7, 11, 3, 9, 7, 11, 6, 11, 5, 10, 7, 6, 13, 15, 3, 15, 0, 11, 1, 10, 12,
    14, 16, 9, 11, 5, 5, 19, 8, 8, 15, 13, 14, 17, 18, 10, 16, 4, 17, 4, 2, 0, 17, 4, 18, 17, 10, 3, 2, 12, 12, 16, 12, 1,
    9, 19, 2, 10, 0, 1, 16, 12, 9, 13, 15, 13, 16, 19, 2, 4, 6, 19, 5, 5, 8, 19, 18, 1, 2, 15, 6, 0, 17, 8, 14, 13,
])  # fmt: skip
TEST_EVERY = 5


def read_digits() -> ImageSet:
    """The 1,797 handwritten digits of 8x8 pixels that ship inside scikit-learn; every fifth of a class is a test image."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    # Pixels are 0-16; 15 is the largest whole factor that keeps them in a byte.
    pixels = (bunch.images * 15).astype(np.uint8)
    images = checked_images(pixels, bunch.target, "digits")
    is_test = every_nth_of_each_class(images.labels, 5)
    return checked_set(images.take(np.flatnonzero(~is_test)), images.take(np.flatnonzero(is_test)), "digits")


def read_npz(path: Path, say: Say) -> ImageSet:
    """A .npz file: x_train, y_train, x_test, y_test as Keras has them, or any other of the names in `npz`."""
    if not path.is_file():
        raise DataError(f"{path}: no such file: say with data.path or paths.data where it lies")
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path}: is damaged or no .npz file: make it anew with numpy.savez")
    with _blaming(path, "is damaged or holds more than plain arrays", "make it anew with numpy.savez"):
        train, test = read_arrays(path, say)
    return paired(train, test, str(path), say)


def read_torchvision(name: str, root: Path) -> ImageSet:
    """One of torchvision's data sets, from its files below `root` (torchvision checks the MD5 sums of CIFAR's alone)."""
    folder = root / TORCHVISION[name][1]
    with _blaming(folder, "is damaged", "remove it and provide it anew"):
        (x_train, y_train), (x_test, y_test) = _torchvision_parts(name, root, download=False)
    return checked_set(
        checked_images(x_train, y_train, f"{folder} (train)"), checked_images(x_test, y_test, f"{folder} (test)"), str(folder)
    )


def coarse(images: ImageSet) -> ImageSet:
    """CIFAR-100 with the 20 superclasses for labels. Raises DataError for a set that has not its 100 classes."""
    if images.classes != len(CIFAR100_COARSE):
        raise DataError(f"data=cifar100_coarse: cifar100 has {images.classes} classes, not 100: provide it with fine labels")
    train, test = (replace(part, labels=CIFAR100_COARSE[part.labels]) for part in (images.train, images.test))
    return checked_set(train, test, "cifar100_coarse")


def _torchvision_parts(name: str, root: Path, download: bool) -> list[tuple[Array, Array]]:
    import torchvision

    data_set = getattr(torchvision.datasets, TORCHVISION[name][0])
    if name == "svhn":  # the only one that lies in no folder of its own, names its parts otherwise, and puts channels first
        parts = [data_set(root / TORCHVISION[name][1], split=split, download=download) for split in ("train", "test")]
        return [(np.moveaxis(part.data, 1, -1), np.asarray(part.labels)) for part in parts]
    parts = [data_set(root, train=train, download=download) for train in (True, False)]
    return [(np.asarray(part.data), np.asarray(part.targets)) for part in parts]


def download_torchvision(name: str, root: Path) -> None:
    """Download a set of torchvision's to below `root`, beside it first, so that a failure leaves nothing half done."""
    folder = TORCHVISION[name][1]
    beside = next(parent for parent in (root, *root.absolute().parents) if parent.exists())
    try:
        with tempfile.TemporaryDirectory(dir=beside, prefix=".download-") as partial:
            _torchvision_parts(name, Path(partial), download=True)
            root.mkdir(parents=True, exist_ok=True)
            (Path(partial) / folder).rename(root / folder)
    except Exception as error:
        # Another job may have downloaded the same set meanwhile; then its files serve.
        if not (root / folder).is_dir():
            raise not_found(name, root, f"the download failed: {_one_line(error)}") from None


def not_found(name: str, root: Path, reason: str) -> DataError:
    """The error for a set that no source has: why, and the three ways to provide it."""
    return DataError(
        f"data={name}: not found in {root} ({reason}). Provide it in one of three ways: {name}.npz (x_train, y_train, x_test, "
        f"y_test) there, where 'there' is what paths.data or $CLRBENCH_DATA names; torchvision's own files there; or a network "
        f"to download it, with data.download=true"
    )


def read_imagefolder(root: Path, say: Say, size: int | None = None) -> ImageSet:
    """A folder of images (see `folders.listed`), in memory; `say` gets a line for what is skipped or converted."""
    listing = _told(listed(root), say)
    samples = [*listing.train, *(listing.test or [])]
    names = [name for name, _ in samples]
    pictures = dict(zip(names, each(names, lambda name: picture_in(root / name)), strict=True))
    pixels = alike(pictures, size, str(root), say)
    images = checked_images(pixels, np.array([label for _, label in samples]), str(root))
    train, test = np.split(np.arange(len(samples)), [len(listing.train)])
    return paired(images.take(train), None if listing.test is None else images.take(test), str(root), say)


def read_names(root: Path, say: Say) -> ImageSet:
    """The same, too big for memory: the names of its images alone."""
    listing = _told(listed(root), say)
    test = None if listing.test is None else _image_files(root, listing.test)
    return paired(_image_files(root, listing.train), test, str(root), say)


def _told(listing: Listing, say: Say) -> Listing:
    for note in listing.notes:
        say(note)
    return listing


def _image_files(root: Path, samples: Samples) -> ImageFiles:
    return ImageFiles(root, [name for name, _ in samples], np.array([label for _, label in samples]))


def paired(train: AnyImages, test: AnyImages | None, where: str, say: Say) -> ImageSet:
    """A training set with its test set; where there is none, every fifth training image of each class becomes one."""
    if test is not None:
        return checked_set(train, test, where)
    ordered = train.in_order()
    is_test = every_nth_of_each_class(ordered.labels, TEST_EVERY)
    if missing := sorted(set(ordered.labels.tolist()) - set(ordered.labels[is_test].tolist())):
        raise DataError(
            f"{where}: has no test set, and fewer than {TEST_EVERY} images of class {some(missing)} to take some from: "
            "add test images"
        )
    count = f"{is_test.sum()} of {len(train)}"
    say(f"{where}: has no test set: every fifth image of each class becomes one, {count}, for every seed")
    return checked_set(ordered.take(np.flatnonzero(~is_test)), ordered.take(np.flatnonzero(is_test)), where)


@contextlib.contextmanager
def _blaming(file: Path | str, fault: str, remedy: str) -> Iterator[None]:
    """Turn what goes wrong within into a DataError about `file`: on a damaged file, parsers raise errors of every kind."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{file}: {fault} ({_one_line(error)}): {remedy}") from None


def _one_line(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:200]


def fingerprint(paths: list[Path]) -> str:
    """A hash of names, sizes and times of the files at or below `paths`: changes when the source does."""
    digest = hashlib.sha256()
    for path in paths:
        for file in (path / name for name in files_below(path)) if path.is_dir() else [path]:
            with contextlib.suppress(FileNotFoundError):  # a link that leads nowhere
                status = file.stat()
                digest.update(f"{file}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]
