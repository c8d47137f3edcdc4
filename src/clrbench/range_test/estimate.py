"""One curve: the shape that it has, and where its detectors see the bounds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clrbench.range_test.curve import Readings, Values
from clrbench.range_test.detectors import broken_line, levels, slopes
from clrbench.range_test.smooth import despiked, noise, smoothed

# A rise or fall must stand out of the noise of one reading by so much, and a rise must be of so many points in percent.
RISE_TO_NOISE, FALL_TO_NOISE, LEAST_RISE = 5.0, 4.0, 2.0
# A fall begins above a quarter of the rise, is at least a tenth of it, and is seen in two of four readings; the last reading,
# which has none after it, must have lost half of the rise.
_RISEN, _FALL, _SEEN, _OF, _LAST = 0.25, 0.1, 2, 4, 0.5
# A plateau has as many readings over a factor of two in rate, and keeps to its median by so much of the curve's range.
_LEAST_PLATEAU, _PLATEAU_SPAN, _LEVEL = 3, np.log(2), 0.05


@dataclass(frozen=True)
class Shape:
    """What a curve does. Accuracies in percent.

    chance: of guessing; floor: where the rise starts from, a plateau at the low end or else chance; top: the best of the
    smoothed curve up to where it breaks, at the reading `best`; noise: the standard deviation of one reading; breaks_after:
    the last reading before it falls, gets ragged or diverges, None where it never does.
    """

    chance: float
    floor: float
    top: float
    noise: float
    best: int
    breaks_after: int | None

    @property
    def rises(self) -> bool:
        """Whether the rise stands out of the noise, and leads to more than guessing."""
        return self.top - self.floor >= max(LEAST_RISE, RISE_TO_NOISE * self.noise) and self.top >= self.chance + LEAST_RISE


@dataclass(frozen=True)
class Estimate:
    """Bounds of one curve, as natural logarithms of rates.

    best: where accuracy is best. slowed: whether the rise had slowed or broken before the curve ends; if not, max is but a
    lower limit. disagreement: the larger one of the two ranges of the detectors' answers. early: the share of the rise done
    at the lowest reading, if base lies there. steps: readings from base to max.
    """

    shape: Shape
    base: float
    max: float
    best: float
    slowed: bool
    disagreement: float
    early: float
    steps: int


def shape_of(curve: Readings, chance: float) -> Shape:
    """What the curve does; chance is the accuracy of guessing, in percent."""
    x, y = curve.x, curve.accuracies
    level, _ = smoothed(x, despiked(y))
    # Also without what follows the best reading: a net that has diverged guesses the same class again and again.
    upto = slice(int(np.argmax(level)) + 1)
    scatter = max(noise(x, y), noise(x[upto], y[upto]))
    floor = _floor(x, y, chance)
    # Smoothing reaches ahead to a steep rise, which is no height that was ever there to fall from.
    height = np.maximum.accumulate(np.minimum(level, despiked(y))) - floor
    highest = float(level.max()) - floor
    fallen = y - floor < height - max(FALL_TO_NOISE * scatter, _FALL * highest)
    last = _last_before_a_fall(fallen & (height >= _RISEN * highest))
    if last is None and y[-1] - floor < height[-1] - _LAST * highest:
        last = len(x) - 2
    if last is None and curve.diverged:
        last = len(x) - 1
    best = int(np.argmax(level if last is None else level[: last + 1]))
    return Shape(chance, floor, float(level[best]), scatter, best, last)


def estimate(curve: Readings, classes: int) -> Estimate | None:
    """The medians of what the detectors see; None for a curve that does not rise, or is best at one of its first two."""
    shape = shape_of(curve, 100 / classes)
    if not shape.rises or shape.best < 2:
        return None
    upto = slice(shape.best + 1)
    x, y = curve.x[upto], curve.accuracies[upto]
    seen = [broken_line(x, despiked(y), shape.floor), levels(x, y, shape.floor, shape.top), slopes(x, y)]
    slowed = shape.breaks_after is not None or sum(edges.slows is not None for edges in seen) >= 2
    starts = [max(edges.starts, x[0]) for edges in seen]
    ends = [curve.x[-1]]
    if slowed:
        ends = [x[-1] if edges.slows is None else edges.slows for edges in seen]
        ends += _where_the_loss_slows(x, curve.losses[upto], classes)
    base, most = float(np.median(starts)), float(np.median(ends))
    done = max(0.0, float(despiked(y)[0] - shape.chance) / (shape.top - shape.chance))
    return Estimate(
        shape,
        base,
        most,
        best=float(x[-1]),
        slowed=slowed,
        disagreement=float(max(np.ptp(starts), np.ptp(ends))),
        early=done if base <= x[0] else 0.0,
        steps=int(((x >= base) & (x <= most)).sum()),
    )


def _where_the_loss_slows(x: Values, losses: Values, classes: int) -> list[float]:
    """Where nine tenths of the fall of the loss are done; nothing where too few are finite, or it hardly falls.

    Not where its fall starts: at low rates answers get right long before they get sure.
    """
    known = np.isfinite(losses)
    if known.sum() < 3:
        return []
    x, gain = x[known], np.maximum(0, np.log(classes) - losses[known])
    top = float(smoothed(x, despiked(gain))[0].max())
    edges = [levels(x, gain, 0.0, top)] if top > RISE_TO_NOISE * noise(x, gain) else []
    return [edge.slows for edge in edges if edge.slows is not None]


def _floor(x: Values, y: Values, chance: float) -> float:
    """The level of the plateau at the low end; chance where there is none."""
    calm = despiked(y)
    tolerance = max(2.5 * noise(x, y), _LEVEL * float(np.ptp(calm)))
    length = 1
    while length < len(y) and abs(calm[length] - np.median(calm[:length])) <= tolerance:
        length += 1
    is_plateau = length >= _LEAST_PLATEAU and x[length - 1] - x[0] >= _PLATEAU_SPAN
    return float(np.median(calm[:length])) if is_plateau else chance


def _last_before_a_fall(fallen: NDArray[np.bool_]) -> int | None:
    """The last reading before the first two of four that are `fallen`, shape (n,): one alone is a spike."""
    for at, has_fallen in enumerate(fallen):
        if has_fallen and fallen[at : at + _OF].sum() >= _SEEN:
            return max(at - 1, 0)
    return None
