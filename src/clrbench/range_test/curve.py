"""What a range test measures: how well one seed does while its rate rises."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


# Twice to ten times the loss of a net that guesses: a ramp that gets there has shown what it can show.
LOSS_LIMIT = 20.0


@dataclass(frozen=True)
class Curve:
    """The readings of one seed (section 3.3).

    rates: learning rates, ascending, shape (points,); a rate of 0 is allowed, and tells nothing. accuracies: in percent, on
    images left out of training, shape (points,). losses: cross-entropy on the same images, shape (points,), infinite or NaN
    where it was. diverged_at: the rate at which training stopped because it diverged, None where it went on to the end.
    monitor: the metric that `accuracies` holds where it is another one; mode: whether more of it is better, or less (`min`).
    Raises ValueError for shapes that differ and for rates that do not ascend.
    """

    rates: Values
    accuracies: Values
    losses: Values
    diverged_at: float | None = None
    monitor: str | None = None
    mode: str = "max"

    def __post_init__(self) -> None:
        if not np.shape(self.rates) == np.shape(self.accuracies) == np.shape(self.losses) == (np.size(self.rates),):
            raise ValueError("rates, accuracies and losses of a curve must be of one length")
        if not (np.diff(self.rates) > 0).all():
            raise ValueError("the rates of a curve must ascend")


@dataclass(frozen=True)
class Readings:
    """A curve as the detectors see it: over the logarithm of the rate, without what cannot be read.

    x: natural logarithms of the rates, ascending, shape (n,). accuracies: finite, shape (n,). losses: shape (n,), NaN where
    there is none. diverged: whether training broke off after the last reading.
    """

    x: Values
    accuracies: Values
    losses: Values
    diverged: bool = False


def readings(curve: Curve) -> Readings:
    """The readings at rates above 0 and below the one at which training diverged."""
    rates, accuracies = np.asarray(curve.rates, float), np.asarray(curve.accuracies, float)
    losses = np.where(np.isfinite(curve.losses), np.asarray(curve.losses, float), np.nan)
    usable = (rates > 0) & np.isfinite(rates) & np.isfinite(accuracies)
    if curve.diverged_at is not None:
        usable &= rates < curve.diverged_at
    return Readings(np.log(rates[usable]), accuracies[usable], losses[usable], curve.diverged_at is not None)


def mean(seeds: Sequence[Readings]) -> Readings:
    """The mean over seeds, as far as all of them go: where the first one diverges, rates are too high.

    Seeds read at other rates than the one that ends first are interpolated. No readings where a seed has none.
    """
    x = min((seed.x for seed in seeds), key=lambda x: x[-1] if len(x) else -np.inf, default=np.empty(0))
    diverged = any(seed.diverged for seed in seeds)
    if not len(x):
        return Readings(x, x, x, diverged)
    accuracies = np.mean([np.interp(x, seed.x, seed.accuracies) for seed in seeds], axis=0)
    losses = np.mean([np.interp(x, seed.x, seed.losses) for seed in seeds], axis=0)
    return Readings(x, accuracies, losses, diverged)
