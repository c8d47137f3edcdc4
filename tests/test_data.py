"""Image sets: what each source gives, how a set is kept on disk, and the order in which a run sees its images."""

import dataclasses
import os
import stat
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from own_data import holds
from PIL import Image

from clrbench.config import Data, PathNames
from clrbench.data import sources
from clrbench.data.batches import Batch, BatchStream, ImageTensors, Order, epoch_order
from clrbench.data.images import Images, ImageSet, every_nth_of_each_class, training_indices
from clrbench.data.load import LoadedSet, load
from clrbench.data.telling import Say

undisturbed = settings(deadline=None, max_examples=50, derandomize=True)


def some_images(count: int, shape: tuple[int, ...] = (6, 5), classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    pixels = np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)
    return pixels, np.arange(count) % classes


def some_set(shape: tuple[int, ...] = (2, 2, 1)) -> ImageSet:
    return ImageSet(Images(*some_images(6, shape)), Images(*some_images(3, shape, seed=1)))


def write_npz(path: Path, shape: tuple[int, ...] = (6, 5), column: bool = False, seed: int = 0) -> dict[str, np.ndarray]:
    (x_train, y_train), (x_test, y_test) = some_images(9, shape, seed=seed), some_images(6, shape, seed=seed + 1)
    if column:
        y_train, y_test = y_train[:, None], y_test[:, None]
    arrays = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    np.savez(path, **arrays)
    return arrays


def paths_in(folder: Path) -> PathNames:
    return PathNames(str(folder / "data"), str(folder / "results"), str(folder / "outputs"))


def load_npz(path: Path, **changes: object) -> LoadedSet:
    data = Data("mine", ["npz"], str(path), batch_size=2)
    return load(dataclasses.replace(data, **changes), paths_in(path.parent), say=pytest.fail)


def write_folder(root: Path, images: Mapping[str, Image.Image]) -> Path:
    for name, image in images.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        image.save(root / name)
    return root


def image(mode: str, value: int = 100, size: tuple[int, int] = (5, 6)) -> Image.Image:
    return Image.new("L", size, value).convert(mode)


def two_classes(first: Image.Image | None = None) -> dict[str, Image.Image]:
    """Grey images, one of each of two classes in train and test; `first` takes the place of train/a/0.png."""
    places = ("train/a/0.png", "train/b/0.png", "test/a/0.png", "test/b/0.png")
    images = {place: image("L", 10 * at) for at, place in enumerate(places)}
    return images | ({"train/a/0.png": first} if first else {})


# The embedded digits


def test_digits_are_1797_grey_images_of_8x8_pixels_in_ten_classes():
    digits = sources.read_digits()
    assert digits.shape == (1, 8, 8)
    assert digits.classes == 10
    assert len(digits.train) + len(digits.test) == 1797
    assert len(digits.test) == 355


