"""Workers that end with the process that started them: nothing goes on computing behind a driver that was killed."""

import multiprocessing
import os
import signal
import threading
import time
from functools import cache

_EVERY = 0.5


@cache
def end_with_parent() -> None:
    """Kill this process soon after its parent died; does nothing where it is no worker of a multiprocessing pool.

    A pool calls it in each worker before the first task, which a killed driver may never send.

    The jobs of a cluster are no such workers: they outlive the command that submitted them.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_watch, args=(parent.pid,), name="end-with-parent", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_EVERY)
    # As hard as it gets: the pool would hand this process its next cell, and no record minds.
    os.kill(os.getpid(), signal.SIGKILL)
