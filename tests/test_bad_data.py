"""Bad data: each kind ends in one line that names the file and says what to do, and leaves nothing behind."""

import io
import re
import shlex
import shutil
import urllib.error
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torchvision
from conftest import composed
from hydra.errors import HydraException
from omegaconf import OmegaConf
from PIL import Image

from clrbench import cli
from clrbench.complaints import in_one_line
from clrbench.config import Data, PathNames, checked
from clrbench.data import load as loading
from clrbench.data import sources
from clrbench.data.load import load
from clrbench.errors import ConfigError, DataError
from clrbench.spec import resolve

Arrays = dict[str, np.ndarray]


def paths_in(folder: Path) -> PathNames:
    return PathNames(str(folder / "data"), str(folder / "results"), str(folder / "outputs"))


def refusal(data: Data, folder: Path) -> str:
    """The line that refuses `data`; fails unless it is one line and the folder is as it was."""
    before = contents(folder)
    with pytest.raises(DataError) as caught:
        load(data, paths_in(folder), say=pytest.fail)
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    assert contents(folder) == before
    return line


def contents(folder: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def good_arrays() -> Arrays:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 4, 4), dtype=np.uint8)
    labels = np.arange(12) % 3
    return {"x_train": pixels, "y_train": labels, "x_test": pixels[:6], "y_test": labels[:6]}


def npz(path: Path) -> Data:
    return Data("npz", ["npz"], str(path), batch_size=2)


def write_good_npz(folder: Path) -> Path:
    path = folder / "mine.npz"
    np.savez(path, **good_arrays())
    return path


# Arrays that are no image set


def relabelled(key: str, old: int, new: int) -> Callable[[Arrays], Arrays]:
    return lambda arrays: {key: np.where(arrays[key] == old, new, arrays[key])}


def as_type(key: str, dtype: type) -> Callable[[Arrays], Arrays]:
    return lambda arrays: {key: arrays[key].astype(dtype)}


def shaped(key: str, *shape: int) -> Callable[[Arrays], Arrays]:
    return lambda arrays: {key: np.zeros(shape, arrays[key].dtype)}


BAD_ARRAYS: dict[str, tuple[Callable[[Arrays], Arrays], str]] = {
    "float images": (as_type("x_train", float), "(train): images are float64, not uint8: store pixels as whole numbers 0-255"),
    "wide images": (as_type("x_test", np.int32), "(test): images are int32, not uint8: store pixels as whole numbers 0-255"),
    "float labels": (as_type("y_train", float), "(train): labels are float64, not whole numbers: store the classes' numbers"),
    "text labels": (as_type("y_test", str), "(test): labels are <U21, not whole numbers: store the classes' numbers"),
    "true and false as labels": (as_type("y_train", bool), "(train): labels are bool, not whole numbers: store the classes'"),
    "flat images": (shaped("x_train", 12, 16), "(train): images have shape (12, 16), not (n, height, width) or"),
    "channels first": (shaped("x_train", 12, 3, 8, 8), "(train): images have shape (12, 3, 8, 8), not (n, height, width) or"),
    "four channels": (shaped("x_test", 6, 4, 4, 4), "(test): images have shape (6, 4, 4, 4), not (n, height, width) or"),
    "no images": (shaped("x_test", 0, 4, 4), "(test): images have shape (0, 4, 4, 1), not (n, height, width) or"),
    "images without pixels": (shaped("x_train", 12, 0, 4), "(train): images have shape (12, 0, 4, 1), not (n, height, width)"),
    "one-hot labels": (shaped("y_train", 12, 3), "(train): labels have shape (12, 3), not (12,) as there are that many images"),
    "a single number as labels": (shaped("y_test"), "(test): labels have shape (), not (6,) as there are that many images"),
    "fewer labels than images": (shaped("y_train", 11), "(train): labels have shape (11,), not (12,) as there are that many"),
    "more labels than images": (shaped("y_test", 7), "(test): labels have shape (7,), not (6,) as there are that many images"),
    "a negative label": (relabelled("y_train", 1, -1), "(train): a label is -1: number the classes 0, 1, 2"),
    "a negative test label": (relabelled("y_test", 1, -1), "(test): a label is -1: number the classes 0, 1, 2"),
    "a label beyond 64 bits": (
        lambda arrays: {"y_train": arrays["y_train"].astype(np.uint64) + 2**63},
        "(train): a label is 9223372036854775810: number",
    ),
    "a gap in the labels": (
        relabelled("y_train", 1, 3),
        "labels run to 3 but no training image has 1: number the classes 0 to 2",
    ),
    "labels from 1": (
        lambda arrays: {"y_train": arrays["y_train"] + 1, "y_test": arrays["y_test"] + 1},
        "labels run to 3 but no training image has 0: number the classes 0 to 2",
    ),
    "a gap of a million million": (
        relabelled("y_train", 2, 10**12),
        "labels run to 1000000000000 but no training image has 2: number the classes 0 to 2",
    ),
    "a test label of no training class": (relabelled("y_test", 1, 3), "test label 3 is not among the training labels, 0 to 2"),
    "one class": (shaped("y_train", 12), "the training images have only one class, 0: add images of another"),
    "one class in the test set": (shaped("y_test", 6), "the test images have only one class, 0: add images of the others"),
    "test images of another size": (
        shaped("x_test", 6, 5, 4),
        "training images are (4, 4, 1), test images (5, 4, 1): make them equal",
    ),
    "colour in training alone": (
        shaped("x_train", 12, 4, 4, 3),
        "training images are (4, 4, 3), test images (4, 4, 1): make them equal",
    ),
    "objects": (lambda arrays: {"y_train": np.array([None] * 12)}, "is damaged or holds more than plain arrays"),
}