def test_digits_keep_the_17_grey_levels_of_scikit_learn():
    from sklearn.datasets import load_digits

    digits = sources.read_digits()
    pixels = np.concatenate([digits.train.pixels, digits.test.pixels])[..., 0]
    assert sorted(np.unique(pixels)) == [15 * level for level in range(17)]
    assert (pixels // 15).astype(int).sum() == load_digits().images.sum()


def test_every_digit_has_training_and_test_images():
    digits = sources.read_digits()
    assert set(digits.train.labels) == set(digits.test.labels) == set(range(10))


# Splits


def test_every_third_image_of_each_class_is_marked_in_its_order():
    labels = np.array([0, 1, 0, 0, 1, 1, 0, 0, 0])
    assert np.flatnonzero(every_nth_of_each_class(labels, 3)).tolist() == [3, 5, 8]


@undisturbed
@given(st.lists(st.integers(0, 4), max_size=80), st.integers(1, 10))
def test_each_class_gives_the_whole_part_of_its_nth(labels, n):
    labels = np.array(labels, int)
    marked = every_nth_of_each_class(labels, n)
    assert all(marked[labels == label].sum() == (labels == label).sum() // n for label in range(5))


def test_the_paper_split_trains_on_every_image():
    assert training_indices(np.arange(50) % 5, "paper").tolist() == list(range(50))


def test_the_holdout_split_keeps_a_tenth_of_each_class_from_training():
    labels = np.arange(100) % 5
    indices = training_indices(labels, "holdout")
    assert np.bincount(labels[indices]).tolist() == [18] * 5
    assert sorted(set(range(100)) - set(indices)) == [*range(45, 50), *range(95, 100)]


# Checksum


@undisturbed
@given(st.sampled_from(["train", "test"]), st.integers(0, 11), st.integers(1, 255))
def test_the_checksum_changes_with_any_pixel(split, at, change):
    images = some_set()
    before = images.checksum()
    getattr(images, split).pixels.reshape(-1)[at : at + 1] += np.uint8(change)
    assert images.checksum() != before


@undisturbed
@given(st.sampled_from(["train", "test"]), st.integers(0, 2), st.integers(1, 5))
def test_the_checksum_changes_with_any_label(split, at, change):
    images = some_set()
    before = images.checksum()
    getattr(images, split).labels[at] += change
    assert images.checksum() != before


def test_the_checksum_tells_images_of_another_shape_apart():
    assert some_set((2, 3, 1)).checksum() != some_set((3, 2, 1)).checksum()


def test_the_checksum_is_one_of_the_contents_and_not_of_the_memory_layout():
    images = some_set()
    other = Images(np.asfortranarray(images.train.pixels), images.train.labels.astype(np.uint8))
    assert ImageSet(other, images.test).checksum() == images.checksum()


# Order of the batches


def numbered(count: int) -> ImageTensors:
    return ImageTensors(torch.arange(count, dtype=torch.uint8).reshape(-1, 1, 1, 1), torch.arange(count))


@undisturbed
@given(st.integers(1, 200), st.integers(0, 2**40), st.integers(0, 10_000))
def test_the_order_of_an_epoch_is_a_permutation_and_a_function_of_seed_and_epoch(count, seed, epoch):
    order = epoch_order(count, seed, epoch)
    torch.manual_seed(epoch)
    torch.rand(3)
    assert torch.equal(order, epoch_order(count, seed, epoch))
    assert sorted(order.tolist()) == list(range(count))


def test_making_an_order_leaves_the_global_random_state_alone():
    before = torch.get_rng_state()
    epoch_order(50, 1, 1)
    assert torch.equal(torch.get_rng_state(), before)


def test_orders_differ_between_epochs_and_between_seeds():
    orders = {tuple(epoch_order(50, seed, epoch).tolist()) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25


@undisturbed
@given(st.data())
def test_a_stream_from_any_start_gives_the_batches_of_one_from_the_beginning(data):
    count = data.draw(st.integers(2, 40), "images")
    batch_size = data.draw(st.integers(1, count), "batch size")
    seed, start = data.draw(st.integers(0, 100), "seed"), data.draw(st.integers(0, 3 * count), "start")

    def batches(first: int) -> Iterator[Batch]:
        return iter(BatchStream(numbered(2 * count), Order(np.arange(count) * 2, batch_size, seed, first)))

    undisturbed_run, resumed_run = islice(batches(0), start, start + 4), islice(batches(start), 4)
    for expected, resumed in zip(undisturbed_run, resumed_run, strict=True):
        assert torch.equal(expected[0], resumed[0])
        assert torch.equal(expected[1], resumed[1])


@undisturbed
@given(st.data())
def test_an_epoch_visits_each_chosen_image_at_most_once_and_no_other(data):
    count = data.draw(st.integers(2, 60), "images")
    batch_size = data.draw(st.integers(1, count), "batch size")
    indices = np.arange(count) * 2 + 1
    order = Order(indices, batch_size, seed=3)
    stream = BatchStream(numbered(2 * count + 1), order)
    seen = torch.cat([labels for _, labels in islice(stream, order.iterations_per_epoch)]).tolist()
    assert len(seen) == len(set(seen)) == count // batch_size * batch_size
    assert set(seen) <= set(indices)


def test_each_batch_is_full_and_pairs_pixels_with_their_labels():
    for pixels, labels in islice(BatchStream(numbered(10), Order(np.arange(10), 4, seed=1)), 6):
        assert len(labels) == 4
        assert torch.equal(pixels.flatten(), labels)


def test_an_evaluation_sees_all_images_in_order_with_the_rest_in_a_last_smaller_batch():
    batches = [labels.tolist() for _, labels in numbered(10).batches(4)]
    assert batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


# .npz files in the Keras layout


@pytest.mark.parametrize("column", [False, True], ids=["labels (n,)", "labels (n, 1)"])
@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 1), (6, 5, 3)], ids=str)
def test_an_npz_file_gives_the_images_and_labels_it_holds(tmp_path, shape, column):
    arrays = write_npz(tmp_path / "mine.npz", shape, column)
    images = load_npz(tmp_path / "mine.npz").images
    assert images.shape == (shape[2] if len(shape) > 2 else 1, 6, 5)
    assert images.classes == 3
    for part, split in ((images.train, "train"), (images.test, "test")):
        assert holds(part, arrays[f"x_{split}"], arrays[f"y_{split}"].reshape(-1))


