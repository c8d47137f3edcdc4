"""Image sets too big for memory: read from ImageNet's folders, decoded in every epoch."""

from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_up import write_images
from PIL import Image

from clrbench import store
from clrbench.config import Config
from clrbench.data import sources
from clrbench.data.batches import Order, Share
from clrbench.data.images import CROPPED, RESIZED
from clrbench.data.load import load
from clrbench.data.pictures import picture_in
from clrbench.data.streamed import CENTRE, FileBatches, crop_of, decoded, file_stream
from clrbench.errors import ConfigError, DataError
from clrbench.spec import RunSpec, resolve
from clrbench.training import feed
from clrbench.training import run as running
from clrbench.training.console import Console

CPU = torch.device("cpu")
# A net that any image size is small enough for.
SMALL = ("model=linear", "model.input=imagenet", "data.batch_size=4", "trainer.workers=0")


@pytest.fixture
def make_spec(make_config: Callable[..., Config], tmp_path: Path) -> Callable[..., RunSpec]:
    root = write_images(tmp_path / "images")

    def make(*overrides: str) -> RunSpec:
        config = make_config("data=imagenet", f"data.path={root}", *SMALL, *overrides)
        return resolve(config, load(config.data, config.paths, print))

    return make


def batches_of(spec: RunSpec, count: int, start: int = 0) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return list(islice(iter(feed.stream(spec, start)), count))


def assert_equal(one: Sequence[Any], other: Sequence[Any]) -> None:
    assert len(one) == len(other) > 0
    for (pixels, labels), (others, their_labels) in zip(one, other, strict=True):
        assert torch.equal(pixels, others)
        assert torch.equal(labels, their_labels)


@pytest.mark.parametrize("held_out", ["val", "test"])
def test_the_folders_of_imagenet_are_read_by_name_and_not_opened(tmp_path: Path, held_out: str) -> None:
    root = write_images(tmp_path, held_out=held_out)
    for path in root.rglob("*.jpg"):
        path.write_bytes(b"")
    images = sources.read_names(root, pytest.fail)
    assert (len(images.train), len(images.test), images.classes, images.shape) == (8, 8, 2, (3, 224, 224))
    assert images.train.labels.tolist() == [0] * 4 + [1] * 4


def test_an_image_is_resized_and_its_centre_cut_out(tmp_path: Path) -> None:
    pixels = np.zeros((RESIZED, RESIZED, 3), np.uint8)
    pixels[16:-16, 16:-16] = 200
    Image.fromarray(pixels).save(tmp_path / "square.png")
    centre = decoded(str(tmp_path / "square.png"), CENTRE)
    assert centre.shape == (CROPPED, CROPPED, 3)
    assert (centre == 200).all()
    corner = decoded(str(tmp_path / "square.png"), (0, 0, False))
    assert np.array_equal(decoded(str(tmp_path / "square.png"), (0, 0, True)), corner[:, ::-1])


def test_grey_images_become_colour(tmp_path: Path) -> None:
    Image.new("L", (40, 50), 70).save(tmp_path / "grey.png")
    assert (decoded(str(tmp_path / "grey.png"), CENTRE) == 70).all()


def test_a_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"broken\.jpg: is not a readable image"):
        decoded(str(tmp_path / "broken.jpg"), CENTRE)


def test_crops_are_a_function_of_seed_epoch_and_image() -> None:
    crops = {(seed, epoch, image): crop_of(seed, epoch, image) for seed in (1, 2) for epoch in (0, 1) for image in range(50)}
    assert crops[1, 0, 7] == crop_of(1, 0, 7)
    assert len(set(crops.values())) > 150
    tops, lefts, flips = zip(*crops.values(), strict=True)
    assert min(tops) >= 0
    assert max(tops) <= RESIZED - CROPPED
    assert max(lefts) <= RESIZED - CROPPED
    assert set(flips) == {False, True}


def test_a_stream_from_any_start_and_with_any_workers_gives_the_same_batches(make_spec: Callable[..., RunSpec]) -> None:
    undisturbed = batches_of(make_spec(), 5)
    assert_equal(batches_of(make_spec(), 2, start=3), undisturbed[3:])
    assert_equal(batches_of(make_spec("trainer.workers=2"), 5), undisturbed)


