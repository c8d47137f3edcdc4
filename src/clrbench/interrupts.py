"""A Ctrl-C that Python drops comes again, and one while modules are imported ends in one line as well."""

import _thread
import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any

INTERRUPTED = "interrupted; the same command goes on"
_AGAIN_AFTER = 0.01  # seconds, in which the clean-up ends


def tell_in_one_line() -> None:
    """From now on, a Ctrl-C that nobody takes ends the process with 1 and one line, in the place of a traceback."""
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.exit(f"error: {INTERRUPTED}")
        before(kind, error, trace)

    sys.excepthook = hook


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