@pytest.mark.parametrize("kind", BAD_ARRAYS)
def test_arrays_that_are_no_image_set_are_refused(tmp_path, kind):
    change, expected = BAD_ARRAYS[kind]
    arrays = good_arrays()
    np.savez(tmp_path / "mine.npz", **(arrays | change(arrays)))
    line = refusal(npz(tmp_path / "mine.npz"), tmp_path)
    assert line.startswith(str(tmp_path / "mine.npz"))
    assert expected in line


def test_the_arrays_that_the_bad_ones_are_made_from_are_good(tmp_path):
    loaded = load(npz(write_good_npz(tmp_path)), paths_in(tmp_path))
    assert (len(loaded.images.train), len(loaded.images.test)) == (12, 6)


def test_an_npz_file_without_the_four_arrays_is_refused_with_what_it_lacks_and_has(tmp_path):
    np.savez(tmp_path / "mine.npz", x_train=np.zeros(3), labels=np.zeros(3))
    line = refusal(npz(tmp_path / "mine.npz"), tmp_path)
    assert line == f"{tmp_path / 'mine.npz'}: lacks y_train; it has x_train, labels: add it"


# Files that are no .npz file


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def a_corrupt_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.index(good_arrays()["x_train"].tobytes()) + 50] ^= 0xFF
    path.write_bytes(content)


def a_single_array(path: Path) -> None:
    np.save(path.with_suffix(".npy"), np.zeros((3, 4, 4), np.uint8))
    path.with_suffix(".npy").rename(path)


BAD_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, "no such file: say with data.path or paths.data where it lies"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "no such file: say with data.path or paths.data where it lies"),
    "truncated": (half, "is damaged or no .npz file: make it anew with numpy.savez"),
    "a corrupt byte in the middle": (a_corrupt_byte, "is damaged or holds more than plain arrays"),
    "text": (lambda path: path.write_text("x_train, y_train\n"), "is damaged or no .npz file: make it anew with numpy.savez"),
    "empty": (lambda path: path.write_bytes(b""), "is damaged or no .npz file: make it anew with numpy.savez"),
    "a single .npy array": (a_single_array, "is damaged or no .npz file: make it anew with numpy.savez"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_file_that_is_no_npz_file_is_refused(tmp_path, kind):
    spoil, expected = BAD_FILES[kind]
    path = write_good_npz(tmp_path)
    spoil(path)
    assert refusal(npz(path), tmp_path).startswith(f"{path}: {expected}")


@pytest.mark.slow
@pytest.mark.parametrize("flip", [0x01, 0xFF], ids=hex)
def test_no_changed_byte_of_an_npz_file_goes_unnoticed_or_ends_in_a_traceback(tmp_path, flip):
    path = write_good_npz(tmp_path)
    content = path.read_bytes()
    checksum = sources.read_npz(path, lambda line: None).checksum()
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ flip]) + content[at + 1 :])
        try:
            assert (
                sources.read_npz(path, lambda line: None).checksum() == checksum
            )  # bytes of the archive that say nothing: a time, a note
        except DataError as error:
            assert len(str(error).splitlines()) == 1  # noqa: PT017