def test_an_epoch_shows_every_image_cut_anew(make_spec: Callable[..., RunSpec]) -> None:
    first, second, third, fourth = batches_of(make_spec(), 4)
    assert sorted(torch.cat([first[1], second[1]]).tolist()) == [0] * 4 + [1] * 4
    pixels = {tuple(image.flatten().tolist()) for batch in (first, second, third, fourth) for image in batch[0]}
    assert len(pixels) == 16


def test_without_augmentation_the_centres_are_shown(make_spec: Callable[..., RunSpec]) -> None:
    spec = make_spec("data.augment=none")
    assert isinstance(spec.data.images.train, sources.ImageFiles)
    centres = torch.cat([pixels for pixels, _ in FileBatches(spec.data.images.train, 0, CPU).batches(3)])
    (pixels, _), (more, _) = batches_of(spec, 2)
    assert sorted(image.sum().item() for image in torch.cat([pixels, more])) == sorted(image.sum().item() for image in centres)


def test_processes_that_share_a_streamed_batch_decode_its_parts(make_spec: Callable[..., RunSpec]) -> None:
    spec = make_spec()
    files = spec.data.images.train
    assert isinstance(files, sources.ImageFiles)
    parts = [
        next(iter(file_stream(files, Order(spec.indices, 4, 1, share=Share(rank, 2)), 1, True, 0, CPU))) for rank in (0, 1)
    ]
    ((pixels, labels),) = batches_of(spec, 1)
    assert torch.equal(torch.cat([part[0] for part in parts]), pixels)
    assert torch.equal(torch.cat([part[1] for part in parts]), labels)


def test_an_evaluation_sees_every_centre_in_order(make_spec: Callable[..., RunSpec]) -> None:
    batches = list(feed.evaluation_batches(make_spec()).batches(3))
    assert [len(labels) for _, labels in batches] == [3, 3, 2]
    assert torch.cat([labels for _, labels in batches]).tolist() == [0] * 4 + [1] * 4


def test_a_run_on_a_streamed_set_ends_with_its_record_and_repeats_itself(
    make_config: Callable[..., Config], tmp_path: Path, interrupted_at: Callable[..., Any]
) -> None:
    root = write_images(tmp_path / "images")
    choices = ("data=imagenet", f"data.path={root}", *SMALL, "iterations=6", "policy.step_size=2", "trainer.evaluate_every=2")
    result, undisturbed = running.train(make_config(*choices, folder="undisturbed"), Console(silent=True))
    assert (result.status, result.iterations) == (store.FINISHED, 6)
    config = make_config(*choices, folder="disturbed")
    with interrupted_at(3):
        running.train(config, Console(silent=True))
    _, record = running.train(config, Console(silent=True))
    losses = [(row.train_loss, row.metrics) for row in record.evaluations()]
    assert losses == [(row.train_loss, row.metrics) for row in undisturbed.evaluations()]


def test_an_input_that_averages_all_images_is_refused(make_spec: Callable[..., RunSpec]) -> None:
    with pytest.raises(ConfigError, match=r"model\.input=standardize averages all images.*model\.input=imagenet"):
        running.build(make_spec("model.input=standardize"))


def test_a_folder_that_is_not_there_is_told_with_what_belongs_there(make_config: Callable[..., Config]) -> None:
    config = make_config("data=imagenet", "data.path=/nowhere")
    with pytest.raises(
        DataError, match=r"/nowhere: no such folder: say with data\.path where train/CLASS/IMAGE and test/CLASS"
    ):
        load(config.data, config.paths, print)


def test_one_more_image_makes_another_set(make_spec: Callable[..., RunSpec], tmp_path: Path) -> None:
    before = make_spec().run_id
    Image.new("RGB", (9, 9)).save(tmp_path / "images" / "train" / "cat" / "more.png")
    assert make_spec().run_id != before


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_breaks_while_it_is_decoded_ends_in_the_line_that_it_has_in_memory(tmp_path: Path, workers: int) -> None:
    root = write_images(tmp_path / "images", per_class=1)
    files = sources.read_names(root, print).train
    assert isinstance(files, sources.ImageFiles)
    broken = root / files.names[0]
    broken.write_bytes(broken.read_bytes()[:-2000])
    with pytest.raises(DataError) as streamed:
        list(FileBatches(files, workers, CPU).batches(2))
    with pytest.raises(DataError) as in_memory:
        picture_in(broken)
    assert str(streamed.value) == str(in_memory.value)
    assert str(in_memory.value).startswith(f"{broken}: is not a readable image (")
