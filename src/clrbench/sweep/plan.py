"""What a sweep would do: its cells, what state each is in, and the hours that are left at this machine's speed."""

import contextlib
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from clrbench.environment import host
from clrbench.errors import ClrbenchError
from clrbench.store import FINISHED, records
from clrbench.sweep.cells import Cell, State, state_of

Pace = Mapping[str, float]


def pace(results: Path) -> Pace:
    """Seconds an iteration by step_id: the median over the runs that finished on a machine of this kind."""
    here = host()
    seconds: dict[str, list[float]] = defaultdict(list)
    for record in (record for experiment in sorted((results / "runs").glob("*")) for record in records(experiment)):
        with contextlib.suppress(ClrbenchError):  # a damaged record measures nothing
            result = record.result()
            if result is not None and result.status == FINISHED and result.host == here:
                seconds[result.step_id].append(result.seconds / result.iterations)
    return {kind: statistics.median(values) for kind, values in seconds.items()}


def iterations_left(cell: Cell, state: State) -> int:
    """The iterations that running the cell now would take."""
    return 0 if state.is_ended or cell.error else cell.iterations - state.iteration


def hours_left(cell: Cell, state: State, speeds: Pace) -> float | None:
    """The hours that they take, None where no run of this kind has finished on this machine."""
    left = iterations_left(cell, state)
    if left == 0:
        return 0.0
    speed = speeds.get(cell.step_id)
    return None if speed is None else left * speed / 3600


def plan_table(cells: Sequence[Cell], speeds: Pace, workers: int) -> Table:
    """A row a cell: its state, the iterations left, and the hours of one worker that they take."""
    states = [state_of(cell) for cell in cells]
    hours = [hours_left(cell, state, speeds) for cell, state in zip(cells, states, strict=True)]
    table = Table(title=_title(states, hours, workers), title_justify="left")
    table.add_column("run")
    table.add_column("state")
    table.add_column("iterations left", justify="right")
    table.add_column("hours", justify="right")
    for cell, state, time in zip(cells, states, hours, strict=True):
        shown = "?" if time is None else f"{time:.2f}"
        status = f"{state.status}: {state.reason}" if state.reason else state.status
        table.add_row(escape(cell.label), escape(status), f"{iterations_left(cell, state):,}", shown)
    return table


def _title(states: Iterable[State], hours: Sequence[float | None], workers: int) -> str:
    counts = ", ".join(f"{count} {status}" for status, count in Counter(state.status for state in states).items())
    known = [time for time in hours if time is not None]
    left = f"{sum(known) / workers:.2f} h left with {workers} workers"
    unknown = len(hours) - len(known)
    return f"{len(hours)} runs: {counts}; {left}" + (
        f", besides {unknown} of a kind that no run on this machine has measured yet" if unknown else ""
    )