def test_a_changed_type_in_the_header_of_a_long_array_is_noticed(tmp_path):
    path = tmp_path / "mine.npz"
    pixels, labels = np.zeros((3000, 2, 2), np.uint8), np.arange(3000) % 3
    np.savez(path, x_train=pixels, y_train=labels, x_test=pixels, y_test=labels)
    path.write_bytes(path.read_bytes().replace(b"'<i8'", b"'<i4'", 1))
    assert "bad checksum of y_train.npy" in refusal(npz(path), tmp_path)


def test_a_good_file_takes_the_place_of_a_bad_one(tmp_path):
    path = write_good_npz(tmp_path)
    half(path)
    refusal(npz(path), tmp_path)
    write_good_npz(tmp_path)
    assert load(npz(path), paths_in(tmp_path)).images.classes == 3


@pytest.mark.parametrize("said", [(28, "No space left on device"), ("92416 requested and 1024 written",)])
def test_a_full_disk_is_told_by_the_cache_that_has_no_room_and_leaves_no_half_of_it(tmp_path, monkeypatch, said):
    path = write_good_npz(tmp_path)

    def save(file: Path, array: np.ndarray) -> None:
        file.write_bytes(b"half")
        raise OSError(*said)

    monkeypatch.setattr(loading.np, "save", save)
    with pytest.raises(OSError, match="No space left") as caught:
        load(npz(path), paths_in(tmp_path))
    cache = tmp_path / "outputs" / "cache"
    assert Path(caught.value.filename).parent == cache
    assert not Path(caught.value.filename).name.startswith(".")
    assert list(cache.iterdir()) == []


# Image folders


def imagefolder(path: Path) -> Data:
    return Data("imagefolder", ["imagefolder"], str(path), batch_size=1)


def write_good_folder(root: Path) -> Path:
    for place in ("train/a", "train/b", "test/a", "test/b"):
        (root / place).mkdir(parents=True)
        Image.new("L", (5, 6), 100).save(root / place / "0.png")
    return root


