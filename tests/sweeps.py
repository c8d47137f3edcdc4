"""Whole sweeps by real commands, and what they leave behind."""

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from commands import carried_out
from conftest import ROOT

from clrbench.store import Record, records

HANGS_AFTER = 240
IN_THIS_PROCESS = "hydra.launcher.n_jobs=1"
NETS = "faulty_nets"


def command(folder: Path, *overrides: str) -> list[str]:
    paths = (f"paths.results={folder}/results", f"paths.outputs={folder}/outputs")
    return [sys.executable, "train.py", "-m", "tracking.wandb=disabled", *overrides, *paths]


@contextlib.contextmanager
def started(folder: Path, *overrides: str, name: str = "sweep", **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A sweep in a process group of its own, of which nothing is left behind the block, whatever becomes of the test.

    What it says goes to files, for a pipe would wait for orphans.
    """
    folder.mkdir(exist_ok=True)
    with (folder / f"{name}.out").open("w") as stdout, (folder / f"{name}.err").open("w") as stderr:
        process = subprocess.Popen(
            command(folder, *overrides),
            cwd=ROOT,
            stdout=stdout,
            stderr=stderr,
            text=True,
            start_new_session=True,
            env=os.environ | {"PYTHONPATH": str(ROOT / "tests")} | environment,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def run(folder: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "tests"), "STARTS": str(folder.parent / "starts")}
    return carried_out(command(folder, *overrides)[1:], ROOT, environment, HANGS_AFTER)


def wait_until(seen: Callable[[], Any], words: str, process: subprocess.Popen[Any] | None = None) -> None:
    """Return once something is `seen`; fails with `words` where that takes too long, or where `process` ends before."""
    end = time.monotonic() + HANGS_AFTER
    while not seen():
        assert process is None or process.poll() is None, f"{words}: the sweep has ended"
        assert time.monotonic() < end, words
        time.sleep(0.005)


def members(group: int) -> dict[int, str]:
    """The living processes of a group, with their command lines."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, _, number, *_ = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(number) == group and state != "Z":
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


def has_processes(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def workers(group: int) -> list[int]:
    """Those of them that are workers of a sweep."""
    return [process for process, line in members(group).items() if "--process-name LokyProcess" in line]


def claims(folder: Path) -> list[Path]:
    return sorted(folder.glob("outputs/runs/*/*/claim.lock"))


def rows(folder: Path) -> int:
    return sum(len(path.read_text().splitlines()) - 1 for path in folder.glob("results/runs/*/*/evals.csv"))


def contents(folder: Path) -> dict[str, Any]:
    """All that the records of a sweep hold, but for how long it took and from which commit."""
    found = {}
    for record in records(folder / "results" / "runs" / "adhoc"):
        assert sorted(path.name for path in record.folder.iterdir()) == ["config.yaml", "evals.csv", "result.json"]
        result = json.loads((record.folder / "result.json").read_text())
        evaluations = list(csv.DictReader((record.folder / "evals.csv").open()))
        for timed in (result, *evaluations):
            for key in ("seconds", "images_per_second", "commit"):
                timed.pop(key, None)
        found[record.folder.name] = (result, evaluations, record.config())
    return found


def table_of(output: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in output.splitlines() if line.startswith("│")]


def results_by_status(folder: Path) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for record in records(folder / "results" / "runs" / "adhoc"):
        result = record.result()
        found.setdefault(result.status if result else "none", []).append(record)
    return found
