"""No process of a sweep goes on behind a driver that was killed, however early."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from conftest import ROOT

HANGS_AFTER = 60
SWEEP = ("-m", "seed=1,2,3", "iterations=100000", "tracking.wandb=disabled", "hydra.launcher.n_jobs=2")


@contextmanager
def driver(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A sweep of long runs in a process group of its own, of which nothing is left behind the block."""
    command = [sys.executable, "train.py", *SWEEP, f"paths.results={folder}/results", f"paths.outputs={folder}/outputs"]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=ROOT, stdout=quiet, stderr=quiet, start_new_session=True)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def members(group: int) -> list[str]:
    """The command lines of the living processes of a group."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, _, number, *_ = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(number) == group and state != "Z":
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


def wait_until(seen: Callable[[], bool], words: str) -> None:
    end = time.monotonic() + HANGS_AFTER
    while not seen():
        assert time.monotonic() < end, words
        time.sleep(0.005)


def workers(group: int) -> int:
    return sum("--process-name LokyProcess" in line for line in members(group))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the processes of a group are read from /proc")
@pytest.mark.parametrize(
    ("moment", "is_there"),
    [
        ("the first process of the pool starts", lambda group: len(members(group)) > 1),
        ("the first worker starts", lambda group: workers(group) >= 1),
        ("all workers start", lambda group: workers(group) == 2),
    ],
    ids=["pool", "worker", "workers"],
)
def test_nothing_is_left_of_a_sweep_whose_driver_is_killed_when(
    tmp_path: Path, moment: str, is_there: Callable[[int], bool]
) -> None:
    with driver(tmp_path) as process:
        wait_until(lambda: is_there(process.pid) or process.poll() is not None, f"never: {moment}")
        assert process.poll() is None
        process.kill()
        process.wait()
        wait_until(lambda: not members(process.pid), f"still there: {members(process.pid)}")
