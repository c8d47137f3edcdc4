"""Three ways to see where a curve starts to rise and where it slows, each by itself, all in the logarithm of the rate.

Each takes the readings up to the best one, x (natural logarithms of the rates, ascending) and y, of shape (n,), and returns an
`Edges`, in the unit of x. They err differently: a broken line uses all readings but assumes corners, levels assume
nothing but trust the top, slopes do without floor and top but suffer most from noise.
"""

from dataclasses import dataclass

import numpy as np

from clrbench.range_test.curve import Values
from clrbench.range_test.smooth import despiked, rising, smoothed

# A rise has started at a tenth of its height, and is over at nine tenths; in between, a logistic curve is steeper than a
# third of its steepest.
START, END = 0.1, 0.9
SLOW = 1 / 3
# Corners that are tried, from a quarter of the lowest rate on; slopes after the second corner, as shares of that before it,
# of which the rise before it must be so many times as high as the one after it.
_KNOTS, _BEFORE = 32, np.log(4)
_GENTLE, _MAIN = np.array([0, SLOW / 2, SLOW]), 3


@dataclass(frozen=True)
class Edges:
    """Where a rise starts and where it slows; `slows` is None where it had not slowed at the best reading."""

    starts: float
    slows: float | None


def broken_line(x: Values, y: Values, floor: float) -> Edges:
    """The corners of the nearest line that lies on `floor`, rises, and then rises at most a third as steeply."""
    knots = np.linspace(x[0] - _BEFORE, x[-1], _KNOTS)
    first, second = np.triu_indices(_KNOTS, 1)
    start, corner = np.tile(knots[first], len(_GENTLE)), np.tile(knots[second], len(_GENTLE))
    gentle = np.repeat(_GENTLE, len(first))[:, None]
    line = np.clip(x - start[:, None], 0, (corner - start)[:, None]) + gentle * np.clip(x - corner[:, None], 0, None)
    # Readings count by the stretch of log rate that they stand for, lest the end of a linear ramp outweighs the rest.
    weight = np.gradient(x)
    explained = np.maximum(0, line @ (weight * (y - floor))) ** 2 / np.maximum(line**2 @ weight, 1e-12)
    main = np.tile(second - first, len(_GENTLE)) >= _MAIN * gentle[:, 0] * (_KNOTS - 1 - np.tile(second, len(_GENTLE)))
    # Of lines that are equally near the first is taken, whatever their last digits.
    best = int(np.argmax(np.where(main, np.round(explained / explained.max(), 9), -1)))
    return Edges(float(start[best]), float(corner[best]) if corner[best] < x[-1] else None)


def levels(x: Values, y: Values, floor: float, top: float) -> Edges:
    """Where the nearest curve that never falls passes a tenth and nine tenths of the way from `floor` to `top`."""
    height = (rising(despiked(y)) - floor) / (top - floor)
    return Edges(crossing(x, height, START), crossing(x, height, END))


def slopes(x: Values, y: Values) -> Edges:
    """Where, around its steepest place, the smoothed curve is a third as steep."""
    _, slope = smoothed(x, despiked(y))
    steepest = int(np.argmax(slope))
    relative = slope / slope[steepest]
    before = crossing(-x[steepest::-1], -relative[steepest::-1], -SLOW)
    after = -relative[steepest:]
    slows = crossing(x[steepest:], after, -SLOW) if (after >= -SLOW).any() else None
    return Edges(-before, slows)


def crossing(x: Values, y: Values, level: float) -> float:
    """Where y first reaches `level`, on lines between readings; the first x if it starts above, the last if it never does."""
    above = y >= level
    if not above.any():
        return float(x[-1])
    at = int(np.argmax(above))
    if at == 0:
        return float(x[0])
    share = (level - y[at - 1]) / (y[at] - y[at - 1])
    return float(x[at - 1] + share * (x[at] - x[at - 1]))