def encoded(kind: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def bomb() -> bytes:
    """A PNG header that announces 60,000 x 60,000 pixels."""
    content = bytearray(encoded("png"))
    content[16:24] = (60_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    return bytes(content)


def removing(place: str) -> Callable[[Path], object]:
    return lambda root: shutil.rmtree(root / place)


def writing(place: str, content: bytes) -> Callable[[Path], object]:
    return lambda root: (root / place).write_bytes(content)


def an_image(place: str, mode: str, width: int, height: int) -> Callable[[Path], object]:
    return lambda root: Image.new(mode, (width, height)).save(root / place)


def an_empty_class(root: Path) -> None:
    for split in ("train", "test"):
        (root / split / "c").mkdir()


def no_classes(root: Path) -> None:
    for place in ("train/a", "train/b"):
        shutil.rmtree(root / place)


def only_one_class(root: Path) -> None:
    for place in ("train/b", "test/b"):
        shutil.rmtree(root / place)


BAD_FOLDERS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "missing": (shutil.rmtree, "", "no such folder: say with data.path where train/CLASS/IMAGE"),
    "no train": (removing("train"), "", "has test but no train: give it both"),
    "one split of few images": (
        removing("test"),
        "",
        "has no test set, and fewer than 5 images of class 0, 1 to take some from",
    ),
    "no classes": (no_classes, "/train", "it must hold a folder of images for each class"),
    "an empty class": (an_empty_class, "/train", "is no image folder (no images of the classes c)"),
    "one class": (only_one_class, "", "the training images have only one class, 0: add images of another"),
    "a class in train alone": (removing("test/b"), "", "only one of train and test has the class b: give both the same"),
    "a class in test alone": (removing("train/b"), "", "only one of train and test has the class b: give both the same"),
    "two sizes": (an_image("train/b/0.png", "L", 6, 5), "", "1 of 4 images are not 5x6 as the others: train/b/0.png (6x5)"),
    "another size in test": (
        lambda root: [an_image(f"test/{name}/0.png", "L", 6, 5)(root) for name in "ab"],
        "",
        "2 of 4 images are not 5x6 as the others: test/a/0.png (6x5), test/b/0.png (6x5): make all images one size, or take",
    ),
    "no image": (writing("test/a/0.png", b"not an image"), "/test/a/0.png", "is not a readable image"),
    "an empty file": (writing("train/a/0.png", b""), "/train/a/0.png", "is not a readable image"),
    "a truncated PNG": (writing("train/b/0.png", encoded("png")[:-30]), "/train/b/0.png", "is not a readable image"),
    "a PNG cut in its header": (writing("train/b/0.png", encoded("png")[:20]), "/train/b/0.png", "is not a readable image"),
    "a truncated JPEG": (writing("train/b/1.jpg", encoded("jpeg")[:-60]), "/train/b/1.jpg", "is not a readable image"),
    "a decompression bomb": (writing("train/a/0.png", bomb()), "/train/a/0.png", "is not a readable image"),
    "16 bits a pixel": (an_image("train/a/0.png", "I;16", 5, 6), "/train/a/0.png", "has more than 8 bits a pixel"),
}


@pytest.mark.parametrize("kind", BAD_FOLDERS)
def test_a_folder_that_is_no_image_set_is_refused(tmp_path, kind):
    spoil, place, expected = BAD_FOLDERS[kind]
    root = write_good_folder(tmp_path / "images")
    spoil(root)
    line = refusal(imagefolder(root), tmp_path)
    assert line.startswith(f"{root}{place}: ")
    assert expected in line


@pytest.mark.parametrize("source", ["npz", "imagefolder"])
def test_images_of_ones_own_without_a_path_are_refused_with_the_key_to_set(tmp_path, source):
    assert f"data={source}: say with data.path=" in refusal(Data(source, [source], batch_size=1), tmp_path)


# torchvision's sets

SETS = sorted(sources.TORCHVISION)
THREE_WAYS = ("{name}.npz (x_train, y_train, x_test, y_test)", "torchvision's own files", "data.download=true")
NO_NETWORK = [
    urllib.error.URLError("Temporary failure\nin name resolution"),
    RuntimeError("Error downloading\nfrom every mirror"),
    ConnectionResetError("reset by peer"),
    EOFError("the archive ends too early"),
]


def known(name: str, **settings: object) -> Data:
    return Data(name, ["npz", "torchvision"], batch_size=2, **settings)


@pytest.fixture
def cut_off(monkeypatch):
    """Make every download of torchvision's write half a file and then raise an error."""

    def cut(error: Exception) -> None:
        def download(self: object) -> None:
            (Path(self.root) / "half-a-file").write_bytes(b"half")
            raise error

        for name, _ in sources.TORCHVISION.values():
            monkeypatch.setattr(getattr(torchvision.datasets, name), "download", download)

    return cut


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("error", NO_NETWORK, ids=lambda error: type(error).__name__)
def test_a_set_that_cannot_be_downloaded_is_refused_with_the_three_ways_to_provide_it(tmp_path, cut_off, name, error):
    cut_off(error)
    line = refusal(known(name), tmp_path)
    assert line.startswith(f"data={name}: not found in {tmp_path / 'data'} (the download failed: ")
    assert all(way.format(name=name) in line for way in THREE_WAYS)


def test_a_failed_download_leaves_other_sets_as_they_are(tmp_path, cut_off):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "other.npz").write_bytes(b"other")
    cut_off(NO_NETWORK[0])
    refusal(known("mnist"), tmp_path)


def test_a_set_that_may_not_be_downloaded_is_refused_with_the_three_ways_to_provide_it(tmp_path, cut_off):
    cut_off(AssertionError("tried to download"))
    line = refusal(known("cifar10", download=False), tmp_path)
    assert "data.download is false" in line
    assert all(way.format(name="cifar10") in line for way in THREE_WAYS)


