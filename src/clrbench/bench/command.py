"""A whole command, from its start to its end, as a user waits for it."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from clrbench.errors import ClrbenchError


def seconds_of(script: Path, arguments: Sequence[str], expected: str) -> float:
    """The seconds that `script` takes with `arguments`, in a process of its own.

    Raises ClrbenchError unless it ends well and says `expected`.
    """
    started = time.perf_counter()
    done = subprocess.run([sys.executable, str(script), *arguments], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode or expected not in done.stdout:
        raise ClrbenchError(f"the command to be timed went wrong: {' '.join((done.stdout + done.stderr).split())[-300:]}")
    return seconds
