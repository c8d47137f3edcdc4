"""Where a ramp ends that was laid by itself: behind its best reading, and not far behind."""

from collections.abc import Callable

from clrbench.range_test.anchor import place_of_best, rises
from clrbench.range_test.curve import Curve

# A ramp whose best reading is its last, or among its first, is laid anew around it, so often at most.
RAMPS = 3
_EARLY, _FURTHER = 3, 4.0


def laid(high: float, climb: Callable[[float], Curve]) -> float:
    """The end of the last ramp that was needed, from a first guess `high`.

    climb: makes the ramp from 0 to a rate, and returns what it shows.
    """
    for _ in range(RAMPS - 1):
        other = _other_end(high, climb(high))
        if other is None:
            return high
        high = other
    climb(high)
    return high


def _other_end(high: float, curve: Curve) -> float | None:
    """Where a better ramp ends; None where this one has its best reading well inside."""
    best = place_of_best(curve)
    if best is None or not rises(curve, best[1]):
        return high / _FURTHER**2  # training was broken from the first reading on
    rate, place, readings = best
    if place < _EARLY:
        return max(high / _FURTHER**2, _FURTHER * rate)
    if place >= readings - 1 and curve.diverged_at is None:
        return high * _FURTHER
    return None
