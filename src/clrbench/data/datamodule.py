"""A LightningDataModule of a user's own as a source of images: its data sets are read once, whole."""

from typing import Any

import numpy as np

from clrbench.data.images import Array, Images, ImageSet, checked_images, checked_set
from clrbench.errors import DataError

_KEY = "data.module"
# ToTensor's floats are whole numbers of 1/255 up to rounding; other floats were scaled, and their bytes are lost.
_ROUNDING = 1e-3


def read_datamodule(settings: dict[str, Any]) -> ImageSet:
    """The data sets behind train_dataloader() and test_dataloader(), each in its own order; batches are the suite's.

    settings: `_target_`, the LightningDataModule, and what it is made with. An item of its data sets is (image, label): a
    PIL image, or bytes or floats 0-1 of shape (h, w), (h, w, c) or (c, h, w). Raises DataError in one line for anything else.
    """
    import hydra

    try:
        module = hydra.utils.instantiate(settings)
        module.prepare_data()
        module.setup("fit")
        train = module.train_dataloader().dataset
        module.setup("test")
        test = module.test_dataloader().dataset
    except Exception as error:
        reason = error.__cause__ or error
        raise DataError(f"{_KEY}: gives no data sets ({' '.join(str(reason).split())[:200]})") from None
    return checked_set(_images(train, "train"), _images(test, "test"), _KEY)


def _images(data_set: Any, split: str) -> Images:
    where = f"{_KEY} ({split})"
    if not hasattr(data_set, "__len__") or len(data_set) == 0:
        raise DataError(f"{where}: its data set has no length, or no item: use one with __len__ and __getitem__")
    pixels, labels = [], []
    for index in range(len(data_set)):
        try:
            image, label = data_set[index]
            pixels.append(_bytes_of(image, where))
            labels.append(int(label))
        except (TypeError, ValueError) as error:
            raise DataError(f"{where}: item {index} is no (image, label) ({error})") from None
        if pixels[-1].shape != pixels[0].shape:
            raise DataError(f"{where}: item {index} is {pixels[-1].shape}, but item 0 is {pixels[0].shape}: make all one size")
    return checked_images(np.stack(pixels), np.array(labels), where)


def _bytes_of(image: Any, where: str) -> Array:
    array: Array = np.asarray(image)
    if array.ndim == 3 and array.shape[0] in (1, 3) and array.shape[2] not in (1, 3):
        array = np.moveaxis(array, 0, -1)
    if array.dtype.kind != "f":
        return array
    scaled = array.astype(np.float64) * 255
    whole = np.rint(scaled)
    if np.abs(scaled - whole).max() > 255 * _ROUNDING or whole.min() < 0 or whole.max() > 255:
        raise DataError(
            f"{where}: images are floats that were scaled: leave them as bytes, or as ToTensor makes them; the suite "
            "standardizes and augments them itself"
        )
    return whole.astype(np.uint8)
