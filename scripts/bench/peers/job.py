"""What a contestant's process is told, and what it answers. Nothing here needs a framework: each imports its own alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bench.clock import Clock
from bench.sizes import BATCH_SIZE, BLOCKS

CIFAR10_FULL, LINEAR = "cifar10_full", "linear"
PRECISIONS = FLOAT32, BFLOAT16 = "float32", "bfloat16"
# The rates of the paper's CIFAR-10 runs, and Caffe's solver.
BASE_LR, MAX_LR, STEP_SIZE = 0.001, 0.006, 2000
MOMENTUM, WEIGHT_DECAY = 0.9, 0.004

Weights = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Job:
    """A training of `net` on the images of a file, five blocks of steps long; with `weights`, an evaluation behind it.

    images: an .npz file in the Keras layout. weights: an .npz file, an array for each parameter of the torch net.
    evaluation_batch: the images that are evaluated at once. conf: the suite's configurations. folder: for what a process
    leaves. threads: None leaves their number to the framework.
    """

    net: str
    precision: str
    images: str
    block: int
    evaluation_batch: int
    conf: str
    folder: str
    seed: int = 1
    threads: int | None = None
    weights: str | None = None

    @property
    def steps(self) -> int:
        """The length of the training in steps."""
        return BLOCKS * self.block


@dataclass(frozen=True)
class Evaluated:
    """The net's number of parameters, and its mean cross-entropy on the test images with the job's weights."""

    parameters: int
    loss: float
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """A training, timed: from the start of the process to the end of the first step, a step, and the process's memory."""

    start_s: float
    step_ms: float
    memory_mib: float
    evaluated: Evaluated | None


class Net(Protocol):
    """A net in the hands of one framework. A module of this package has `enter(job)`, which makes it."""

    parameters: int

    def train(self, clock: Clock) -> None:
        """Make the job's steps, and tell the clock the end of each."""

    def load(self, weights: Weights) -> None:
        """Take the weights of the torch net."""

    def evaluate(self) -> float:
        """The mean cross-entropy on the test images."""


@dataclass(frozen=True)
class Centred:
    """Images (n, height, width, channels) less the mean image, as floats in memory, and labels (n,)."""

    images: NDArray[np.float32]
    labels: NDArray[np.int64]

    @classmethod
    def read(cls, job: Job) -> tuple["Centred", "Centred"]:
        """Training and test images of a job's file."""
        with np.load(job.images) as file:
            train, test = (
                cls(file[f"x_{part}"].astype(np.float32), file[f"y_{part}"].astype(np.int64)) for part in ("train", "test")
            )
        mean = train.images.mean(axis=0, dtype=np.float64).astype(np.float32)
        for part in (train, test):
            np.subtract(part.images, mean, out=part.images)
        return train, test

    @property
    def batches(self) -> int:
        """Full batches an epoch."""
        return len(self.labels) // BATCH_SIZE


def triangular2(iteration: int) -> float:
    """The rate of the peers that bring no cyclical policy: cycles whose amplitude is halved after each."""
    cycle, place = divmod(iteration, 2 * STEP_SIZE)
    height = 1 - abs(place / STEP_SIZE - 1)
    return BASE_LR + (MAX_LR - BASE_LR) * height * 0.5**cycle