def test_a_data_folder_that_cannot_be_made_is_refused(tmp_path, cut_off):
    (tmp_path / "data").write_text("a file in the folder's place")
    cut_off(AssertionError("tried to download"))
    assert "the download failed" in refusal(known("mnist"), tmp_path)


def test_a_download_that_succeeds_leaves_the_set_and_nothing_else(tmp_path, monkeypatch):
    def download(name: str, root: Path, download: bool) -> list[tuple[np.ndarray, np.ndarray]]:
        (root / "MNIST").mkdir(exist_ok=True)
        arrays = good_arrays()
        return [(arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])]

    monkeypatch.setattr(sources, "_torchvision_parts", download)
    load(known("mnist"), paths_in(tmp_path))
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["MNIST"]


def test_files_that_another_job_downloaded_meanwhile_serve(tmp_path, monkeypatch):
    def download(name: str, root: Path, download: bool) -> list[tuple[np.ndarray, np.ndarray]]:
        (tmp_path / "data" / "MNIST" / "raw").mkdir(parents=True, exist_ok=True)
        raise RuntimeError("this job's own download broke")

    monkeypatch.setattr(sources, "_torchvision_parts", download)
    sources.download_torchvision("mnist", tmp_path / "data")
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["MNIST"]


@pytest.mark.parametrize("garbage", [b"", b"garbage", b"\0\0\x08\x03" + b"\xff" * 40, b"\0" * 64, None], ids=repr)
def test_damaged_files_of_torchvisions_are_refused_and_left_alone(tmp_path, garbage):
    raw = tmp_path / "data" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for stem in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        if garbage is not None:
            (raw / f"{stem}-ubyte").write_bytes(garbage)
    line = refusal(known("mnist"), tmp_path)
    assert line.startswith(f"{raw.parent}: is damaged")
    assert line.endswith("remove it and provide it anew")


def test_cifar_files_with_a_wrong_checksum_are_refused(tmp_path):
    folder = tmp_path / "data" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta"):
        (folder / name).write_bytes(b"garbage")
    assert refusal(known("cifar10"), tmp_path).startswith(f"{folder}: is damaged")


def test_a_source_that_has_no_set_of_that_name_is_refused(tmp_path):
    assert refusal(Data("digits", ["torchvision"], batch_size=2), tmp_path).startswith("data.sources: ")


# Choices


@pytest.mark.parametrize(
    ("key", "name"),
    [("data.name", "../x"), ("data.name", "a/b"), ("data.name", ".."), ("experiment", "../x"), ("policy.name", "../x")],
)
def test_a_name_that_leads_out_of_its_folder_is_refused(key, name):
    made = composed()
    OmegaConf.update(made, key, name)
    with pytest.raises(ConfigError, match=re.escape(f"{key}={name} would lead to another folder: take a name without / and")):
        checked(made)


@pytest.mark.parametrize("source", ["npz", "imagefolder", "stream"])
def test_too_few_images_a_class_to_hold_some_out_end_in_one_line(tmp_path, make_config, source):
    config = make_config("data.evaluate=validation", "data.batch_size=1")
    if source == "npz":
        data = npz(write_good_npz(tmp_path))
    else:
        data = Data(source, [source], str(write_good_folder(tmp_path / "images")), batch_size=1)
    with pytest.raises(ConfigError, match=r"no class has ten training images, .* or take data\.split=paper"):
        resolve(config, load(data, paths_in(tmp_path)))


@pytest.mark.parametrize("name", ["größe.npz", "archive (1).npz", "a=b.npz", "~/x.npz"])
def test_a_path_with_unusual_characters_is_answered_with_the_quotes_that_work(name):
    with pytest.raises(HydraException) as caught:
        composed("data=npz", f"data.path={name}")
    said = in_one_line(caught.value, [], lambda choices: composed(*choices))
    (override,) = shlex.split(said.rpartition(": ")[2])
    assert composed("data=npz", override).data.path == name


def test_a_choice_of_nothing_ends_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["train.py", "experiment=null"])
    with pytest.raises(SystemExit):
        cli.main(lambda: composed("experiment=null"))
    assert capsys.readouterr().err == (
        "error: experiment=null chooses nothing: leave it out, or choose one that --help lists\n"
    )
