"""What is done by the clock, not by the step."""

import math
import time


class Every:
    """Takes a turn at once, and the next once so many seconds have gone by."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._since = seconds, -math.inf

    def take_turn(self) -> bool:
        """True where it is time, which starts the wait anew."""
        now = time.monotonic()
        if now - self._since < self._seconds:
            return False
        self._since = now
        return True
