"""Find an image set, read it once, and keep it on disk in a form that parallel jobs map into memory and share."""

import errno
import json
import os
import shutil
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

from clrbench.config import SOURCES, Data, PathNames
from clrbench.data import sources
from clrbench.data.datamodule import read_datamodule
from clrbench.data.images import AnyImages, ImageFiles, Images, ImageSet
from clrbench.data.look import notes_on
from clrbench.data.pictures import resized
from clrbench.data.telling import Say, some
from clrbench.errors import DataError
from clrbench.files import write_text

Reader = Callable[[Say], ImageSet]


@dataclass(frozen=True)
class LoadedSet:
    """An image set, its name, the checksum of its contents, and what was left out, converted or not used, a line each."""

    name: str
    images: ImageSet
    checksum: str
    notes: Sequence[str] = ()


def load(data: Data, paths: PathNames, say: Say = print) -> LoadedSet:
    """Read the set that `data` names, from the first of its sources that has it, and tell its notes, whenever it was read.

    Raises DataError in one line when no source has it, or the one that does holds something else than an image set.
    """
    found = _located(data, paths)
    cache = Path(paths.outputs) / "cache" / f"{data.name}-{found.key}{'' if data.size is None else f'-{data.size}'}-told"
    loaded = _cached(cache, data.name, found.read) if found.is_cached else _streamed(cache, data.name, found.read)
    if untested := loaded.images.untested:
        loaded = replace(loaded, notes=[*loaded.notes, f"warning: no test image of class {some(untested)}"])
    for note in loaded.notes:
        say(note)
    return loaded


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
    return _Found(_viewed(data, lambda say: sources.read_digits()), f"scikit-learn-{version('scikit-learn')}")


def _npz(data: Data, root: Path) -> _Found | None:
    path = Path(data.path).expanduser() if data.path else root / f"{_stored_as(data)}.npz"
    if not data.path and not path.is_file():
        if data.sources == ["npz"]:
            raise DataError(f"data={data.name}: say with data.path=FILE where the .npz file lies")
        return None
    return _Found(_viewed(data, partial(sources.read_npz, path)), sources.fingerprint([path]))


def _imagefolder(data: Data, root: Path) -> _Found | None:
    if not data.path:
        raise DataError("data=imagefolder: say with data.path=FOLDER where train/CLASS/IMAGE and test/CLASS/IMAGE lie")
    folder = Path(data.path).expanduser()
    return _Found(lambda say: sources.read_imagefolder(folder, say, data.size), sources.fingerprint([folder]))


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
    module = data.module
    if not module:
        raise DataError("data=datamodule: say with data.module._target_=MODULE.CLASS which LightningDataModule it is")
    # Nobody knows what such a module reads: only its contents tell whether they have changed.
    return _read_now(lambda say: read_datamodule(module, say, data.size))


def _stream(data: Data, root: Path) -> _Found | None:
    folder = Path(data.path).expanduser() if data.path else root / data.name
    return _read_now(partial(sources.read_names, folder))


def _read_now(read: Reader) -> _Found:
    """A set of which no copy is kept, with its contents for a key."""
    notes: list[str] = []
    images = read(notes.append)
    return _Found(lambda say: _told(images, notes, say), images.checksum(), is_cached=False)


def _told(images: ImageSet, notes: Sequence[str], say: Say) -> ImageSet:
    for note in notes:
        say(note)
    return images


_READERS: Sequence[Callable[[Data, Path], _Found | None]] = (_digits, _npz, _torchvision, _imagefolder, _datamodule, _stream)
_SOURCES = dict(zip(SOURCES, _READERS, strict=True))


def _stored_as(data: Data) -> str:
    return sources.STORED_AS.get(data.name, data.name)


def _viewed(data: Data, read: Reader) -> Reader:
    """`read`, with the labels that the set is to have, and in the size that is asked for."""

    def view(say: Say) -> ImageSet:
        images = sources.coarse(read(say)) if data.name == "cifar100_coarse" else read(say)
        return images if data.size is None else _resized(images, data.size, data.name, say)

    return view


def _resized(images: ImageSet, size: int, where: str, say: Say) -> ImageSet:
    def part(images: AnyImages, split: str) -> Images:
        assert isinstance(images, Images)
        squeezed = images.pixels[..., 0] if images.shape[0] == 1 else images.pixels
        pixels = np.stack(resized(list(squeezed), size, f"{where} ({split})", say))
        return replace(images, pixels=pixels.reshape(len(images), size, size, -1))

    return ImageSet(part(images.train, "train").in_order(), part(images.test, "test").in_order())


def _compared(read: Reader, notes: list[str]) -> ImageSet:
    """What `read` gives, with its notes, and one where test images are training images as well."""
    images = read(notes.append)
    if isinstance(images.train, Images) and isinstance(images.test, Images):
        known = set(images.train.digests())
        if shared := sum(digest in known for digest in images.test.digests()):
            notes.append(f"warning: {shared} of {len(images.test)} test images are training images as well")
    return images


def _streamed(cache: Path, name: str, read: Reader) -> LoadedSet:
    """A set of which no copy is kept, but for streamed images what was found when all were looked at."""
    notes: list[str] = []
    images = _compared(read, notes)
    if isinstance(images.train, ImageFiles) and isinstance(images.test, ImageFiles):
        file = cache.with_name(f"{cache.name}.json")
        if not file.is_file():
            write_text(file, json.dumps(notes_on([images.train, images.test])))
        notes += [f"{images.train.root}: {note}" for note in json.loads(file.read_text())]
    return LoadedSet(name, images, images.checksum(), notes)


def _cached(folder: Path, name: str, read: Reader) -> LoadedSet:
    """A set by way of its copy on disk; by its source alone where the copy is another user's and not for this one."""
    notes: list[str] = []
    if not folder.is_dir():
        _store(folder, _compared(read, notes), notes)
    try:
        return _mapped(folder, name)
    except PermissionError as error:
        images = _compared(read, notes)
        unread = f"{folder}: {error.strerror}: the images are read from their source; its owner opens it with chmod -R a+rX"
        return LoadedSet(name, images, images.checksum(), [*notes, unread])


def _mapped(folder: Path, name: str) -> LoadedSet:
    train, test = (
        Images(*(np.load(folder / f"{split}-{part}.npy", mmap_mode="c") for part in ("pixels", "labels")))
        for split in ("train", "test")
    )
    about = json.loads((folder / "about.json").read_text())
    return LoadedSet(name, ImageSet(train, test), about["sha256"], about["notes"])


def _store(folder: Path, images: ImageSet, notes: Sequence[str]) -> None:
    partial_folder = folder.with_name(f".{folder.name}-{uuid.uuid4().hex}")
    partial_folder.mkdir(parents=True)  # as the umask says: tempfile would shut others out who share the folder
    try:
        for split, part in (("train", images.train), ("test", images.test)):
            assert isinstance(part, Images)
            np.save(partial_folder / f"{split}-pixels.npy", part.pixels)
            np.save(partial_folder / f"{split}-labels.npy", part.labels)
        (partial_folder / "about.json").write_text(json.dumps({"sha256": images.checksum(), "notes": notes}))
        partial_folder.rename(folder)
    except OSError as error:
        # Another job may have stored the same set meanwhile; then its copy serves.
        if not folder.is_dir():
            number = error.errno or errno.ENOSPC  # of a full disk, numpy says no more than how much it has written
            raise OSError(number, os.strerror(number), str(folder)) from error
    finally:
        shutil.rmtree(partial_folder, ignore_errors=True)
