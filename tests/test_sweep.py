"""What sweeps promise, with real commands: nothing twice, nothing lost, and an end as soon as one is asked for."""

import contextlib
import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from sweeps import (
    HANGS_AFTER,
    IN_THIS_PROCESS,
    NETS,
    claims,
    contents,
    has_processes,
    results_by_status,
    rows,
    run,
    started,
    table_of,
    wait_until,
    workers,
)

from clrbench.interrupts import INTERRUPTED

# Nothing twice


def test_two_sweeps_of_the_same_cells_at_once_run_each_cell_once_and_both_end_with_the_full_table(tmp_path: Path) -> None:
    cells = (f"model.net._target_={NETS}.Counted", "policy=fixed,exp", "seed=1,2,3", "iterations=200", IN_THIS_PROCESS)
    environment = {"STARTS": str(tmp_path / "starts"), "TOGETHER": "2"}
    with (
        started(tmp_path, *cells, name="one", **environment) as one,
        started(tmp_path, *cells, name="other", **environment) as other,
    ):
        assert [process.wait(timeout=HANGS_AFTER) for process in (one, other)] == [0, 0]
    starts = (tmp_path / "starts").read_text().split()
    assert len(starts) == 6
    assert set(starts) == {str(one.pid), str(other.pid)}
    assert [len(found) for found in results_by_status(tmp_path).values()] == [6]
    assert claims(tmp_path) == []
    for name in ("one", "other"):
        assert [row[0:3:2] for row in table_of((tmp_path / f"{name}.out").read_text())] == [["fixed", "3"], ["exp", "3"]]
        assert (tmp_path / f"{name}.err").read_text() == ""


# Nothing lost


KILLS = ["start"] * 11 + ["workers"] * 2 + ["driver"] * 2 + ["group"]
LONG = ("policy=fixed,triangular", "seed=1,2", "iterations=1200", "policy.base_lr=0.01", "trainer.evaluate_every=20")


def test_twenty_kills_at_random_moments_and_one_more_command_end_like_an_undisturbed_sweep(tmp_path: Path) -> None:
    randomly = random.Random(7)
    killed = 0
    for kind in randomly.sample(KILLS, len(KILLS)):
        with started(tmp_path / "disturbed", *LONG) as process:
            killed += _disturb(kind, process, tmp_path / "disturbed", randomly)
            process.wait()
    assert killed == 20
    done = run(tmp_path / "disturbed", *LONG)
    assert (done.returncode, done.stderr) == (0, "")
    assert claims(tmp_path / "disturbed") == []
    assert run(tmp_path / "undisturbed", *LONG, IN_THIS_PROCESS).returncode == 0
    undisturbed = contents(tmp_path / "undisturbed")
    assert len(undisturbed) == 4
    assert contents(tmp_path / "disturbed") == undisturbed


def _disturb(kind: str, process: subprocess.Popen[str], folder: Path, randomly: random.Random) -> int:
    """Kill `process` in the end, and say how many processes were killed on the way to it."""
    if kind == "start":
        time.sleep(randomly.uniform(0, 4))
        randomly.choice((os.kill, os.killpg))(process.pid, signal.SIGKILL)
        return 1
    workers = 2 if kind == "workers" else 0
    for _ in range(workers):
        wait_until(lambda: _kills_a_trainer(folder, process, randomly), "no worker trains", process)
    before = rows(folder)
    wait_until(lambda: rows(folder) > before, "no run goes on", process)
    time.sleep(randomly.uniform(0, 0.1))
    (os.kill if kind == "driver" else os.killpg)(process.pid, signal.SIGKILL)
    return workers + 1


def _kills_a_trainer(folder: Path, driver: subprocess.Popen[str], randomly: random.Random) -> bool:
    # There may be none at the moment, or the chosen one may end before the signal reaches it.
    with contextlib.suppress(IndexError, ProcessLookupError):
        os.kill(randomly.choice(_trainers(folder, driver)), signal.SIGKILL)
        return True
    return False


def _trainers(folder: Path, driver: subprocess.Popen[str]) -> list[int]:
    """The living workers that hold a claim; the driver too holds one for a moment, when it clears what a dead worker left."""
    found = [re.search(r"^pid=(\d+)$", text, re.MULTILINE) for text in map(_text, claims(folder))]
    holders = {int(match[1]) for match in found if match} - {driver.pid}
    return sorted(pid for pid in holders if Path(f"/proc/{pid}").exists())


def _text(path: Path) -> str:
    """The contents of a file that may go away at any moment."""
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def test_workers_end_with_a_driver_that_was_killed(tmp_path: Path) -> None:
    with started(tmp_path, "seed=1,2", "iterations=100000", "trainer.evaluate_every=20") as process:
        wait_until(lambda: rows(tmp_path), "no run goes on", process)
        process.kill()
        process.wait()
        wait_until(lambda: not has_processes(process.pid), "processes of the sweep go on")


# Interrupted


@pytest.mark.parametrize(("number", "moment"), [("SIGINT", "training"), ("SIGINT", "start"), ("SIGTERM", "training")])
def test_an_interrupted_sweep_ends_soon_with_one_line_and_leaves_no_claim_and_no_process(
    tmp_path: Path, number: str, moment: str
) -> None:
    with started(tmp_path, "policy=fixed", "seed=1,2,3", "iterations=100000", "trainer.evaluate_every=20") as process:
        is_there = {
            "start": lambda: any(_imports_torch(worker) for worker in workers(process.pid)),
            "training": lambda: len(claims(tmp_path)) == 2 and rows(tmp_path),
        }
        wait_until(is_there[moment], f"never: {moment}", process)
        # Ctrl-C reaches all processes of a terminal, a termination the one that it is sent to.
        (os.killpg if number == "SIGINT" else os.kill)(process.pid, getattr(signal, number))
        assert process.wait(timeout=30) == 1
        assert (tmp_path / "sweep.err").read_text().splitlines() == [f"error: {INTERRUPTED}"]
        assert (tmp_path / "sweep.out").read_text() == ""
        assert claims(tmp_path) == []
        wait_until(lambda: not has_processes(process.pid), "processes of the sweep go on")


def _imports_torch(process: int) -> bool:
    """Whether a process has begun to, which takes it seconds."""
    return "libtorch" in _text(Path(f"/proc/{process}/maps"))
