"""Images with their labels, in memory or still in files, and the rules that they keep."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from clrbench.errors import DataError

Array = NDArray[np.generic]
HOLDOUT_EVERY = 10
# Caffe's way with ImageNet: every image becomes 256 by 256 pixels, of which a net sees 224 by 224.
RESIZED, CROPPED = 256, 224


@dataclass(frozen=True)
class Images:
    """Images (n, height, width, channels) of bytes, and their labels (n,) from 0."""

    pixels: Array
    labels: Array

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Array) -> "Images":
        """The images at `indices`, in that order."""
        return Images(self.pixels[indices], self.labels[indices])

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of an image."""
        _, height, width, channels = self.pixels.shape
        return channels, height, width

    def digests(self) -> list[bytes]:
        """SHA-256 of label and pixels of each image."""
        return [
            hashlib.sha256(label.to_bytes(8, "little", signed=True) + image.tobytes()).digest()
            for image, label in zip(np.ascontiguousarray(self.pixels), self.labels.tolist(), strict=True)
        ]

    def in_order(self) -> "Images":
        """The images in the order of their digests: the same one, whatever order they were stored in."""
        digests = self.digests()
        return self.take(np.array(sorted(range(len(digests)), key=digests.__getitem__)))

    def update(self, digest: "hashlib._Hash") -> None:
        """Add shapes, pixels and labels to a checksum."""
        digest.update(repr(self.pixels.shape).encode())
        digest.update(np.ascontiguousarray(self.pixels).data)
        digest.update(np.ascontiguousarray(self.labels.astype(np.int64)).data)


@dataclass(frozen=True)
class ImageFiles:
    """Colour images below the folder `root`, too many for memory, by the names of their files, and their labels (n,) from 0."""

    root: Path
    names: Sequence[str]
    labels: Array

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Array) -> "ImageFiles":
        """The images at `indices`, in that order."""
        return ImageFiles(self.root, [self.names[index] for index in indices.tolist()], self.labels[indices])

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of an image, as a net sees it."""
        return 3, CROPPED, CROPPED

    def in_order(self) -> "ImageFiles":
        """The images in the order of their names."""
        return self.take(np.array(sorted(range(len(self.names)), key=self.names.__getitem__)))

    def update(self, digest: "hashlib._Hash") -> None:
        """Add names, sizes and labels to a checksum; reading the images themselves would take hours."""
        for name in self.names:
            path = self.root / name
            try:
                digest.update(f"{name}\0{path.stat().st_size}\n".encode())
            except OSError as error:
                raise DataError(f"{path}: cannot be read ({error.strerror}): make it readable, or remove it") from None
        digest.update(np.ascontiguousarray(self.labels.astype(np.int64)).data)


AnyImages = Images | ImageFiles


@dataclass(frozen=True)
class ImageSet:
    """A training and a test set of one kind of image."""

    train: AnyImages
    test: AnyImages

    @property
    def classes(self) -> int:
        """The number of classes, those of the training set."""
        return int(self.train.labels.max()) + 1

    @property
    def untested(self) -> list[int]:
        """The classes of which there is no test image."""
        return [int(label) for label in np.setdiff1d(np.arange(self.classes), self.test.labels)]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of an image."""
        return self.train.shape

    def checksum(self) -> str:
        """SHA-256 over both sets, in hexadecimal."""
        digest = hashlib.sha256()
        for images in (self.train, self.test):
            images.update(digest)
        return digest.hexdigest()


def every_nth_of_each_class(labels: Array, n: int) -> NDArray[np.bool_]:
    """Mark every n-th image of each class, in the order in which they stand: a split that needs no random numbers."""
    marked = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        marked[np.flatnonzero(labels == label)[n - 1 :: n]] = True
    return marked


def training_indices(labels: Array, split: str, most: int | None = None) -> NDArray[np.int64]:
    """What a run trains on: every training image (`paper`), or all but a tenth of each class (`holdout`).

    most: with so many images at most, the first ones of each class in equal shares.
    """
    kept = np.ones(len(labels), bool) if split == "paper" else ~every_nth_of_each_class(labels, HOLDOUT_EVERY)
    indices = np.flatnonzero(kept)
    return indices if most is None else indices[_first_of_each_class(labels[indices], most)]


def _first_of_each_class(labels: Array, most: int) -> NDArray[np.bool_]:
    """Mark the first images of each class, `most` of all together, or fewer where that is no multiple of the classes."""
    marked = np.zeros(len(labels), bool)
    classes = np.unique(labels)
    for label in classes:
        marked[np.flatnonzero(labels == label)[: most // len(classes)]] = True
    return marked


def validation_indices(labels: Array, split: str) -> NDArray[np.int64]:
    """The training images that no run with this split trains on; none under `paper`."""
    return np.setdiff1d(np.arange(len(labels)), training_indices(labels, split))


def checked_images(pixels: Array, labels: Array, where: str) -> Images:
    """Bring arrays into the form of `Images`, or say in a DataError what keeps them from it; `where` names them there."""
    if pixels.dtype != np.uint8:
        raise DataError(f"{where}: images are {pixels.dtype}, not uint8: store pixels as whole numbers 0-255")
    if pixels.ndim == 3:
        pixels = pixels[..., np.newaxis]
    if pixels.ndim != 4 or 0 in pixels.shape or pixels.shape[3] not in (1, 3):
        raise DataError(f"{where}: images have shape {pixels.shape}, not (n, height, width) or (n, height, width, 1 or 3)")
    if labels.dtype.kind not in "iu":
        raise DataError(f"{where}: labels are {labels.dtype}, not whole numbers: store the classes' numbers, 0, 1, 2, ...")
    if labels.shape not in ((len(pixels),), (len(pixels), 1)):
        raise DataError(f"{where}: labels have shape {labels.shape}, not ({len(pixels)},) as there are that many images")
    least, most = int(labels.min()), int(labels.max())
    if least < 0 or most > np.iinfo(np.int64).max:
        raise DataError(f"{where}: a label is {least if least < 0 else most}: number the classes 0, 1, 2, ...")
    return Images(np.ascontiguousarray(pixels), labels.reshape(-1).astype(np.int64))


def checked_set(train: AnyImages, test: AnyImages, where: str) -> ImageSet:
    """Pair a training with a test set, each in its canonical order, or say in a DataError why they do not belong together."""
    if train.shape != test.shape:
        sizes = [f"({height}, {width}, {channels})" for channels, height, width in (train.shape, test.shape)]
        raise DataError(f"{where}: training images are {sizes[0]}, test images {sizes[1]}: make them equal")
    present = np.unique(train.labels)
    if len(present) < 2:
        raise DataError(f"{where}: the training images have only one class, {present[0]}: add images of another")
    if present[-1] != len(present) - 1:
        missing = np.flatnonzero(present != np.arange(len(present)))[0]
        raise DataError(
            f"{where}: labels run to {present[-1]} but no training image has {missing}: "
            f"number the classes 0 to {len(present) - 1}"
        )
    if test.labels.max() > present[-1]:
        raise DataError(f"{where}: test label {test.labels.max()} is not among the training labels, 0 to {present[-1]}")
    tested = np.unique(test.labels)
    if len(tested) < 2:
        raise DataError(f"{where}: the test images have only one class, {tested[0]}: add images of the others")
    return ImageSet(train.in_order(), test.in_order())
