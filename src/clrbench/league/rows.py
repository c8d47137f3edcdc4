"""The runs of the league, a line each: all that its scores need, so that they outlive the records."""

import re
from collections.abc import Callable, Iterable, Sequence
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


def write_rows(folder: Path, rows: Iterable[Row], say: Callable[[str], None] = print) -> list[Path]:
    """Write a file a task, TASK.csv; returns their paths. Raises ClrbenchError, and writes none, where it cannot read one.

    What a file has of other policies and budgets stays, as far as it is about the same task: metric, margin and budget. What
    is left out, it says.
    """
    by_task: dict[Path, list[Row]] = {}
    for row in rows:
        by_task.setdefault(folder / f"{row.task}.csv", []).append(row)
    known = {path: read_table(path) if path.is_file() else [] for path in by_task}
    for path, new in by_task.items():
        is_same = _is_of_one_task([*known[path], *new])
        if not is_same:
            say(f"{path}: its {len(known[path])} rows are of another task (metric, margin or budget): replaced by {len(new)}")
        kept = _others(known[path], new) if is_same else []
        members = [asdict(row) | {"course": _as_text(row.course)} for row in [*kept, *new]]
        write_text(path, pl.DataFrame(members, schema=_COLUMNS).write_csv())
    return list(by_task)


def _is_of_one_task(rows: Sequence[Row]) -> bool:
    """Whether they can be compared: where a run diverged before its test, the metric that it names does not count."""
    scales = {(row.mode, row.unit, row.margin) for row in rows}
    metrics = {row.metric for row in rows if row.value is not None}
    budgets = {(row.part, row.iterations) for row in rows}
    return len(scales) == 1 and len(metrics) <= 1 and len(budgets) == len({row.part for row in rows})


def _others(known: Sequence[Row], new: Sequence[Row]) -> list[Row]:
    """Those of other policies and budgets than the new ones."""
    entries = {(row.part, row.policy) for row in new}
    return [row for row in known if (row.part, row.policy) not in entries]


def read_rows(folder: Path) -> list[Row]:
    """All rows of a folder, task by task. Raises ClrbenchError for a file that is no such table."""
    return [row for path in sorted(folder.glob("*.csv")) for row in read_table(path)]


def read_table(path: Path) -> list[Row]:
    """The rows of a task. Raises ClrbenchError for a file that is no such table."""
    try:
        frame = pl.read_csv(path, schema=_COLUMNS).with_columns(pl.col(pl.String).fill_null(""))
        return [Row(**line | {"course": _course(line["course"])}) for line in frame.iter_rows(named=True)]
    except (OSError, pl.exceptions.PolarsError, ValueError) as error:
        detail = re.split(r"\n|\. ", str(error))[0]  # behind it, polars advises how to call it
        raise ClrbenchError(
            f"{path} is no table of the league that this version reads: update clrbench, or move the file elsewhere ({detail})"
        ) from error


def _as_text(course: Course) -> str:
    return " ".join(f"{iteration}:{float(value)!r}" for iteration, value in course)


def _course(text: str) -> Course:
    pairs = [pair.split(":") for pair in text.split()]
    return [(int(iteration), float(value)) for iteration, value in pairs]