def test_labels_of_fewer_bytes_are_read_as_they_are(tmp_path):
    arrays = write_npz(tmp_path / "mine.npz")
    np.savez(tmp_path / "mine.npz", **(arrays | {"y_train": arrays["y_train"].astype(np.uint8)}))
    assert holds(load_npz(tmp_path / "mine.npz").images.train, arrays["x_train"], arrays["y_train"])


def test_an_npz_file_of_a_known_set_is_found_in_the_data_folder_by_its_name(tmp_path):
    (tmp_path / "data").mkdir()
    arrays = write_npz(tmp_path / "data" / "mnist.npz")
    loaded = load(Data("mnist", ["npz", "torchvision"], download=False, batch_size=2), paths_in(tmp_path))
    assert loaded.name == "mnist"
    assert holds(loaded.images.train, arrays["x_train"], arrays["y_train"])


def test_two_loads_agree(tmp_path):
    write_npz(tmp_path / "mine.npz")
    first, second = load_npz(tmp_path / "mine.npz"), load_npz(tmp_path / "mine.npz")
    assert first.checksum == second.checksum == first.images.checksum() == second.images.checksum()


def test_a_second_load_takes_the_cached_copy_and_leaves_the_source_alone(tmp_path, monkeypatch):
    write_npz(tmp_path / "mine.npz")
    first = load_npz(tmp_path / "mine.npz")
    monkeypatch.setattr(sources, "read_npz", lambda path, say: pytest.fail("the source was read again"))
    assert load_npz(tmp_path / "mine.npz").images.checksum() == first.checksum


def test_a_changed_file_is_read_anew(tmp_path):
    path = tmp_path / "mine.npz"
    write_npz(path)
    before, time = load_npz(path), path.stat().st_mtime_ns
    arrays = write_npz(path, seed=7)
    os.utime(path, ns=(time + 1, time + 1))
    after = load_npz(path)
    assert after.checksum != before.checksum
    assert holds(after.images.train, arrays["x_train"], arrays["y_train"])


def test_cached_arrays_are_mapped_into_memory(tmp_path):
    write_npz(tmp_path / "mine.npz")
    images = load_npz(tmp_path / "mine.npz").images
    for array in (images.train.pixels, images.train.labels, images.test.pixels, images.test.labels):
        assert isinstance(array, np.memmap)


def test_writing_to_loaded_images_does_not_reach_the_cached_copy(tmp_path):
    write_npz(tmp_path / "mine.npz")
    loaded = load_npz(tmp_path / "mine.npz")
    ImageTensors.of(loaded.images.train).pixels.zero_()
    assert load_npz(tmp_path / "mine.npz").images.checksum() == loaded.checksum


def test_a_copy_that_another_job_stored_meanwhile_serves(tmp_path, monkeypatch):
    path, read = tmp_path / "mine.npz", sources.read_npz
    write_npz(path)

    def read_while_another_job_stores(path: Path, say: Say) -> ImageSet:
        monkeypatch.setattr(sources, "read_npz", read)
        load_npz(path)
        return read(path, say)

    monkeypatch.setattr(sources, "read_npz", read_while_another_job_stores)
    assert sorted(load_npz(path).images.train.labels.tolist()) == sorted([0, 1, 2] * 3)
    assert len(list((tmp_path / "outputs" / "cache").iterdir())) == 1


def test_who_may_read_the_cached_copy_is_what_the_umask_says(tmp_path):
    write_npz(tmp_path / "mine.npz")
    before = os.umask(0o027)
    try:
        load_npz(tmp_path / "mine.npz")
    finally:
        os.umask(before)
    (folder,) = (tmp_path / "outputs" / "cache").iterdir()
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o640}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750


