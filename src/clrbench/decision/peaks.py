"""The peaks that a family is tried at: factors of two around the first one, and on while the best lies at the edge."""

import sys
from collections.abc import Mapping

START = (-1, 0, 1)


def next_rung(worths: Mapping[int, float], most: int) -> int | None:
    """The rung to try behind those that have a worth, {rung: worth}; None where the best lies within, or at `most` doublings.

    Of equal bests one within the grid counts; where all diverged, the lowest does.
    """
    low, high = min(worths), max(worths)
    top = max(worths.values())
    best = [rung for rung, worth in worths.items() if worth == top]
    if any(low < rung < high for rung in best) and top > float("-inf"):
        return None
    beyond = low - 1 if low in best else high + 1
    return beyond if abs(beyond) <= most else None


def is_at_the_edge(worths: Mapping[int, float]) -> bool:
    """Whether the best lies at the edge of what was tried."""
    return next_rung(worths, sys.maxsize) is not None
