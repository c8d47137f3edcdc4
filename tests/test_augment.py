"""Crops and flips: what they do to images, and that they are a function of seed and iteration alone."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from clrbench.config import Config
from clrbench.data.augment import PADDING, CropFlip, crop_and_flip
from clrbench.data.batches import Share
from clrbench.data.load import load
from clrbench.spec import resolve
from clrbench.training import run as running
from clrbench.training.console import Console
from clrbench.training.module import Classifier

undisturbed = settings(deadline=None, max_examples=30, derandomize=True)
IN_PLACE = torch.full((6,), PADDING)


def some_images(count: int = 6, height: int = 7, width: int = 5) -> torch.Tensor:
    return torch.arange(1, count * 3 * height * width + 1, dtype=torch.float32).reshape(count, 3, height, width)


def test_an_image_cut_where_it_lies_and_not_mirrored_is_itself() -> None:
    assert torch.equal(crop_and_flip(some_images(), IN_PLACE, IN_PLACE, torch.zeros(6)), some_images())


def test_a_mirrored_image_has_its_columns_in_reverse() -> None:
    flipped = crop_and_flip(some_images(), IN_PLACE, IN_PLACE, torch.tensor([1, 0, 0, 1, 1, 0]))
    assert torch.equal(flipped[0], some_images()[0].flip(-1))
    assert torch.equal(flipped[1], some_images()[1])


@undisturbed
@given(st.integers(0, 2 * PADDING), st.integers(0, 2 * PADDING), st.booleans())
def test_a_crop_is_a_window_of_the_image_surrounded_by_zeros(top: int, left: int, mirrored: bool) -> None:
    images = some_images(count=1)
    window = F.pad(images, (PADDING,) * 4)[:, :, top : top + 7, left : left + 5]
    expected = window.flip(-1) if mirrored else window
    cut = crop_and_flip(images, torch.tensor([top]), torch.tensor([left]), torch.tensor([int(mirrored)]))
    assert torch.equal(cut, expected)


def test_the_result_keeps_channels_last_in_memory() -> None:
    cut = crop_and_flip(some_images(), IN_PLACE, IN_PLACE, torch.zeros(6))
    assert cut.is_contiguous(memory_format=torch.channels_last)


@undisturbed
@given(st.integers(0, 2**31), st.integers(0, 10**6))
def test_a_batch_is_augmented_as_seed_and_iteration_say_whatever_was_drawn_before(seed: int, iteration: int) -> None:
    torch.manual_seed(iteration)
    torch.rand(3)
    first = CropFlip(seed, 6)(some_images(), iteration)
    before = torch.get_rng_state()
    assert torch.equal(CropFlip(seed, 6)(some_images(), iteration), first)
    assert torch.equal(torch.get_rng_state(), before)


def test_iterations_and_seeds_augment_differently() -> None:
    results = [CropFlip(seed, 6)(some_images(), iteration) for seed in (1, 2) for iteration in (0, 1)]
    assert len({tuple(result.flatten().tolist()) for result in results}) == 4


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_that_share_a_batch_augment_it_as_one_would(processes: int) -> None:
    shares = [Share(rank, processes) for rank in range(processes)]
    parts = [CropFlip(3, 6, share)(share.of(some_images()), 17) for share in shares]
    assert torch.equal(torch.cat(parts), CropFlip(3, 6)(some_images(), 17))


def test_every_offset_is_drawn_about_equally_often() -> None:
    dots = torch.zeros(9000, 1, 2, 2)
    dots[:, 0, 0, 0] = 1  # seen at each of four places for one offset of 81; a standard deviation is 0.0012
    share = CropFlip(1, 9000)(dots, 0).flatten(1).mean(0)
    assert torch.allclose(share, torch.full((4,), 1 / 81), atol=0.005)


def test_every_second_image_is_mirrored() -> None:
    slopes = torch.arange(12.0).expand(9000, 1, 12, 12)
    cut = CropFlip(1, 9000)(slopes, 0)
    rises = cut[:, 0, 5, 6] - cut[:, 0, 5, 5]
    assert set(rises.tolist()) == {-1.0, 1.0}
    assert abs(rises.mean()) < 0.04  # a standard deviation is 0.011


def test_augmentation_changes_what_is_trained_on_and_nothing_that_is_evaluated(
    make_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[bool, list[torch.Tensor]] = {True: [], False: []}
    original = Classifier.forward

    def forward(self: Any, pixels: torch.Tensor) -> torch.Tensor:
        seen[self.training].append(self.prepare(pixels))
        return original(self, pixels)

    config = make_config("data.augment=crop_flip", "iterations=3")
    spec = resolve(config, load(config.data, config.paths, print))
    module = running.build(spec)
    monkeypatch.setattr(Classifier, "forward", forward)
    running.train(config, Console(silent=True))
    assert seen[True] == []  # training prepares, augments and calls the net
    evaluated = torch.cat(seen[False])
    assert torch.equal(evaluated, module.prepare(torch.from_numpy(spec.data.images.test.pixels)))


@pytest.mark.slow
def test_an_augmented_run_that_dies_ends_like_an_undisturbed_one(
    make_config: Callable[..., Config], interrupted_at: Callable[..., Any]
) -> None:
    choices = ("data.augment=crop_flip", "iterations=120", "policy.step_size=20")
    _, undisturbed_record = running.train(make_config(*choices, folder="undisturbed"), Console(silent=True))
    config = make_config(*choices, folder="disturbed")
    with interrupted_at(50):
        running.train(config, Console(silent=True))
    _, record = running.train(config, Console(silent=True))
    for row, its_like in zip(record.evaluations(), undisturbed_record.evaluations(), strict=True):
        assert (row.train_loss, row.metrics) == (its_like.train_loss, its_like.metrics)


def test_augmentation_makes_another_run(make_config: Callable[..., Config]) -> None:
    ids = set()
    for choice in ("none", "crop_flip"):
        config = make_config(f"data.augment={choice}")
        ids.add(resolve(config, load(config.data, config.paths, print)).run_id)
    assert len(ids) == 2