def test_a_cached_copy_that_cannot_be_read_is_told_and_the_source_is_read(tmp_path, monkeypatch):
    def refused(path: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    write_npz(tmp_path / "mine.npz")
    first = load_npz(tmp_path / "mine.npz")
    loaded, said = np.load, list[str]()
    monkeypatch.setattr(np, "load", lambda path, **more: (refused if Path(path).suffix == ".npy" else loaded)(path, **more))
    second = load(Data("mine", ["npz"], str(tmp_path / "mine.npz"), batch_size=2), paths_in(tmp_path), said.append)
    assert second.checksum == second.images.checksum() == first.checksum
    (note,) = said
    assert note.startswith(f"{next((tmp_path / 'outputs' / 'cache').iterdir())}: Permission denied: the images are read from")


# Image folders


def test_an_image_folder_gives_its_images_with_classes_in_alphabetical_order(tmp_path):
    write_folder(tmp_path / "images", two_classes())
    said: list[str] = []
    data = Data("imagefolder", ["imagefolder"], str(tmp_path / "images"), batch_size=1)
    images = load(data, paths_in(tmp_path), said.append).images
    assert images.shape == (1, 6, 5)
    for part, values in ((images.train, (0, 10)), (images.test, (20, 30))):
        assert holds(part, np.stack([np.full((6, 5), value, np.uint8) for value in values]), [0, 1])
    assert said == []


def test_an_image_folder_with_one_more_image_is_read_anew(tmp_path):
    folder = write_folder(tmp_path / "images", two_classes())
    data = Data("imagefolder", ["imagefolder"], str(folder), batch_size=1)
    assert len(load(data, paths_in(tmp_path)).images.train) == 2
    write_folder(folder, {"train/a/1.png": image("L")})
    assert len(load(data, paths_in(tmp_path)).images.train) == 3


@pytest.mark.parametrize("mode", ["1", "LA"])
def test_grey_images_of_other_kinds_stay_one_channel_and_are_said_in_one_line(tmp_path, mode):
    said: list[str] = []
    folder = write_folder(tmp_path / "images", two_classes(first=image(mode, 255)))
    images = sources.read_imagefolder(folder, said.append)
    assert images.shape == (1, 6, 5)
    assert holds(images.train, np.stack([np.full((6, 5), value, np.uint8) for value in (255, 10)]), [0, 1])
    assert said == [f"{folder}: 1 of 4 images ({mode}) are converted to L: train/a/0.png"]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_one_colour_image_makes_all_colour_and_what_is_converted_is_said_in_one_line(tmp_path, mode):
    said: list[str] = []
    folder = write_folder(tmp_path / "images", two_classes(first=image("RGB", 100).convert(mode)))
    images = sources.read_imagefolder(folder, said.append)
    count, kinds = {"RGB": (3, "L"), "RGBA": (4, "L, RGBA"), "P": (4, "L, P")}[mode]
    assert images.shape == (3, 6, 5)
    assert len(said) == 1
    assert said[0].startswith(f"{folder}: {count} of 4 images ({kinds}) are converted to RGB: train/")
    assert np.array_equal(images.train.pixels[images.train.labels == 1], np.full((1, 6, 5, 3), 10))


def test_palette_images_get_the_colours_of_their_palette(tmp_path):
    red = Image.new("P", (5, 6), 1)
    red.putpalette([0, 0, 0, 200, 10, 20])
    folder = write_folder(tmp_path / "images", two_classes(first=red))
    images = sources.read_imagefolder(folder, lambda line: None)
    assert np.array_equal(images.train.pixels[images.train.labels == 0][0, 0, 0], [200, 10, 20])


# torchvision's own files


def test_torchvisions_mnist_files_are_read_where_they_lie(tmp_path):
    raw = tmp_path / "data" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for stem, seed in (("train", 0), ("t10k", 1)):
        pixels, labels = some_images(9, (28, 28), seed=seed)
        header = [number.to_bytes(4, "big") for number in (0x803, *pixels.shape)]
        (raw / f"{stem}-images-idx3-ubyte").write_bytes(b"".join(header) + pixels.tobytes())
        header = [number.to_bytes(4, "big") for number in (0x801, len(labels))]
        (raw / f"{stem}-labels-idx1-ubyte").write_bytes(b"".join(header) + labels.astype(np.uint8).tobytes())
    images = load(Data("mnist", ["npz", "torchvision"], batch_size=2), paths_in(tmp_path), pytest.fail).images
    assert holds(images.train, *some_images(9, (28, 28)))
    assert holds(images.test, *some_images(9, (28, 28), seed=1))


def test_one_order_is_that_of_the_first_epoch_in_every_epoch():
    orders = {
        is_fixed: [chosen.tolist() for _, chosen in islice(Order(np.arange(10), 5, 1, is_fixed=is_fixed), 4)]
        for is_fixed in (False, True)
    }
    assert orders[True][:2] == orders[True][2:] == orders[False][:2]
    assert orders[False][:2] != orders[False][2:]
