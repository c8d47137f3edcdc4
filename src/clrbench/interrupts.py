"""A Ctrl-C that Python drops comes again."""

import _thread
import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

_AGAIN_AFTER = 0.01  # seconds, in which the clean-up ends


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Within, a Ctrl-C that comes while Python cleans an object up is raised behind it; from the main thread only.

    Python reports whatever a destructor or the callback of a weak reference raises, and goes on as if nothing had been.
    """
    before = sys.unraisablehook

    def hook(dropped: Any) -> None:
        if issubclass(dropped.exc_type, KeyboardInterrupt):
            # A thread of the lowest level: those of `threading` take locks, which the code under the clean-up may hold.
            _thread.start_new_thread(_press_again, ())
        else:
            before(dropped)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


def _press_again() -> None:
    time.sleep(_AGAIN_AFTER)
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, signal.SIGINT)
