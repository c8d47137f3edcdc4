"""Made-up cells of a sweep, and what runs of them leave."""

import dataclasses
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import yaml

from clrbench.config import Config
from clrbench.lock import lock_path, locked
from clrbench.store import CHECKPOINT, Evaluation, Record, Result, run_folder
from clrbench.sweep.cells import Cell
from clrbench.sweep.invalid import invalid_record
from clrbench.sweep.job import Job

RESULT = Result(
    run_id="r", name="a", experiment="e", data="digits", model="small_cnn", policy="fixed", seed=1, status="finished",
    iterations=100, value=90.0, seconds=2.0, images_per_second=50.0, versions={}, commit="", host="",
    step_id="e1",
)  # fmt: skip
ROW = Evaluation(iteration=40, epoch=1, lr=0.1, train_loss=1, metrics={"test_accuracy": 50}, seconds=1)
MakeCell = Callable[..., Cell]


def cell_in(folder: Path, name: str = "a", error: str | None = None) -> Cell:
    """A cell of 100 iterations whose records and working files lie in `folder`."""
    return Cell(
        (f"policy={name}", "seed=[1]"),
        invalid_record(folder / "results", "e", (name,)),
        Record(run_folder(folder / "results", "e", name)),
        run_folder(folder / "outputs", "e", name),
        "e1",
        100,
        error,
        job=Job(Config(), (), "r"),
    )


def end(cell: Cell, **changes: object) -> None:
    cell.record.write_config(yaml.safe_dump({"identity": {"iterations": 100, "name": cell.record.folder.name}}))
    cell.record.write_result(dataclasses.replace(RESULT, **changes))  # type: ignore[arg-type]


def interrupt(cell: Cell) -> None:
    """Leave what a run that was killed behind its first evaluation leaves."""
    cell.record.write_evaluations([ROW])
    cell.work.mkdir(parents=True)
    (cell.work / CHECKPOINT).write_bytes(b"")


def leave_claim_of_the_dead(cell: Cell) -> None:
    with locked(cell.work):
        text = lock_path(cell.work).read_text()
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    lock_path(cell.work).write_text(re.sub(r"^pid=\d+$", f"pid={process.pid}", text, flags=re.MULTILINE))
