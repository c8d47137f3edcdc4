"""No process of a sweep goes on behind a driver that was killed, however early."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sweeps import members, started, wait_until, workers

SWEEP = ("seed=1,2,3", "iterations=100000", "hydra.launcher.n_jobs=2")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the processes of a group are read from /proc")
@pytest.mark.parametrize(
    ("moment", "is_there"),
    [
        ("the first process of the pool starts", lambda group: len(members(group)) > 1),
        ("the first worker starts", workers),
        ("all workers start", lambda group: len(workers(group)) == 2),
    ],
    ids=["pool", "worker", "workers"],
)
def test_nothing_is_left_of_a_sweep_whose_driver_is_killed_when(
    tmp_path: Path, moment: str, is_there: Callable[[int], object]
) -> None:
    with started(tmp_path, *SWEEP) as process:
        wait_until(lambda: is_there(process.pid), f"never: {moment}", process)
        process.kill()
        process.wait()
        wait_until(lambda: not members(process.pid), "processes of the sweep go on")
