"""What is done by the clock, not by the step."""

import math
import time


class Every:
    """Is due at first, and again once so many seconds have gone by since it was."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._since = seconds, -math.inf

    def is_due(self) -> bool:
        """Whether it is, which starts the wait anew."""
        now = time.monotonic()
        if now - self._since < self._seconds:
            return False
        self._since = now
        return True
