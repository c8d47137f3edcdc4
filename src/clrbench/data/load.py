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
    read, key = _located(data, paths)
    return _cached(Path(paths.outputs) / "cache" / key, data.name, partial(read, say))


def cache_key(data: Data, paths: PathNames) -> str:
    """Names the contents of a set without reading them: another key, other contents. Raises DataError like `load`."""
    return _located(data, paths)[1]


def _located(data: Data, paths: PathNames) -> tuple[Reader, str]:
    for source in data.sources:
        found = _find(source, data, Path(paths.data).expanduser())
        if found is not None:
            read, files = found
            key = sources.fingerprint(files) if files else f"scikit-learn-{version('scikit-learn')}"
            return read, f"{data.name}-{key}"
    raise sources.not_found(data.name, Path(paths.data), "data.download is false")


def _find(source: str, data: Data, root: Path) -> tuple[Reader, list[Path]] | None:
    """The reader of a source that has the set, and the files that it reads; None where the source has not."""
    if source == "digits":
        return lambda say: sources.read_digits(), []
    if source == "npz":
        path = Path(data.path).expanduser() if data.path else root / f"{data.name}.npz"
        if not data.path and not path.is_file():
            if data.sources == ["npz"]:
                raise DataError(f"data={data.name}: say with data.path=FILE where the .npz file lies")
            return None
        return lambda say: sources.read_npz(path), [path]
    if source == "imagefolder":
        if not data.path:
            raise DataError("data=imagefolder: say with data.path=FOLDER where train/CLASS/IMAGE and test/CLASS/IMAGE lie")
        folder = Path(data.path).expanduser()
        return lambda say: sources.read_imagefolder(folder, say), [folder]
    if source != "torchvision" or data.name not in sources.TORCHVISION:
        raise DataError(f"data.sources: {source} has no set named {data.name}: choose another of data's choices")
    return _find_torchvision(data, root)


def _find_torchvision(data: Data, root: Path) -> tuple[Reader, list[Path]] | None:
    folder = root / sources.TORCHVISION[data.name][1]
    if not folder.is_dir():
        if not data.download:
            return None
        sources.download_torchvision(data.name, root)
    return lambda say: sources.read_torchvision(data.name, root), [folder]


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
