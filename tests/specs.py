"""Runs, resolved for blank images of a known number."""

import functools

import conftest
import numpy as np
from conftest import ROOT
from omegaconf import DictConfig

from clrbench.config import checked
from clrbench.data.images import Images, ImageSet
from clrbench.data.load import LoadedSet
from clrbench.range_test.measuring import wants_measured_bounds, with_ramp_bounds
from clrbench.spec import RunSpec, resolve
from clrbench.sweep.screening import wants_screened_bounds

CONF = ROOT / "conf"


@functools.cache
def composed(*overrides: str) -> DictConfig:
    """The configuration; bounds that a range test would find are left open, those of a screening made up."""
    made = conftest.composed(*overrides)
    if wants_screened_bounds(made):
        made.bounds.base_lr, made.bounds.max_lr = 0.002, 0.03  # as in bounds=small_cnn
    return with_ramp_bounds(made) if wants_measured_bounds(made) else made


def images(count: int, side: int = 2) -> ImageSet:
    """Blank images with ten classes in turn."""
    labels = np.arange(count) % 10
    one = Images(np.zeros((count, side, side, 3), np.uint8), labels)
    return ImageSet(one, one.take(np.arange(10)))


CIFAR_SIZED = LoadedSet("cifar10", images(50_000), "0" * 64)
SMALL = LoadedSet("digits", images(400), "0" * 64)


def resolved(*overrides: str, data: LoadedSet = SMALL) -> RunSpec:
    return resolve(checked(composed(*overrides)), data)


def table1(arm: str) -> RunSpec:
    return resolved("experiment=table1", f"arm=table1/{arm}", data=CIFAR_SIZED)
