"""What a sweep would do: its cells, what state each is in, and the hours that are left at this machine's speed."""

import contextlib
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from clrbench.environment import host
from clrbench.errors import ClrbenchError
from clrbench.store import FINISHED, Result, records
from clrbench.sweep.cells import INVALID, MISSING, Cell, CellState, split_seed, state_of
from clrbench.sweep.faults import faults

Kind = TypeVar("Kind")

# The fewest seeds that can settle a comparison, by the exact test at the level 0.05.
ENOUGH_SEEDS = 5


@dataclass(frozen=True)
class Pace:
    """Seconds an iteration. here: by step_id, of runs that finished on a machine of this kind; shipped: of the records that
    come with the project, by the names of data and model, made elsewhere.
    """

    here: Mapping[str, float]
    shipped: Mapping[tuple[str, str], float]

    def of(self, cell: Cell) -> float | None:
        """What an iteration of the cell takes; None where no run tells."""
        return self.here.get(cell.step_id, self.shipped.get(cell.task))

    def is_estimate(self, cell: Cell) -> bool:
        """Whether only runs on other machines tell."""
        return cell.step_id not in self.here and cell.task in self.shipped


def pace(results: Path) -> Pace:
    """The medians over the finished runs below `results`."""
    machine = host()
    own, shipped = _finished(results / "runs"), _finished(results / "evidence")
    here = _medians((result.step_id, result) for result in own if result.host == machine)
    return Pace(here, _medians(((result.data, result.model), result) for result in shipped if result.device == "cpu"))


def _finished(folder: Path) -> Iterator[Result]:
    for record in (record for experiment in sorted(folder.glob("*")) for record in records(experiment)):
        with contextlib.suppress(ClrbenchError):  # a damaged record measures nothing
            result = record.result()
            if result is not None and result.status == FINISHED:
                yield result


def _medians(results: Iterable[tuple[Kind, Result]]) -> dict[Kind, float]:
    seconds: dict[Kind, list[float]] = defaultdict(list)
    for kind, result in results:
        seconds[kind].append(result.seconds / result.iterations)
    return {kind: statistics.median(values) for kind, values in seconds.items()}


def seeds_warning(cells: Sequence[Cell], speeds: Pace, workers: int) -> str | None:
    """One line where arms are compared over fewer seeds than can settle anything, with the hours that enough would take."""
    arms: dict[tuple[str, ...], list[Cell]] = defaultdict(list)
    for cell in cells:
        arms[split_seed(cell.overrides)[0]].append(cell)
    fewest = min(map(len, arms.values()), default=0)
    if len(arms) < 2 or fewest >= ENOUGH_SEEDS or any(cell.error for cell in cells) or _only_chooses(cells):
        return None
    times = [speeds.of(members[0]) for members in arms.values()]
    iterations = [ENOUGH_SEEDS * members[0].iterations for members in arms.values()]
    known = [time * count / 3600 / workers for time, count in zip(times, iterations, strict=True) if time is not None]
    takes = f"takes {_duration(sum(known))} in all here" if len(known) == len(times) else "tells more"
    return (
        f"warning: {fewest} seed{'s' * (fewest > 1)} an arm can settle nothing: "
        f"seed={','.join(map(str, range(1, ENOUGH_SEEDS + 1)))} {takes}"
    )


def _only_chooses(cells: Iterable[Cell]) -> bool:
    """Whether all are runs on held-out images, which choose what further seeds then compare."""
    return all(cell.job is not None and cell.job.config.data.evaluate == "validation" for cell in cells)


def time_left(cells: Sequence[Cell], speeds: Pace) -> str:
    """What runs that have not begun take, one after another: in iterations, and in time where runs of their kind tell."""
    iterations = sum(cell.iterations for cell in cells)
    times = [hours_left(cell, CellState(MISSING), speeds) for cell in cells]
    known = [time for time in times if time is not None]
    takes = f", {_duration(sum(known))}" if len(known) == len(times) else ""
    return f"{len(cells)} run{'s' * (len(cells) > 1)} of {iterations:,} iterations in all{takes}"


def _duration(hours: float) -> str:
    return f"about {hours:.2g} h" if hours >= 1 else f"about {math.ceil(60 * hours)} min"


def iterations_left(cell: Cell, state: CellState, going_first: Collection[Path] = ()) -> int:
    """The iterations that running the cell now would take. going_first: the working folders of the runs that are left."""
    reached = max(state.iteration, cell.begins) if cell.trunk in going_first else state.iteration
    return 0 if state.is_ended or cell.error else cell.iterations - reached


def hours_left(cell: Cell, state: CellState, speeds: Pace, going_first: Collection[Path] = ()) -> float | None:
    """The hours that they take, None where no run of this kind tells."""
    left = iterations_left(cell, state, going_first)
    if left == 0:
        return 0.0
    speed = speeds.of(cell)
    return None if speed is None else left * speed / 3600


def plan_table(cells: Sequence[Cell], speeds: Pace, workers: int) -> Group:
    """A row a cell that can be run: its state, the iterations and the hours of one worker left. Below it, why others cannot."""
    able = [cell for cell in cells if cell.error is None]
    states = {cell: state_of(cell) for cell in cells}
    going_first = {cell.work for cell in able if not states[cell].is_ended}
    hours = {cell: hours_left(cell, states[cell], speeds, going_first) for cell in able}
    guessed = {cell for cell in able if hours[cell] and speeds.is_estimate(cell)}
    counts = ", ".join(f"{count} {status}" for status, count in Counter(state.status for state in states.values()).items())
    title = f"{len(cells)} runs: {counts}; {_left(list(hours.values()), bool(guessed), workers)}"
    lines = [
        Text(f"{INVALID}: {fault.label}: {fault.reason}")
        for fault in faults({cell: cell.error for cell in cells if cell.error is not None})
    ]
    if not able:
        return Group(Text(title), *lines)
    table = Table(title=title, title_justify="left")
    table.add_column("run")
    table.add_column("state")
    table.add_column("iterations left", justify="right")
    table.add_column("hours", justify="right")
    for cell in able:
        state, time = states[cell], hours[cell]
        shown = "?" if time is None else f"{'~' * (cell in guessed)}{time:.2f}"
        status = f"{state.status}: {state.reason}" if state.reason else state.status
        table.add_row(escape(cell.label), escape(status), f"{iterations_left(cell, state, going_first):,}", shown)
    return Group(table, *lines)


def _left(hours: Sequence[float | None], is_guessed: bool, workers: int) -> str:
    """How long the cells take that can be run, in words."""
    known = [time for time in hours if time is not None]
    unknown = len(hours) - len(known)
    if not hours:
        return "none of them can be run"
    if not any(known):
        return f"the hours are unknown: no run on this machine has measured {unknown} of them" if unknown else "nothing is left"
    left = f"{sum(known) / workers:.2f} h left with {workers} workers"
    left += ", by the pace of the shipped runs on another machine (~)" if is_guessed else ""
    return left + (f", besides {unknown} of a kind that no run on this machine has measured yet" if unknown else "")
