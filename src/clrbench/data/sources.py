"""Where image sets come from. A source reads one and returns an ImageSet, or raises DataError in one line."""

import contextlib
import hashlib
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from clrbench.data.images import Array, ImageFiles, Images, ImageSet, checked_images, checked_set, every_nth_of_each_class
from clrbench.errors import DataError

NPZ_KEYS = ("x_train", "y_train", "x_test", "y_test")
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
GREY_MODES = {"1", "L", "LA"}  # Pillow's names for black and white, grey, and grey with transparency
Say = Callable[[str], None]


def read_digits() -> ImageSet:
    """The 1,797 handwritten digits of 8x8 pixels that ship inside scikit-learn; every fifth of a class is a test image."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    # Pixels are 0-16; 15 is the largest whole factor that keeps them in a byte.
    pixels = (bunch.images * 15).astype(np.uint8)
    images = checked_images(pixels, bunch.target, "digits")
    is_test = every_nth_of_each_class(images.labels, 5)
    return checked_set(images.take(np.flatnonzero(~is_test)), images.take(np.flatnonzero(is_test)), "digits")


def read_npz(path: Path) -> ImageSet:
    """A .npz file in the Keras layout: x_train, y_train, x_test, y_test."""
    if not path.is_file():
        raise DataError(f"{path}: no such file: say with data.path or paths.data where it lies")
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path}: is damaged or no .npz file: make it anew with numpy.savez")
    with _blaming(path, "is damaged or holds more than plain arrays", "make it anew with numpy.savez"):
        x_train, y_train, x_test, y_test = _arrays(path)
    return checked_set(
        checked_images(x_train, y_train, f"{path} (train)"), checked_images(x_test, y_test, f"{path} (test)"), str(path)
    )


def _arrays(path: Path) -> list[Array]:
    with np.load(path, allow_pickle=False) as archive:
        missing = [key for key in NPZ_KEYS if key not in archive.files]
        if missing:
            raise DataError(f"{path}: lacks {', '.join(missing)}; it has {', '.join(archive.files) or 'nothing'}: add them")
        # Reading an array finds a wrong byte in its pixels, but not one in its header: this finds all.
        if damaged := archive.zip.testzip():
            raise zipfile.BadZipFile(f"bad checksum of {damaged}")
        return [np.asarray(archive[key]) for key in NPZ_KEYS]


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


def read_imagefolder(root: Path, say: Say) -> ImageSet:
    """A folder with train/CLASS/IMAGE and test/CLASS/IMAGE, read through torchvision's ImageFolder.

    All images must have one size. They become grey if all are grey, else RGB; what is converted is told to `say`.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder: say with data.path where the images lie")
    files, classes = {}, {}
    for split in ("train", "test"):
        files[split], classes[split] = _files_of(root / split)
    _check_classes(root, classes["train"], classes["test"])
    modes = {path: _mode_of(path) for split in files.values() for path, _ in split}
    target = "L" if set(modes.values()) <= GREY_MODES else "RGB"
    converted = [path for path, mode in modes.items() if mode != target]
    if converted:
        kinds = ", ".join(sorted({modes[path] for path in converted}))
        say(f"{root}: {len(converted)} of {len(modes)} images ({kinds}) are converted to {target}")
    train, test = (_decoded(files[split], target, root / split) for split in ("train", "test"))
    return checked_set(train, test, str(root))


def read_names(root: Path) -> ImageSet:
    """A folder in ImageNet's layout, train/CLASS/IMAGE and val/CLASS/IMAGE (or test): the names of its images alone."""
    if not root.is_dir():
        raise DataError(f"{root}: no such folder: say with data.path where train/CLASS/IMAGE and val/CLASS/IMAGE lie")
    held_out = "val" if (root / "val").is_dir() else "test"
    (train, classes), (test, test_classes) = (_files_of(root / split) for split in ("train", held_out))
    _check_classes(root, classes, test_classes)
    return checked_set(_image_files(root, train), _image_files(root, test), str(root))


def _image_files(root: Path, samples: list[tuple[str, int]]) -> ImageFiles:
    names = [str(Path(path).relative_to(root)) for path, _ in samples]
    return ImageFiles(root, names, np.array([label for _, label in samples]))


def _check_classes(root: Path, train: list[str], test: list[str]) -> None:
    if odd := sorted(set(train) ^ set(test)):
        raise DataError(f"{root}: only one of train and test has the class {odd[0]}: give both the same class folders")


def _files_of(folder: Path) -> tuple[list[tuple[str, int]], list[str]]:
    from torchvision.datasets import ImageFolder

    with _blaming(folder, "is no image folder", "it must hold a folder of images for each class"):
        images = ImageFolder(folder)
    return images.samples, images.classes


def _mode_of(path: str) -> str:
    from PIL import Image

    with _blaming(path, "is not a readable image", "mend or remove it"), Image.open(path) as image:
        mode: str = image.mode
    if mode.startswith(("I", "F")):
        raise DataError(f"{path}: has more than 8 bits a pixel (mode {mode}): store it with 8")
    return mode


def _decoded(samples: list[tuple[str, int]], mode: str, where: Path) -> Images:
    from PIL import Image

    pixels: list[Array] = []
    for path, _ in samples:
        with _blaming(path, "is not a readable image", "mend or remove it"), Image.open(path) as image:
            pixels.append(np.asarray(image.convert("RGBA").convert(mode) if image.mode == "P" else image.convert(mode)))
        if pixels[-1].shape != pixels[0].shape:
            raise DataError(
                f"{path}: is {_size(pixels[-1])}, but {samples[0][0]} is {_size(pixels[0])}: make all images one size"
            )
    return checked_images(np.stack(pixels), np.array([label for _, label in samples]), str(where))


def _size(pixels: Array) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]}"


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
        for file in _files_below(path):
            status = file.stat()
            digest.update(f"{file}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _files_below(path: Path, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """A file, or the files below a folder: through symbolic links, but not through one that leads back to a folder above."""
    here = path.resolve()
    if path.is_file():
        yield path
    elif path.is_dir() and here not in above:
        for inner in sorted(path.iterdir()):
            yield from _files_below(inner, above | {here})
