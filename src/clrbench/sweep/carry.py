"""Carrying out the cells of a sweep that are left, whoever starts their processes: none twice, and to an end."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from clrbench.errors import ClrbenchError
from clrbench.lock import clear_lock
from clrbench.sweep.cells import RUNNING, Cell, CellState, state_of
from clrbench.sweep.faults import Fault, faults
from clrbench.sweep.invalid import remove_invalid, write_invalid

ATTEMPTS = 3
_EVERY = 0.5
# Carries out the runs that are written down in these files; returns of each why it failed, None where it did not.
Launch = Callable[[Sequence[Path]], Sequence[str | None]]


class Carrier:
    """Has `launch` carry out what is left of cells, and counts its attempts: a sweep always ends.

    reasons: why cells failed. say: takes a line about a process that was lost.
    """

    def __init__(self, launch: Launch, say: Callable[[str], None]) -> None:
        self.reasons: dict[Cell, str] = {}
        self._launch, self._say = launch, say
        self._attempts: Counter[Cell] = Counter()

    def carry_out(self, cells: Sequence[Cell]) -> None:
        """Return when each cell has ended or failed; what another sweep runs is waited for."""
        for cell in cells:
            clear_lock(cell.work)
        while left := [cell for cell in cells if self._is_left(cell)]:
            waited_for = {cell.work for cell in left}
            free = [cell for cell in left if state_of(cell).status != RUNNING and cell.trunk not in waited_for]
            if not (free and self._try(self._next(free))):
                # What is left is held by other sweeps: until a holder has ended or died.
                time.sleep(_EVERY)

    def _is_left(self, cell: Cell) -> bool:
        return cell not in self.reasons and not state_of(cell).is_ended

    def _next(self, free: Sequence[Cell]) -> Sequence[Cell]:
        """All of `free` at once, but a cell's last attempt alone: if it takes its process down, then no other with it."""
        return [cell for cell in free if self._attempts[cell] < ATTEMPTS - 1] or free[:1]

    def _try(self, cells: Sequence[Cell]) -> bool:
        """Run `cells`, and note of those that failed why; False if nothing came of it."""
        try:
            reasons = self._launch([_written(cell) for cell in cells])
        except ClrbenchError:
            raise  # the launcher's own: no attempt of any cell
        except Exception as error:
            self._note_loss(cells, f"{type(error).__name__}: {' '.join(str(error).split())}"[:200])
            return True
        for cell, reason in zip(cells, reasons, strict=True):
            if reason:
                self.reasons[cell] = reason
            elif self._is_left(cell) and state_of(cell).status != RUNNING:
                self._count(cell, f"its process came back {ATTEMPTS} times without a result")
        return any(not self._is_left(cell) for cell in cells)

    def _count(self, cell: Cell, reason: str) -> None:
        """Count an attempt; after the last one the cell has failed, for no sweep shall go on for ever."""
        self._attempts[cell] += 1
        if self._attempts[cell] == ATTEMPTS:
            self.reasons[cell] = reason

    def _note_loss(self, cells: Sequence[Cell], error: str) -> None:
        """Count an attempt of the cells that were under way when a process was killed, else of all: they cannot start."""
        self._say(f"a process of the sweep was lost; going on with what is left ({error})")
        lost = [cell for cell in cells if clear_lock(cell.work)]
        for cell in lost or cells:
            self._count(cell, f"its process was lost {ATTEMPTS} times, by a kill or for want of memory: {error}")


def conclude(cells: Sequence[Cell], reasons: dict[Cell, str], console: Console, conf: Path, results: Path) -> list[Fault]:
    """Print the table of what has ended, record what failed, and return why.

    reasons: of cells that failed in this sweep. conf: the folder of the claims; results: that of the records.
    """
    from clrbench.report.terminal import print_summary
    from clrbench.runs import OWN, run_of

    if ended := [cell for cell in cells if state_of(cell).is_ended]:
        title = f"{len(ended)} of {len(cells)} runs, mean ± 95% interval over seeds"
        print_summary(console, title, [run for cell in ended for run in run_of(cell.record, OWN)], conf, results)
    return failures(cells, reasons)


def failures(cells: Sequence[Cell], reasons: dict[Cell, str]) -> list[Fault]:
    """Record what failed, and return why; of what has ended, an earlier failure is forgotten."""
    states = {cell: state_of(cell) for cell in cells}
    for cell, state in states.items():
        if state.is_ended:
            remove_invalid(cell.invalid)
    failed = {
        cell: cell.error or reasons.get(cell) or state.reason or state.status
        for cell, state in states.items()
        if not state.is_ended
    }
    for cell, reason in failed.items():
        _record_failure(cell, states[cell], reason)
    return faults(failed)


def _written(cell: Cell) -> Path:
    """Where the job of a cell is written down for its worker."""
    assert cell.job is not None
    path = cell.work / "job.json"
    cell.job.write(path)
    return path


def _record_failure(cell: Cell, state: CellState, reason: str) -> None:
    """Leave a record of a cell that failed before it had one of its own."""
    if state.result is None and not state.iteration:
        with contextlib.suppress(OSError):  # a full or read-only disk may be the very reason
            write_invalid(cell.invalid, cell.overrides, reason)
    else:
        remove_invalid(cell.invalid)
