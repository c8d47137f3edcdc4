"""A whole command, as a user waits for it."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from clrbench.errors import ClrbenchError

_EVERY = 0.005


@contextmanager
def own_folder(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """A new folder in `folder`, and the choices that put all that a command writes there: it does nothing twice."""
    with tempfile.TemporaryDirectory(dir=folder) as own:
        yield Path(own), [f"paths.{name}={own}" for name in ("data", "results", "outputs")]


def seconds_of(script: Path, arguments: Sequence[str], expected: str) -> float:
    """The seconds that `script` takes with `arguments`, in a process of its own.

    Raises ClrbenchError unless it ends well and says `expected`.
    """
    started = time.perf_counter()
    done = subprocess.run([sys.executable, str(script), *arguments], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode or expected not in done.stdout:
        raise _wrong(done.stdout + done.stderr)
    return seconds


def seconds_until(train: Path, arguments: Sequence[str], seen: Callable[[], bool]) -> float:
    """The seconds from the start of the same until something of it is `seen`; then it is waited for.

    Raises ClrbenchError where it ends before, or not well.
    """
    started = time.perf_counter()
    command = [sys.executable, str(train), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        while not seen() and process.poll() is None:
            time.sleep(_EVERY)
        seconds = time.perf_counter() - started
        said, _ = process.communicate()
    if process.returncode or not seen():
        raise _wrong(said)
    return seconds


def _wrong(said: str) -> ClrbenchError:
    return ClrbenchError(f"the command to be timed went wrong: {' '.join(said.split())[-300:]}")
