"""How far bounds would move with other seeds, or, of one or two seeds, with other noise."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from clrbench import stats
from clrbench.range_test.curve import Readings, Values
from clrbench.range_test.estimate import Estimate
from clrbench.range_test.smooth import noise, rising

# In natural logarithms of rates.
Interval = tuple[float, float]
_CONFIDENCE = stats.CONFIDENCE
_RESAMPLES = 100
_LEAST_SEEDS = 3


def intervals(
    mean: Readings, found: Estimate, seeds: Sequence[Estimate], find: Callable[[Readings], Estimate | None]
) -> tuple[Interval, Interval]:
    """The 95% intervals of base and max, in natural logarithms of rates.

    mean: the mean curve, in which `found` was found; seeds: what was found in each seed by itself. From three seeds on:
    Student's t of the logarithms, as for all that the project says of seeds. Fewer: quantiles over curves made of the mean
    and its residuals drawn anew, with the seeds themselves, since t of two seeds spans orders of magnitude. An interval
    contains what was found, and half the way to the neighbouring readings, between which nothing was seen.
    """
    others = list(seeds)
    if len(seeds) < _LEAST_SEEDS:
        others += [one for one in map(find, _drawn_anew(mean, found.shape.best)) if one is not None]
    quantile = by_t if len(seeds) >= _LEAST_SEEDS else _by_quantiles
    base = _widened(mean.x, found.base, quantile([one.base for one in others] or [found.base]))
    most = _widened(mean.x, found.max, quantile([one.max for one in others] or [found.max]))
    return base, most


def by_t(values: Sequence[float]) -> Interval:
    """Student's t; from lowest to highest where there are too few values for it."""
    return stats.interval(values) or (min(values), max(values))


def _by_quantiles(values: Sequence[float]) -> Interval:
    low, high = np.quantile(values, [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2])
    return float(low), float(high)


def _drawn_anew(curve: Readings, best: int) -> list[Readings]:
    """Curves with other residuals around the nearest rise and fall, always alike; the loss, far smoother, is kept.

    Those of the rise and of what follows it are drawn apart: beyond its best a curve may be ragged.
    """
    draw = np.random.default_rng(0).choice
    rise, fall = curve.accuracies[: best + 1], curve.accuracies[best + 1 :]
    least = noise(curve.x[: best + 1], rise)
    drawn = [draw(_residuals(rise, rising(rise), least), (_RESAMPLES, len(rise))) + rising(rise)]
    if len(fall):
        falling = -rising(-fall)
        drawn.append(draw(_residuals(fall, falling, 0.0), (_RESAMPLES, len(fall))) + falling)
    return [replace(curve, accuracies=accuracies) for accuracies in np.hstack(drawn)]


def _residuals(y: Values, fitted: Values, least: float) -> Values:
    """What the fit leaves, stretched to the standard deviation `least`: so close a fit takes part of the noise for signal."""
    residuals = y - fitted
    return np.asarray(residuals * max(1.0, least / max(float(np.std(residuals)), 1e-9)))


def _widened(x: Values, at: float, interval: Interval) -> Interval:
    """The interval with half the way from `at` to the readings beside it; at an end, as far as the last two lie apart."""
    below, above = x[x < at], x[x > at]
    down = at - below[-1] if len(below) else x[1] - x[0]
    up = above[0] - at if len(above) else x[-1] - x[-2]
    return float(min(interval[0], at - down / 2)), float(max(interval[1], at + up / 2))
