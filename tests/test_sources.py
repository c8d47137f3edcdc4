"""Sources of images beside files of one's own: torchvision's further sets, and LightningDataModules."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import own_data
import pytest
import scipy.io
import torchvision
from conftest import ROOT

from clrbench import store
from clrbench.config import Config, Data, PathNames
from clrbench.data import sources
from clrbench.data.datamodule import read_datamodule
from clrbench.data.images import ImageSet
from clrbench.data.load import LoadedSet, load
from clrbench.errors import DataError
from clrbench.training import run as running
from clrbench.training.console import Console


def paths_in(folder: Path) -> PathNames:
    return PathNames(str(folder), str(folder / "results"), str(folder / "outputs"))


# CIFAR-100


def write_cifar100(folder: Path, classes: int = 100) -> np.ndarray:
    labels = np.arange(classes).repeat(2)
    pixels = np.zeros((len(labels), 4, 4, 3), np.uint8)
    np.savez(folder / "cifar100.npz", x_train=pixels, y_train=labels, x_test=pixels, y_test=labels)
    return labels


def test_each_superclass_of_cifar100_has_five_classes() -> None:
    assert np.bincount(sources.CIFAR100_COARSE).tolist() == [5] * 20


@pytest.mark.parametrize(
    ("members", "superclass"),
    # Krizhevsky's table: aquatic mammals, fish, household furniture, trees, vehicles 2; numbers in alphabetical order.
    [
        ([4, 30, 55, 72, 95], 0),
        ([1, 32, 67, 73, 91], 1),
        ([5, 20, 25, 84, 94], 6),
        ([47, 52, 56, 59, 96], 17),
        ([41, 69, 81, 85, 89], 19),
    ],
)
def test_superclasses_are_those_of_the_published_table(members: list[int], superclass: int) -> None:
    assert np.flatnonzero(superclass == sources.CIFAR100_COARSE).tolist() == members


def test_the_coarse_set_comes_from_the_fine_ones_file(tmp_path: Path) -> None:
    labels = write_cifar100(tmp_path)
    coarse = load(Data("cifar100_coarse", ["npz"], batch_size=2), paths_in(tmp_path))
    fine = load(Data("cifar100", ["npz"], batch_size=2), paths_in(tmp_path))
    assert (coarse.images.classes, fine.images.classes) == (20, 100)
    assert sorted(coarse.images.test.labels.tolist()) == sorted(sources.CIFAR100_COARSE[labels].tolist())
    assert coarse.checksum != fine.checksum


def test_coarse_labels_of_a_set_without_100_classes_are_refused(tmp_path: Path) -> None:
    write_cifar100(tmp_path, classes=20)
    with pytest.raises(DataError, match="cifar100 has 20 classes, not 100"):
        load(Data("cifar100_coarse", ["npz"], batch_size=2), paths_in(tmp_path))


# SVHN


def test_torchvisions_svhn_files_are_read_with_channels_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
    (tmp_path / "SVHN").mkdir()
    for split in ("train", "test"):
        labels = np.arange(1, 21) % 10
        labels[labels == 0] = 10  # as in the published files, where 10 stands for the digit 0
        content = {"X": np.moveaxis(pixels, 0, -1), "y": labels[:, None]}
        scipy.io.savemat(tmp_path / "SVHN" / f"{split}_32x32.mat", content)
    monkeypatch.setattr(torchvision.datasets.SVHN, "_check_integrity", lambda self: True)  # these are not the real files
    images = load(Data("svhn", ["npz", "torchvision"], download=False, batch_size=2), paths_in(tmp_path)).images
    assert own_data.holds(images.train, pixels, [*range(1, 10), 0] * 2)


def test_svhn_files_with_another_checksum_are_refused(tmp_path: Path) -> None:
    (tmp_path / "SVHN").mkdir()
    (tmp_path / "SVHN" / "train_32x32.mat").write_bytes(b"damaged")
    with pytest.raises(DataError, match="SVHN: is damaged"):
        load(Data("svhn", ["torchvision"], download=False, batch_size=2), paths_in(tmp_path))


# LightningDataModules


@pytest.mark.parametrize("form", ["pil", "bytes", "floats"])
def test_a_datamodule_gives_the_images_of_its_data_sets(form: str) -> None:
    images = read_datamodule({"_target_": "own_data.OwnData", "form": form}, pytest.fail)
    assert (images.shape, images.classes, len(images.train), len(images.test)) == ((1, 20, 50), 3, 30, 12)
    assert own_data.holds(images.train, own_data.pixels(30), [0, 1, 2] * 10)
    assert own_data.holds(images.test, own_data.pixels(12), [0, 1, 2] * 4)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"form": "scaled"}, r"floats that were scaled: leave them as bytes"),
        ({"form": "ragged"}, r"data\.module: 21 of 42 images are not 50x20 as the others: train item 1 \(50x19\)"),
        (
            {"form": "nan"},
            r"train\): item 0 has pixels that are NaN or infinite: .* 30 of 30 are bad, also 1, 2, 3 and 26 more",
        ),
        ({"form": "deep"}, r"item 0: has more than 8 bits a pixel and channel \(mode I;16\): store it with 8"),
        ({"form": "random"}, r"item 0 is another one when it is read again: .*take data\.augment=crop_flip"),
        ({"_target_": "own_data.WithTargets"}, r"item 0 has the label 0\.5 \(float64\), no whole number"),
        ({"_target_": "own_data.Weighted"}, r"a loader draws its images by WeightedRandomSampler"),
        ({"_target_": "own_data.Batched"}, r"a loader draws its images by list, .*torch\.utils\.data\.Subset"),
        ({"_target_": "own_data.WithoutLength"}, r"its data set has no length"),
        ({"_target_": "own_data.WithoutTest"}, r"data\.module: gives no data sets .*test_dataloader"),
        ({"_target_": "own_data.Missing"}, r"data\.module: gives no data sets"),
    ],
)
def test_a_datamodule_that_cannot_be_read_is_told_why_in_one_line(settings: dict[str, str], words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        read_datamodule({"_target_": "own_data.OwnData", **settings}, print)
    assert "\n" not in str(caught.value)


def told_of(settings: dict[str, Any], size: int | None = None) -> tuple[ImageSet, list[str]]:
    said: list[str] = []
    return read_datamodule(settings, said.append, size), said


def test_samplers_that_take_a_part_of_a_data_set_are_kept_to() -> None:
    images, _ = told_of({"_target_": "own_data.WithSamplers"})
    everything, labels = own_data.pixels(30), np.arange(30) % 3
    assert own_data.holds(images.train, everything[:18], labels[:18])
    assert own_data.holds(images.test, everything[18:], labels[18:])


def test_palette_images_of_a_datamodule_get_their_colours_and_are_told() -> None:
    images, said = told_of({"_target_": "own_data.OwnData", "form": "palette"})
    colours = np.repeat(own_data.pixels(30)[..., np.newaxis], 3, axis=3)
    assert own_data.holds(images.train, colours, [0, 1, 2] * 10)
    assert said[0].startswith("data.module: 42 of 42 images (P) are converted to RGB: train item 0, ")


def test_what_of_a_datamodule_is_not_used_is_told() -> None:
    _, said = told_of({"_target_": "own_data.WithMore"})
    assert [line.partition(" not used")[0] for line in said] == [
        "data.module: its val_dataloader is",
        "data.module: the collate_fn of its loaders is",
        "data.module: its on_after_batch_transfer is",
    ]


def test_a_datamodule_without_a_test_set_is_evaluated_on_its_validation_set() -> None:
    images, said = told_of({"_target_": "own_data.WithVal"})
    assert len(images.test) == 12
    assert said == ["data.module: has no test_dataloader: that of val is evaluated on"]


def test_images_of_a_datamodule_are_resized_where_a_size_is_given() -> None:
    images, said = told_of({"_target_": "own_data.OwnData", "form": "ragged"}, size=16)
    assert images.shape == (1, 16, 16)
    assert said == ["data.module: 42 of 42 images (50x19 to 50x20) are resized to 16x16"]


# The names of arrays


def write_arrays(path: Path, *splits: str, images: str = "x_{}", labels: str = "y_{}") -> LoadedSet:
    numbers = np.arange(20)
    arrays = {
        name.format(split): array
        for at, split in enumerate(splits)
        for name, array in ((images, np.full((20, 4, 4), numbers[:, None, None] + 20 * at, np.uint8)), (labels, numbers % 2))
    }
    np.savez(path, **arrays)
    return load(Data("mine", ["npz"], str(path), batch_size=2), paths_in(path.parent), lambda line: None)


@pytest.mark.parametrize("held_out", ["test", "val", "valid", "validation"])
@pytest.mark.parametrize(("images", "labels"), [("x_{}", "y_{}"), ("X_{}", "Y_{}"), ("{}_images", "{}_labels")])
def test_arrays_have_any_of_their_usual_names(tmp_path: Path, held_out: str, images: str, labels: str) -> None:
    found = write_arrays(tmp_path / "mine.npz", "train", held_out, images=images, labels=labels)
    assert (len(found.images.train), len(found.images.test), list(found.notes)) == (20, 20, [])


def test_classes_without_a_test_image_are_told_each_time_that_the_set_is_read(tmp_path: Path) -> None:
    numbers = np.arange(20)
    pixels = np.full((20, 4, 4), numbers[:, None, None], np.uint8)
    np.savez(tmp_path / "mine.npz", x_train=pixels, y_train=numbers % 5, x_test=pixels + 20, y_test=numbers % 2)
    said: list[str] = []
    for _ in range(2):
        load(Data("mine", ["npz"], str(tmp_path / "mine.npz"), batch_size=2), paths_in(tmp_path), said.append)
    assert said == ["warning: no test image of class 2, 3, 4"] * 2


def test_arrays_that_are_not_used_are_told(tmp_path: Path) -> None:
    found = write_arrays(tmp_path / "mine.npz", "train", "val", "test", images="{}_images", labels="{}_labels")
    assert list(found.notes) == [f"{tmp_path / 'mine.npz'}: its arrays val_images, val_labels are not used"]


@pytest.mark.parametrize("split", ["train", ""])
def test_arrays_of_one_split_are_cut_and_that_is_told(tmp_path: Path, split: str) -> None:
    names = ("x_{}", "y_{}") if split else ("x{}", "y{}")
    found = write_arrays(tmp_path / "mine.npz", split, images=names[0], labels=names[1])
    assert (len(found.images.train), len(found.images.test)) == (16, 4)
    assert "has no test set: every fifth image of each class becomes one, 4 of 20" in found.notes[0]


def test_arrays_without_training_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has x_test but no training images: add x_train and y_train"):
        write_arrays(tmp_path / "mine.npz", "test")


def test_arrays_are_resized_and_another_size_is_another_set(tmp_path: Path) -> None:
    write_cifar100(tmp_path)
    data = Data("cifar100", ["npz"], size=8, batch_size=2)
    found, said = load(data, paths_in(tmp_path), lambda line: None), []
    assert found.images.shape == (3, 8, 8)
    assert found.checksum != load(Data("cifar100", ["npz"], batch_size=2), paths_in(tmp_path)).checksum
    load(data, paths_in(tmp_path), said.append)
    assert "cifar100 (train): 200 of 200 images (4x4) are resized to 8x8" in said


def test_a_datamodule_without_a_target_is_asked_for_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"say with data\.module\._target_="):
        load(Data("datamodule", ["datamodule"], batch_size=2), paths_in(tmp_path))


def test_a_datamodule_is_known_by_its_contents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = Data("mine", ["datamodule"], module={"_target_": "own_data.OwnData"}, batch_size=2)
    before = load(data, paths_in(tmp_path)).checksum
    assert load(data, paths_in(tmp_path)).checksum == before
    monkeypatch.setattr(own_data, "pixels", lambda count: np.zeros((count, *own_data.SHAPE), np.uint8))
    assert load(data, paths_in(tmp_path)).checksum != before


def test_a_run_takes_grey_images_of_another_shape_from_a_datamodule(
    make_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT / "tests")
    config = make_config("data=datamodule", "data.module._target_=own_data.OwnData", "data.batch_size=8", "iterations=4")
    result, _ = running.train(config, Console(silent=True))
    assert result.status == store.FINISHED
