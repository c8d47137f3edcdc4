"""The times at which steps end."""

import time
from collections.abc import Callable

from bench.sizes import BLOCKS


class Clock:
    """Notes the end of every step; behind the first it waits in `ready`, so that processes side by side go on together."""

    def __init__(self, ready: Callable[[], None]) -> None:
        self._ready, self._ends = ready, list[float]()

    def tick(self) -> None:
        """A step has ended."""
        if not self._ends:
            self._ready()
        self._ends.append(time.perf_counter())

    def ms_per_step(self) -> float:
        """Milliseconds a step from the end of the first block to that of the last but one."""
        block = len(self._ends) // BLOCKS
        first, last = block, (BLOCKS - 1) * block
        return 1000 * (self._ends[last - 1] - self._ends[first - 1]) / (last - first)
