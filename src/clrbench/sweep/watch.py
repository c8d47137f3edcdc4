"""The live view of a sweep, read off the records: a line a running job, what is done and left, and the time left."""

import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from clrbench.store import FINISHED
from clrbench.sweep.cells import RUNNING, Cell, CellState, notes, state_of

_EVERY = 0.5  # seconds
_SHARE = 0.02  # of one core, at most: the workers need all of them, and thousands of runs take long to look at


class Watch:
    """Says each run that ends in a line and, on a terminal, shows those under way; looks at the records twice a second,
    less often where there are thousands.

    It needs nothing from the workers but what they write to their folders, so that it serves every launcher. tell: takes what
    the runs have to say, a line each; many say the same.
    """

    def __init__(self, cells: Sequence[Cell], console: Console, tell: Callable[[str], None]) -> None:
        self._cells = list(cells)
        self._console, self._tell = console, tell
        self._left = list(self._cells)
        self._tasks: dict[Cell, TaskID] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="watch", daemon=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
            speed_estimate_period=300,
        )
        iterations = sum(cell.iterations for cell in self._cells)
        self._total = self._progress.add_task("", total=iterations)

    def __enter__(self) -> "Watch":
        self._left = [cell for cell in self._cells if not state_of(cell).is_ended]
        if ended := len(self._cells) - len(self._left):
            self._console.print(f"{ended} of {len(self._cells)} runs have ended before")
        self._progress.start()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        self._look()
        self._progress.stop()

    def _work(self) -> None:
        pause = _EVERY
        while not self._stop.wait(pause):
            before = time.thread_time()
            self._look()
            pause = max(_EVERY, (time.thread_time() - before) / _SHARE)

    def _look(self) -> None:
        done = sum(cell.iterations for cell in self._cells) - sum(cell.iterations for cell in self._left)
        for cell in list(self._left):
            state = state_of(cell)
            if state.is_ended or state.status == RUNNING:
                for line in notes(cell.work):
                    self._tell(line)
            if state.is_ended:
                self._left.remove(cell)
                done += cell.iterations
                self._say_ending(cell, state)
            else:
                done += state.iteration
                self._show(cell, state)
        ended = len(self._cells) - len(self._left)
        self._progress.update(self._total, completed=done, description=f"[bold]{ended} of {len(self._cells)} runs done[/bold]")

    def _show(self, cell: Cell, state: CellState) -> None:
        if state.status == RUNNING:
            if cell not in self._tasks:
                self._tasks[cell] = self._progress.add_task(escape(cell.label), total=cell.iterations)
            self._progress.update(self._tasks[cell], completed=state.iteration)
        else:
            self._hide(cell)

    def _hide(self, cell: Cell) -> None:
        if cell in self._tasks:
            self._progress.remove_task(self._tasks.pop(cell))

    def _say_ending(self, cell: Cell, state: CellState) -> None:
        self._hide(cell)
        result = state.result
        assert result is not None
        outcome = result.shown_value if result.status == FINISHED else f"{result.status}: {result.reason}"
        ended = len(self._cells) - len(self._left)
        self._console.print(escape(f"{ended}/{len(self._cells)}  {cell.label}: {outcome}, {result.seconds:.1f} s of training"))
