"""Noise and the curve beneath it."""

import numpy as np

from clrbench.range_test.curve import Values

# Rates closer than this factor are one place: what differs between them is noise.
_REACH = np.log(1.5)
_LEAST_NEIGHBOURS = 3
_SHARE = 6
# From the median of absolute values to the standard deviation of a normal distribution.
_TO_SIGMA = 1.4826


def despiked(y: Values) -> Values:
    """Each value replaced by the median of itself and its two neighbours. Shape (n,) -> (n,).

    Of the ends, which have but one, the first is cut to its neighbour's height, since curves rise from it; the last stays.
    """
    if len(y) < 3:
        return y
    inner = np.median([y[:-2], y[1:-1], y[2:]], axis=0)
    return np.concatenate([[min(y[0], y[1])], inner, y[-1:]])


def noise(x: Values, y: Values) -> float:
    """The standard deviation of the noise of one reading, in the unit of y, from how far each lies off its neighbours' line.

    Spikes hardly count, as it is taken from a median. 0 for fewer than three readings.
    """
    if len(y) < 3:
        return 0.0
    share = (x[1:-1] - x[:-2]) / (x[2:] - x[:-2])
    off = y[1:-1] - (1 - share) * y[:-2] - share * y[2:]
    return float(_TO_SIGMA * np.median(np.abs(off) / np.sqrt(1 + share**2 + (1 - share) ** 2)))


def smoothed(x: Values, y: Values) -> tuple[Values, Values]:
    """Level and slope of a straight line fitted around each reading, near ones counting most: two arrays of shape (n,).

    The neighbourhood is as wide as a factor of 1.5 in rate, or as three readings, or as a sixth of them, whichever is widest.
    """
    apart = np.abs(x[:, None] - x[None, :])
    neighbours = min(len(x) - 1, max(_LEAST_NEIGHBOURS, len(x) // _SHARE))
    reach = np.maximum(_REACH, np.sort(apart, axis=1)[:, neighbours])
    weights = np.maximum(1e-9, (1 - np.minimum(1, apart / reach[:, None]) ** 3) ** 3)
    weights /= weights.sum(axis=1, keepdims=True)
    mean_x, mean_y = weights @ x, weights @ y
    shifted = x[None, :] - mean_x[:, None]
    slope = (weights * shifted) @ y / (weights * shifted**2).sum(axis=1)
    return mean_y + slope * (x - mean_x), slope


def rising(y: Values) -> Values:
    """The nearest values that never fall (isotonic regression). Shape (n,) -> (n,)."""
    # Imported here, for it takes longer than all the rest.
    from scipy.optimize import isotonic_regression

    fitted: Values = isotonic_regression(y).x
    return fitted
