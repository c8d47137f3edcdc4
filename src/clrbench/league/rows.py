"""The runs of the league, a line each: all that its scores need, so that they outlive the records."""

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from clrbench.errors import ClrbenchError
from clrbench.files import write_text
from clrbench.measure import Measure

# The experiment of its runs, and the folder of these lines below results and outputs.
LEAGUE = "league"
Course = Sequence[tuple[int, float]]


@dataclass(frozen=True)
class Row:
    """A run. part: of the task's budget, as 3 of a third; max_lr: its peak, and rung that peak in doublings of the first peak.

    value: of the metric on the test set for a final, else None; held_out: at the end on validation data. Both are None for a
    run that diverged. course: (iteration, value) on validation data at each evaluation; kept for a final alone.
    """

    task: str
    metric: str
    mode: str
    unit: str
    margin: float
    part: int
    iterations: int
    policy: str
    kind: str
    rung: int
    max_lr: float
    seed: int
    is_final: bool
    value: float | None
    held_out: float | None
    course: Course
    seconds: float
    run_id: str

    @property
    def measure(self) -> Measure:
        """What it is compared by."""
        return Measure(self.metric, self.mode, self.unit, self.margin)


_COLUMNS: dict[str, type[pl.DataType]] = {
    **dict.fromkeys(("task", "metric", "mode", "unit"), pl.String),
    "margin": pl.Float64,
    **dict.fromkeys(("part", "iterations"), pl.Int64),
    **dict.fromkeys(("policy", "kind"), pl.String),
    "rung": pl.Int64,
    "max_lr": pl.Float64,
    "seed": pl.Int64,
    "is_final": pl.Boolean,
    **dict.fromkeys(("value", "held_out"), pl.Float64),
    "course": pl.String,
    "seconds": pl.Float64,
    "run_id": pl.String,
}


def write_rows(folder: Path, rows: Iterable[Row]) -> list[Path]:
    """Write a file a task, TASK.csv; returns their paths.

    What a file has of other policies and budgets stays, as far as it is about the same task: metric, margin and budget.
    """
    by_task: dict[str, list[Row]] = {}
    for row in rows:
        by_task.setdefault(row.task, []).append(row)
    for task, new in by_task.items():
        members = _joined(_known(folder / f"{task}.csv"), new)
        frame = pl.DataFrame([asdict(row) | {"course": _as_text(row.course)} for row in members], schema=_COLUMNS)
        write_text(folder / f"{task}.csv", frame.write_csv())
    return [folder / f"{task}.csv" for task in by_task]


def _known(path: Path) -> list[Row]:
    """What a file has already; nothing where it is no table, for it is written anew."""
    with contextlib.suppress(ClrbenchError):
        return _read(path) if path.is_file() else []
    return []


def _joined(known: Sequence[Row], new: Sequence[Row]) -> list[Row]:
    """The new rows, behind those of other policies and budgets; alone, where the known ones are of another task."""
    entries = {(row.part, row.policy) for row in new}
    budgets = {row.part: row.iterations for row in new}
    if any(row.measure != new[0].measure or row.iterations != budgets.get(row.part, row.iterations) for row in known):
        return list(new)
    return [*(row for row in known if (row.part, row.policy) not in entries), *new]


def read_rows(folder: Path) -> list[Row]:
    """All rows of a folder, task by task. Raises ClrbenchError for a file that is no such table."""
    return [row for path in sorted(folder.glob("*.csv")) for row in _read(path)]


def _read(path: Path) -> list[Row]:
    try:
        frame = pl.read_csv(path, schema=_COLUMNS).with_columns(pl.col(pl.String).fill_null(""))
        return [Row(**line | {"course": _course(line["course"])}) for line in frame.iter_rows(named=True)]
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise ClrbenchError(f"{path} is no table of the league: {' '.join(str(error).split())}") from error


def _as_text(course: Course) -> str:
    return " ".join(f"{iteration}:{value:.5g}" for iteration, value in course)


def _course(text: str) -> Course:
    pairs = [pair.split(":") for pair in text.split()]
    return [(int(iteration), float(value)) for iteration, value in pairs]
