"""Images in folders: which files are images of which class and split, and what is left out."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from clrbench.data.telling import not_used, some
from clrbench.errors import DataError

ENDINGS = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".webp", ".avif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")
)
TRAINING = ("train", "training")
# In this order of preference: what is called a validation set is the test set where there is no other.
HELD_OUT = ("test", "testing", "val", "valid", "validation")
_OF_SYSTEMS = ("__MACOSX", "@eaDir")  # folders that other systems leave beside images
_LAYOUT = "it must hold a folder of images for each class"
# Names of files, from the root on, with the numbers of their classes.
Samples = list[tuple[str, int]]


@dataclass(frozen=True)
class Listing:
    """The images of a folder. test: None where it has but one split; notes: a line for each kind of thing left out."""

    train: Samples
    test: Samples | None
    notes: Sequence[str]


def listed(root: Path) -> Listing:
    """The images below `root`: TRAINING/CLASS/..., HELD_OUT/CLASS/... by any of their names, or one split, or CLASS/... alone.

    Raises DataError in one line for a folder that is no such thing, or that cannot be read whole.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder: say with data.path where train/CLASS/IMAGE and test/CLASS/IMAGE lie")
    folders = [name for name in _inner(root) if not _is_hidden(name) and (root / name).is_dir()]
    training, held_out = _first(folders, TRAINING), _held_out(root, folders)
    if training is None and held_out is not None:
        raise DataError(f"{root}: has {held_out} but no train: give it both, each with a folder of images for each class")
    train = _Split(root, training or "")
    test = None if held_out is None else _Split(root, held_out)
    splits = [train] if test is None else [train, test]
    if test is not None and (odd := sorted(set(train.classes) ^ set(test.classes))):
        raise DataError(
            f"{root}: only one of {training} and {held_out} has the class {some(odd)}: give both the same class folders"
        )
    unused = [name for name in folders if training is not None and name not in (training, held_out)]
    notes = [f"{root}: {not_used('folder', unused)}"] if unused else []
    notes += _left_out(root, splits)
    return Listing(train.samples, None if test is None else test.samples, notes)


def _left_out(root: Path, splits: Sequence["_Split"]) -> list[str]:
    hidden = [name for split in splits for name in split.hidden]
    others = [name for split in splits for name in split.others]
    loose = [name for split in splits for name in split.loose]
    endings = ", ".join(sorted({Path(name).suffix.lower() or "none" for name in others}))
    return [
        f"{root}: {len(names)} files are left out, {why}: {some(names)}"
        for names, why in (
            (hidden, "hidden ones or in hidden folders"),
            (others, f"with endings that no image has ({endings})"),
            (loose, "for they lie in no class folder"),
        )
        if names
    ]


class _Split:
    """The files of one split: its images, and by cause what is none."""

    def __init__(self, root: Path, name: str) -> None:
        self.samples: Samples = []
        self.hidden: list[str] = []
        self.others: list[str] = []
        self.loose: list[str] = []
        folder = root / name
        self.classes = [entry for entry in _inner(folder) if not _is_hidden(entry) and (folder / entry).is_dir()]
        if not self.classes:
            raise DataError(f"{folder}: is no image folder (it has no folders): {_LAYOUT}")
        self._labels = {entry: label for label, entry in enumerate(self.classes)}
        for inner in files_below(folder):
            self._add(f"{name}/{inner}" if name else inner, inner.split("/"))
        with_images = {label for _, label in self.samples}
        if empty := [entry for label, entry in enumerate(self.classes) if label not in with_images]:
            raise DataError(f"{folder}: is no image folder (no images of the classes {some(empty)}): {_LAYOUT}")

    def _add(self, name: str, parts: Sequence[str]) -> None:
        if any(map(_is_hidden, parts)):
            self.hidden.append(name)
        elif Path(parts[-1]).suffix.lower() not in ENDINGS:
            self.others.append(name)
        elif len(parts) == 1:
            self.loose.append(name)
        else:
            self.samples.append((name, self._labels[parts[0]]))


def _first(folders: Sequence[str], names: Sequence[str]) -> str | None:
    ranked = [folder for name in names for folder in folders if folder.lower() == name]
    return ranked[0] if ranked else None


def _held_out(root: Path, folders: Sequence[str]) -> str | None:
    """The folder that is evaluated on; ImageNet's test folder has no classes, so its val is taken."""
    ranked = [folder for name in HELD_OUT for folder in folders if folder.lower() == name]
    with_classes = [folder for folder in ranked if any((root / folder / name).is_dir() for name in _inner(root / folder))]
    return next(iter(with_classes or ranked), None)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in _OF_SYSTEMS


def _inner(folder: Path) -> list[str]:
    return [entry.name for entry in _entries(folder)]


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror}): make it readable, or move it away") from None


def files_below(folder: Path, above: frozenset[Path] = frozenset()) -> Iterator[str]:
    """The files below a folder, by their names from there on: through symbolic links, but not back to a folder above.

    A link that leads nowhere counts as a file. Raises DataError for a folder that cannot be read.
    """
    here = folder.resolve()
    if here in above:
        return
    for entry in _entries(folder):
        if entry.is_dir():
            yield from (f"{entry.name}/{inner}" for inner in files_below(folder / entry.name, above | {here}))
        else:
            yield entry.name
