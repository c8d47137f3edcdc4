"""What a run is fed: its training batches, and the images that it is evaluated on, on the device that computes."""

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np

from clrbench.data.augment import CropFlip
from clrbench.data.batches import Batch, BatchStream, ImageTensors, Order
from clrbench.data.images import ImageFiles
from clrbench.data.streamed import FileBatches, file_stream
from clrbench.spec import RunSpec
from clrbench.training.devices import ComputePlace


class Batched(Protocol):
    """Images that come in batches."""

    def batches(self, size: int) -> Iterator[Batch]:
        """All of them in order, `size` at a time."""


def stream(spec: RunSpec, start: int) -> Iterable[Batch]:
    """This process' part of the training batches of a run, from iteration `start` on, without end."""
    place, data, train = ComputePlace.of(spec.config.trainer), spec.config.data, spec.data.images.train
    order = Order(
        spec.indices,
        data.batch_size,
        spec.config.seed,
        start,
        place.share,
        "cpu" if isinstance(train, ImageFiles) else place.device,  # worker processes decode, and take names from here
        is_fixed=data.order == "fixed",
    )
    if isinstance(train, ImageFiles):
        is_augmented = data.augment == "crop_flip"
        return file_stream(train, order, spec.config.seed, is_augmented, spec.config.trainer.workers, place.device)
    return BatchStream(ImageTensors.of(train, place.device), order)


def evaluation_batches(spec: RunSpec) -> Batched:
    """This process' part of the images that a run is evaluated on."""
    place, images = ComputePlace.of(spec.config.trainer), spec.evaluation_images
    if place.share.processes > 1:
        images = images.take(np.arange(place.share.rank, len(images), place.share.processes))
    if isinstance(images, ImageFiles):
        return FileBatches(images, spec.config.trainer.workers, place.device)
    return ImageTensors.of(images, place.device)


def augmentation(spec: RunSpec) -> CropFlip | None:
    """What is done to whole batches in training; images from files are cropped and flipped as they are decoded."""
    data = spec.config.data
    if data.augment == "none" or isinstance(spec.data.images.train, ImageFiles):
        return None
    return CropFlip(spec.config.seed, data.batch_size, ComputePlace.of(spec.config.trainer).share)
