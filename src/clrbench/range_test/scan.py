"""A short exponential scan: at which rate training breaks, by its loss alone."""

from collections.abc import Sequence

import numpy as np

from clrbench.range_test.curve import Values

LOW, HIGH, STEPS = 1e-7, 100.0, 180
# The weight of what was before in the smoothed loss; how many losses tell the noise; so many times which a loss must be off.
_KEPT, _FIRST, _TO_NOISE = 0.8, 15, 5.0


def has_broken(losses: Sequence[float]) -> bool:
    """Whether the smoothed loss is no number, or as far above the first losses as it had been below, and out of the noise."""
    if not losses or not np.isfinite(losses[-1]):
        return bool(losses)
    if len(losses) <= _FIRST:
        return False
    smooth = _smooth(losses)
    start, noise = float(np.mean(losses[:_FIRST])), float(np.std(losses[:_FIRST]))
    return bool(smooth[-1] > start + max(start - smooth.min(), _TO_NOISE * noise))


def breaks_at(rates: Sequence[float], losses: Sequence[float]) -> float | None:
    """The highest rate at which the smoothed loss still had half of what it gained; None where the scan did not break."""
    if not has_broken(losses):
        return None
    smooth = _smooth([loss for loss in losses if np.isfinite(loss)])
    if len(smooth) <= _FIRST:
        return float(rates[0])
    start, best = float(np.mean(losses[:_FIRST])), int(smooth.argmin())
    good = smooth <= (start + smooth[best]) / 2
    last = best + int(np.argmin(good[best:])) - 1 if not good[best:].all() else len(smooth) - 1
    return float(rates[max(last, 0)])


def _smooth(losses: Sequence[float]) -> Values:
    """The exponential mean, without the weight that its start would have."""
    mean, smooth = 0.0, []
    for count, loss in enumerate(losses, 1):
        mean = _KEPT * mean + (1 - _KEPT) * loss
        smooth.append(mean / (1 - _KEPT**count))
    return np.array(smooth)
