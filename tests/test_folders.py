"""Folders of images: which of their files are taken, and what is told of the others; the same in memory and streamed."""

import os
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clrbench.config import Config, Data, PathNames
from clrbench.data.decode import plain
from clrbench.data.images import ImageSet
from clrbench.data.load import LoadedSet, load
from clrbench.errors import ConfigError, DataError

BOTH = pytest.mark.parametrize("source", ["imagefolder", "stream"])


def save(path: Path, value: int = 100, size: tuple[int, int] = (5, 6), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, value).convert(mode).save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two images of each of two classes in each split."""
    folder = tmp_path / "images"
    for at, split in enumerate(("train", "test")):
        for name in "ab":
            for number in range(2):
                save(folder / split / name / f"{number}.png", 100 * at + 10 * number + (name == "b"))
    return folder


def loaded(root: Path, source: str = "imagefolder", size: int | None = None) -> tuple[LoadedSet, list[str]]:
    said: list[str] = []
    folder = str(root.parent)
    data = Data(source, [source], str(root), size=size, batch_size=1)
    return load(data, PathNames(folder, folder, f"{folder}/outputs"), said.append), said


def counts(images: ImageSet) -> tuple[int, int]:
    return len(images.train), len(images.test)


def told(root: Path, source: str) -> list[str]:
    """What is said of the folder."""
    _, said = loaded(root, source)
    return [line.removeprefix(f"{root}: ") for line in said]


@BOTH
def test_a_clean_folder_is_taken_without_a_word(root: Path, source: str) -> None:
    assert told(root, source) == []


@BOTH
def test_files_with_other_endings_or_none_are_counted_and_told(root: Path, source: str) -> None:
    for name in ("notes.txt", "image", "x.npy", "b/y.TXT"):
        (root / "train" / "a" / name).parent.mkdir(exist_ok=True)
        (root / "train" / "a" / name).write_bytes(b"")
    assert told(root, source) == [
        "4 files are left out, with endings that no image has (.npy, .txt, none): "
        "train/a/b/y.TXT, train/a/image, train/a/notes.txt and 1 more"
    ]


@BOTH
@pytest.mark.parametrize("ending", ["jfif", "jpe", "gif", "avif", "webp", "JPG"])
def test_images_with_rarer_endings_are_read(root: Path, source: str, ending: str) -> None:
    save(root / "train" / "a" / f"more.{ending}")
    images, _ = loaded(root, source)
    assert counts(images.images) == (5, 4)


@BOTH
@pytest.mark.parametrize("hidden", [".ipynb_checkpoints", "__MACOSX"])
def test_hidden_folders_are_no_classes_and_what_they_hold_is_told(root: Path, source: str, hidden: str) -> None:
    save(root / "train" / hidden / "0.png")
    save(root / "train" / "a" / hidden / "0.png")
    images, said = loaded(root, source)
    assert (images.images.classes, *counts(images.images)) == (2, 4, 4)
    (line,) = said
    assert line.startswith(f"{root}: 2 files are left out, hidden ones or in hidden folders: train/")


@BOTH
def test_images_outside_of_class_folders_are_told(root: Path, source: str) -> None:
    save(root / "train" / "0.png")
    assert told(root, source) == ["1 files are left out, for they lie in no class folder: train/0.png"]


@BOTH
def test_a_folder_that_may_not_be_read_is_refused(root: Path, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    locked = root / "train" / "a" / "more"
    locked.mkdir()
    scan = os.scandir

    def scandir(folder: Path) -> object:
        if Path(folder) == locked:
            raise PermissionError(13, "Permission denied")
        return scan(folder)

    monkeypatch.setattr(os, "scandir", scandir)  # the tests' user may be one who may read everything
    with pytest.raises(DataError, match=rf"{locked}: cannot be read \(Permission denied\): make it readable"):
        loaded(root, source)


@BOTH
def test_a_file_that_may_not_be_read_is_not_called_damaged(root: Path, source: str) -> None:
    (root / "train" / "a" / "gone.png").symlink_to("nowhere.png")
    with pytest.raises(DataError, match=r"train/a/gone\.png: cannot be read \(No such file or directory\)"):
        loaded(root, source)


@BOTH
def test_all_bad_images_are_named_at_once_with_their_number(root: Path, source: str) -> None:
    for name in ("a/0", "a/1", "b/0", "b/1"):
        (root / "train" / f"{name}.png").write_bytes(b"nothing")
    with pytest.raises(DataError) as caught:
        loaded(root, source)
    line = str(caught.value)
    assert line.startswith(f"{root}/train/a/0.png: is not a readable image (")
    assert line.endswith("; 4 of 8 are bad, also train/a/1.png, train/b/0.png, train/b/1.png")


@BOTH
@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_images_of_more_than_8_bits_are_refused(root: Path, source: str, mode: str) -> None:
    Image.new(mode, (5, 6)).save(root / "train" / "a" / "deep.tiff")
    with pytest.raises(DataError, match=rf"deep\.tiff: has more than 8 bits a pixel and channel \(mode {mode}"):
        loaded(root, source)


def png_of_16_bits() -> bytes:
    """A colour PNG of 5x6 pixels with 16 bits a channel, which Pillow opens as if it had 8."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")

    header = (5).to_bytes(4, "big") + (6).to_bytes(4, "big") + bytes([16, 2, 0, 0, 0])
    rows = zlib.compress(b"".join(b"\0" + bytes(range(30)) for _ in range(6)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@BOTH
def test_colour_images_of_16_bits_a_channel_are_refused_too(root: Path, source: str) -> None:
    (root / "train" / "a" / "deep.png").write_bytes(png_of_16_bits())
    with pytest.raises(DataError, match=r"deep\.png: has more than 8 bits a pixel and channel \(mode RGB\): store it with 8"):
        loaded(root, source)


@BOTH
def test_animated_images_give_their_first_frame_and_are_told(root: Path, source: str) -> None:
    first, second = (Image.new("RGB", (5, 6), colour) for colour in ((200, 0, 0), (0, 200, 0)))
    first.save(root / "train" / "a" / "two.gif", save_all=True, append_images=[second])
    said = told(root, source)
    assert "1 of 9 images are animated, and only their first frames are used: train/a/two.gif" in said


def turned(path: Path) -> None:
    """Saved lying, with the word that it is to stand: 5 pixels wide and 6 high, its left half bright."""
    upright = Image.fromarray(np.repeat(np.array([[250, 250, 0, 0, 0]], np.uint8), 6, axis=0)).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    upright.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)


@BOTH
def test_images_are_turned_as_their_exif_data_say_and_that_is_told(root: Path, source: str) -> None:
    turned(root / "train" / "a" / "lying.png")
    assert "1 of 9 images are turned upright, as their EXIF data say: train/a/lying.png" in told(root, source)
    with Image.open(root / "train" / "a" / "lying.png") as image:
        pixels = np.asarray(plain(image))
    assert pixels.shape == (6, 5, 3)
    assert (pixels[:, :2] == 250).all()
    assert (pixels[:, 2:] == 0).all()


@BOTH
@pytest.mark.parametrize("name", ["val", "valid", "validation", "Test", "VAL"])
def test_the_held_out_folder_has_any_of_its_usual_names(root: Path, source: str, name: str) -> None:
    (root / "test").rename(root / "other")
    (root / "other").rename(root / name)
    assert counts(loaded(root, source)[0].images) == (4, 4)
    assert told(root, source) == []


@BOTH
def test_a_split_that_is_not_used_is_told(root: Path, source: str) -> None:
    save(root / "val" / "a" / "0.png")
    assert told(root, source) == ["its folder val is not used"]


@BOTH
def test_a_test_folder_without_classes_gives_way_to_val(root: Path, source: str) -> None:
    (root / "test").rename(root / "val")
    save(root / "test" / "0.png")
    images, said = loaded(root, source)
    assert counts(images.images) == (4, 4)
    assert said == [f"{root}: its folder test is not used"]


def one_split(root: Path, inner: str) -> None:
    for at, name in enumerate("ab"):
        for number in range(10):
            save(root / inner / name / f"{number}.png", 10 * number + at)


@BOTH
@pytest.mark.parametrize("inner", ["", "train"])
def test_one_split_is_cut_the_same_way_for_every_seed_and_that_is_told(tmp_path: Path, source: str, inner: str) -> None:
    one_split(tmp_path / "set", inner)
    images, said = loaded(tmp_path / "set", source)
    assert counts(images.images) == (16, 4)
    assert np.bincount(images.images.test.labels).tolist() == [2, 2]
    assert said[0].endswith("has no test set: every fifth image of each class becomes one, 4 of 20, for every seed")


def test_a_cut_depends_on_the_images_and_not_on_their_names(tmp_path: Path) -> None:
    one_split(tmp_path / "set", "train")
    before = loaded(tmp_path / "set")[0].checksum
    for path in sorted((tmp_path / "set").rglob("*.png")):
        path.rename(path.with_name(f"{9 - int(path.stem)}-renamed.png"))
    assert loaded(tmp_path / "set")[0].checksum == before


def test_images_of_any_size_become_one_size_and_that_is_told(root: Path) -> None:
    save(root / "train" / "a" / "big.png", 50, (50, 40))
    images, said = loaded(root, size=8)
    assert images.images.shape == (3, 8, 8)
    assert said == [f"{root}: 9 of 9 images (5x6 to 50x40) are resized to 8x8"]


def test_what_was_done_is_told_again_where_the_cached_copy_is_used(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "train" / "a" / "notes.txt").write_bytes(b"")
    _, first = loaded(root)
    monkeypatch.setattr("clrbench.data.sources.read_imagefolder", lambda *settings: pytest.fail("read again"))
    assert loaded(root)[1] == first != []


def test_streamed_images_are_looked_at_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(root / "train" / "a" / "grey.png", mode="L")
    _, first = loaded(root, "stream")
    monkeypatch.setattr("clrbench.data.load.notes_on", lambda parts: pytest.fail("looked at again"))
    assert loaded(root, "stream")[1] == first == [f"{root}: 1 of 9 images (L) are converted to RGB: train/a/grey.png"]


def test_test_images_that_are_training_images_are_counted(root: Path) -> None:
    (root / "test" / "a" / "0.png").write_bytes((root / "train" / "a" / "0.png").read_bytes())
    assert loaded(root)[1] == ["warning: 1 of 4 test images are training images as well"]


def test_streamed_images_have_a_size_of_their_own(make_config: Callable[..., Config]) -> None:
    with pytest.raises(ConfigError, match=r"data\.size=8 goes with images in memory"):
        make_config("data=imagenet", "data.size=8")
