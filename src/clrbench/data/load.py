"""Find an image set, read it once, and keep it on disk in a form that parallel jobs map into memory and share."""

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

from clrbench.config import Data, PathNames
from clrbench.data import sources
from clrbench.data.datamodule import read_datamodule
from clrbench.data.images import Images, ImageSet
from clrbench.errors import DataError

Say = Callable[[str], None]
Reader = Callable[[Say], ImageSet]


@dataclass(frozen=True)
class LoadedSet:
    """An image set in memory, its name, and the checksum of its contents."""

    name: str
    images: ImageSet
    checksum: str


def load(data: Data, paths: PathNames, say: Say = print) -> LoadedSet:
    """Read the set that `data` names, from the first of its sources that has it.

    Raises DataError in one line when no source has it, or the one that does holds something else than an image set.
    """
    found = _located(data, paths)
    if not found.is_cached:
        images = found.read(say)
        return LoadedSet(data.name, images, images.checksum())
    folder = Path(paths.outputs) / "cache" / f"{data.name}-{found.key}-in_order"
    return _cached(folder, data.name, partial(found.read, say))


def cache_key(data: Data, paths: PathNames) -> str:
    """Names the contents of a set: another key, other contents. Raises DataError like `load`."""
    return f"{data.name}-{_located(data, paths).key}"


@dataclass(frozen=True)
class _Found:
    """A set that a source has: how to read it, what changes with its contents, and whether to keep a copy of it."""

    read: Reader
    key: str
    is_cached: bool = True


def _located(data: Data, paths: PathNames) -> _Found:
    for source in data.sources:
        if source not in _SOURCES:
            raise DataError(f"data.sources: {source} is no source: choose from {', '.join(_SOURCES)}")
        found = _SOURCES[source](data, Path(paths.data).expanduser())
        if found is not None:
            return found
    raise sources.not_found(data.name, Path(paths.data), "data.download is false")


def _digits(data: Data, root: Path) -> _Found | None:
    return _Found(lambda say: sources.read_digits(), f"scikit-learn-{version('scikit-learn')}")


def _npz(data: Data, root: Path) -> _Found | None:
    path = Path(data.path).expanduser() if data.path else root / f"{_stored_as(data)}.npz"
    if not data.path and not path.is_file():
        if data.sources == ["npz"]:
            raise DataError(f"data={data.name}: say with data.path=FILE where the .npz file lies")
        return None
    return _Found(_viewed(data, lambda say: sources.read_npz(path)), sources.fingerprint([path]))


def _imagefolder(data: Data, root: Path) -> _Found | None:
    if not data.path:
        raise DataError("data=imagefolder: say with data.path=FOLDER where train/CLASS/IMAGE and test/CLASS/IMAGE lie")
    folder = Path(data.path).expanduser()
    return _Found(lambda say: sources.read_imagefolder(folder, say), sources.fingerprint([folder]))


def _torchvision(data: Data, root: Path) -> _Found | None:
    name = _stored_as(data)
    if name not in sources.TORCHVISION:
        raise DataError(f"data.sources: torchvision has no set named {data.name}: choose another of data's choices")
    folder = root / sources.TORCHVISION[name][1]
    if not folder.is_dir():
        if not data.download:
            return None
        sources.download_torchvision(name, root)
    return _Found(_viewed(data, lambda say: sources.read_torchvision(name, root)), sources.fingerprint([folder]))


def _datamodule(data: Data, root: Path) -> _Found | None:
    if not data.module:
        raise DataError("data=datamodule: say with data.module._target_=MODULE.CLASS which LightningDataModule it is")
    # Nobody knows what such a module reads: only its contents tell whether they have changed.
    images = read_datamodule(data.module)
    return _Found(lambda say: images, images.checksum(), is_cached=False)


def _stream(data: Data, root: Path) -> _Found | None:
    images = sources.read_names(Path(data.path).expanduser() if data.path else root / data.name)
    return _Found(lambda say: images, images.checksum(), is_cached=False)


_SOURCES: dict[str, Callable[[Data, Path], _Found | None]] = {
    "digits": _digits,
    "npz": _npz,
    "imagefolder": _imagefolder,
    "torchvision": _torchvision,
    "datamodule": _datamodule,
    "stream": _stream,
}


def _stored_as(data: Data) -> str:
    return sources.STORED_AS.get(data.name, data.name)


def _viewed(data: Data, read: Reader) -> Reader:
    return (lambda say: sources.coarse(read(say))) if data.name == "cifar100_coarse" else read


def _cached(folder: Path, name: str, read: Callable[[], ImageSet]) -> LoadedSet:
    if not folder.is_dir():
        _store(folder, read())
    train, test = (
        Images(*(np.load(folder / f"{split}-{part}.npy", mmap_mode="c") for part in ("pixels", "labels")))
        for split in ("train", "test")
    )
    checksum = json.loads((folder / "checksum.json").read_text())["sha256"]
    return LoadedSet(name, ImageSet(train, test), checksum)


def _store(folder: Path, images: ImageSet) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial_folder = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        for split, part in (("train", images.train), ("test", images.test)):
            assert isinstance(part, Images)
            np.save(partial_folder / f"{split}-pixels.npy", part.pixels)
            np.save(partial_folder / f"{split}-labels.npy", part.labels)
        (partial_folder / "checksum.json").write_text(json.dumps({"sha256": images.checksum()}))
        partial_folder.rename(folder)
    except OSError:
        # Another job may have stored the same set meanwhile; then its copy serves.
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(partial_folder, ignore_errors=True)
