"""A short exponential scan: at which rate training breaks, by its loss alone, and how far a ramp is to go then."""

import math
from collections.abc import Sequence

import numpy as np

from clrbench.range_test.curve import Values

LOW, HIGH, STEPS = 1e-7, 100.0, 180
# The weight of what was before in the smoothed loss; how many losses tell the noise; so many times which a loss must be off.
_KEPT, _FIRST, _TO_NOISE = 0.8, 15, 5.0
# Where nothing breaks, a ramp goes on from the lowest loss by this factor.
_BEYOND = 4.0
_LARGE_LOSS = 1000.0
_LARGE = "The loss starts at {:.2g}: under SGD, it trains at tiny rates alone; scale the targets, or the loss, to about 1."


def end_of_ramp(rates: Sequence[float], losses: Sequence[float]) -> tuple[float | None, list[str]]:
    """Up to which rate a ramp is to go, and what the scan shows; no rate where it shows that nothing can be found.

    rates, losses: of the scan, step by step; what follows the break is not read. A loss that was no number is infinite.
    """
    if not losses or not math.isfinite(losses[0]):
        return None, [f"The loss is no number at the rate {LOW:g}, before anything is learned: check the data and the loss."]
    told = [_LARGE.format(losses[0])] if abs(losses[0]) > _LARGE_LOSS else []
    ends = next((count for count in range(1, len(losses) + 1) if has_broken(losses[:count])), len(losses))
    rates, losses = rates[:ends], losses[:ends]
    high = breaks_at(rates, losses)
    if high is None:
        lowest = rates[int(np.argmin(losses))]
        return _BEYOND * lowest, [*told, f"The scan does not break up to {rates[-1]:.2g}; its loss is lowest at {lowest:.2g}."]
    return high, [*told, f"In a scan of {len(rates)} steps training breaks after {high:.2g}."]


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
