"""The cells of a sweep: which run each set of overrides leads to, and what state it is in."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clrbench import store
from clrbench.errors import ClrbenchError
from clrbench.lock import is_held
from clrbench.store import Record, Result
from clrbench.sweep.job import Job

RUNNING, INTERRUPTED, MISSING, INVALID = "running", "interrupted", "missing", "invalid"
_NOWHERE = Record(Path())
_OF_TASK = re.compile(r"\+*task[.=]")
_SEED = re.compile(r"seed=(\d+)")
ENDED = (store.FINISHED, store.DIVERGED)


@dataclass(frozen=True)
class Cell:
    """One run of a sweep. `error` says why it cannot be run; then all else about it but `invalid` is empty.

    invalid: where it is recorded that, and why, it could not be run. task: the names of data and model.
    shared: overrides of the task that all cells of the sweep have. job: what a worker is handed. trunk: the working folder of
    a longer run that begins like this one, and goes first; begins: the iteration at which that leaves a checkpoint for this
    one to go on from.
    """

    overrides: tuple[str, ...]
    invalid: Record
    record: Record = _NOWHERE
    work: Path = Path()
    step_id: str = ""
    iterations: int = 0
    error: str | None = None
    task: tuple[str, str] = ("", "")
    trunk: Path | None = None
    begins: int = 0
    shared: frozenset[str] = frozenset()
    job: Job | None = field(default=None, compare=False)

    @property
    def label(self) -> str:
        """The overrides that tell this cell from others, as they were typed."""
        aside = ("experiment=", "paths.", "tracking.")
        return " ".join(text for text in self.overrides if not text.startswith(aside) and text not in self.shared)


def split_seed(overrides: Sequence[str]) -> tuple[tuple[str, ...], int | None]:
    """The overrides without the seed, and the seed; None where they set none."""
    seeds = [int(match[1]) for text in overrides if (match := _SEED.fullmatch(text))]
    return tuple(text for text in overrides if not _SEED.fullmatch(text)), seeds[-1] if seeds else None


def shared_task(all_overrides: Sequence[Sequence[str]]) -> frozenset[str]:
    """The overrides of the task that all of several cells have: they tell none from another."""
    first, *others = all_overrides
    shared = set(first).intersection(*others) if others else set()
    return frozenset(text for text in shared if _OF_TASK.match(text))


@dataclass(frozen=True)
class CellState:
    """How far a cell is: its status, the iteration that it has reached, and its result if it ended."""

    status: str
    iteration: int = 0
    result: Result | None = None
    reason: str | None = None

    @property
    def is_ended(self) -> bool:
        """True if running the cell again would change nothing."""
        return self.status in ENDED


def state_of(cell: Cell) -> CellState:
    """What the record and the working files say about a cell at this moment."""
    if cell.error is not None:
        return CellState(INVALID, reason=cell.error)
    try:
        result = cell.record.result()
    except ClrbenchError as error:
        return CellState(store.FAILED, reason=str(error))
    if result is not None and result.status in ENDED:
        return CellState(result.status, result.iterations, result)
    if is_held(cell.work):
        return CellState(RUNNING, progress(cell.work))
    return _state_at_rest(cell, result)


def _state_at_rest(cell: Cell, result: Result | None) -> CellState:
    reached = max(_last_iteration(cell.record), cell.begins) if (cell.work / store.CHECKPOINT).is_file() else 0
    if result is not None:
        return CellState(store.FAILED, reached, result, result.reason)
    return CellState(INTERRUPTED, reached) if reached else CellState(MISSING)


def _last_iteration(record: Record) -> int:
    try:
        rows = record.evaluations()
    except ClrbenchError:
        return 0
    return rows[-1].iteration if rows else 0


def notes(work: Path) -> list[str]:
    """What a run, under way or ended, has to say."""
    try:
        return (work / store.NOTES).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def progress(work: Path) -> int:
    """The iteration that a run under way has noted last."""
    try:
        return int((work / store.PROGRESS).read_text())
    except (OSError, ValueError):
        return 0
