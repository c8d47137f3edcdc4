"""The items of data sets, (image, label) each, as images in memory."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from clrbench.data.decode import check_depth
from clrbench.data.images import Array, ImageSet, checked_images, checked_set
from clrbench.data.pictures import Picture, alike, picture_of
from clrbench.data.telling import Say, each
from clrbench.errors import DataError

# ToTensor's floats are whole numbers of 1/255 up to rounding; other floats were scaled, and their bytes are lost.
_ROUNDING = 1e-3
# So many items are read twice: a data set that mirrors half of its images escapes that once in a thousand times.
_TWICE = 10
# A data set, and which of its items to take, None for all.
Part = tuple[Any, Sequence[int] | None]


def read_items(parts: Sequence[Part], where: str, size: int | None, say: Say) -> ImageSet:
    """The training and the test set of two data sets.

    An item is (image, label): a PIL image, or bytes or floats 0-1 of shape (h, w), (h, w, c) or (c, h, w), with a whole
    number. Raises DataError in one line for anything else.
    """
    names = ("train", "test")
    read = [_read(*part, f"{where} ({name})") for part, name in zip(parts, names, strict=True)]
    pictures = {
        f"{name} item {index}": picture
        for name, items in zip(names, read, strict=True)
        for index, (picture, _) in items.items()
    }
    pixels = alike(pictures, size, where, say)
    labels = np.array([label for items in read for _, label in items.values()])
    images = checked_images(pixels, labels, where)
    train, test = np.split(np.arange(len(images)), [len(read[0])])
    return checked_set(images.take(train), images.take(test), where)


def _read(data_set: Any, chosen: Sequence[int] | None, where: str) -> dict[int, tuple[Picture, int]]:
    if not hasattr(data_set, "__len__") or len(data_set) == 0 or (chosen is not None and len(chosen) == 0):
        raise DataError(f"{where}: its data set has no length, or no item: use one with __len__ and __getitem__")
    indices = list(range(len(data_set)) if chosen is None else chosen)
    items = dict(zip(indices, each(indices, lambda index: _item(data_set, index, where)), strict=True))
    for index in indices[:_TWICE]:
        again, label = _item(data_set, index, where)
        before = items[index]
        if label != before[1] or not np.array_equal(again.pixels, before[0].pixels):
            raise DataError(
                f"{where}: item {index} is another one when it is read again: its transform draws at random, which one "
                "reading would freeze: leave that away, and take data.augment=crop_flip"
            )
    return items


def _item(data_set: Any, index: int, where: str) -> tuple[Picture, int]:
    named = f"{where}: item {index}"
    try:
        image, label = data_set[index]
        return _picture(image, named), _label(label, named)
    except DataError:
        raise
    except Exception as error:  # whatever the user's own code raises
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{named} is no (image, label) ({reason[:200]}): give a pair of them") from None


def _label(label: Any, named: str) -> int:
    array = np.asarray(label)
    if array.size != 1 or array.dtype.kind not in "iu":
        raise DataError(
            f"{named} has the label {array.tolist()!s:.60} ({array.dtype}), no whole number: the suite trains classifiers, "
            "so give the number of the class"
        )
    return int(array.reshape(()))


def _picture(image: Any, named: str) -> Picture:
    if isinstance(image, Image.Image):
        check_depth(image, named)
        return picture_of(image)
    array: Array = np.asarray(image)
    if array.ndim == 3 and array.shape[0] in (1, 3) and array.shape[2] not in (1, 3):
        array = np.moveaxis(array, 0, -1)
    if array.dtype.kind == "f":
        array = _bytes_of(array.astype(np.float64), named)
    if array.dtype != np.uint8:
        raise DataError(f"{named}: images are {array.dtype}, not uint8: store pixels as whole numbers 0-255")
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim != 2 and (array.ndim != 3 or array.shape[2] != 3):
        raise DataError(f"{named} has shape {array.shape}, not (h, w), (h, w, 1 or 3) or (1 or 3, h, w)")
    return Picture(array)


def _bytes_of(floats: Array, named: str) -> Array:
    if not np.isfinite(floats).all():
        raise DataError(f"{named} has pixels that are NaN or infinite: mend or remove it")
    scaled = floats * 255
    whole = np.rint(scaled)
    if np.abs(scaled - whole).max() > 255 * _ROUNDING or whole.min() < 0 or whole.max() > 255:
        raise DataError(
            f"{named}: images are floats that were scaled: leave them as bytes, or as ToTensor makes them; the suite "
            "standardizes and augments them itself"
        )
    return whole.astype(np.uint8)
