"""The record of runs on disk: the truth that tables, reports and trackers are made from.

RESULTS/runs/EXPERIMENT/RUN/config.yaml    what was asked for
                           /evals.csv      one row an evaluation
                           /result.json    how it ended; absent while a run is under way or interrupted
RESULTS/runs/EXPERIMENT/invalid-DIGEST/... what a sweep could not run: failed, with the reason and without an identity
RESULTS/evidence/EXPERIMENT/RUN/...        finished records that ship with the project
"""

import contextlib
import csv
import io
import json
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import yaml

from clrbench.checkout import here
from clrbench.errors import ClrbenchError
from clrbench.files import write_text
from clrbench.measure import with_unit
from clrbench.schema import SCHEMA, NewerSchemaError, current_config, current_result, schema_of

# The C loader is ten times as fast, which counts where thousands of runs are read.
_YamlLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Names of working files, which others than the run itself look at.
CHECKPOINT, PROGRESS, NOTES = "last.ckpt", "progress", "notes.txt"
FINISHED, DIVERGED, FAILED = "finished", "diverged", "failed"


@dataclass(frozen=True)
class Evaluation:
    """One row of evals.csv. `lr` is the rate of the last update, `seconds` the training time so far without evaluations.

    train_loss is the mean over the batches since the row before. metrics: what was measured, by name, a column each, such as
    test_loss, and test_accuracy in percent of the whole test set; what a row has not measured is empty there.
    """

    iteration: int
    epoch: float
    lr: float
    train_loss: float
    metrics: Mapping[str, float]
    seconds: float


def label_of(arm: str | None, policy: str) -> str:
    """What a run is called among others: the last part of its arm, or its policy."""
    return arm.rpartition("/")[2] if arm else policy


@dataclass(frozen=True)
class Result:
    """result.json. value is that of `metric` at the end of the budget, in `unit`, None unless the end was reached.

    arm: the line of a comparison, as table1/fixed, None for a run without one; policy: the name of its policy, as step.
    mode: `max` where a higher value is better, else `min`. reason says why a run did not finish; runs with the same step_id
    compute the same in each step.
    """

    run_id: str
    name: str
    experiment: str
    data: str
    model: str
    policy: str
    seed: int
    status: str
    iterations: int
    value: float | None
    seconds: float
    images_per_second: float
    versions: dict[str, str]
    commit: str
    host: str
    reason: str | None = None
    device: str = "cpu"
    step_id: str = ""
    arm: str | None = None
    metric: str = "test_accuracy"
    mode: str = "max"
    unit: str = "%"
    schema: int = SCHEMA

    @property
    def label(self) -> str:
        """What the run is called among others: the last part of its arm, or its policy."""
        return label_of(self.arm, self.policy)

    @property
    def shown_value(self) -> str:
        """The value with its unit."""
        return "none" if self.value is None else with_unit(self.value, self.unit)


@dataclass(frozen=True)
class Record:
    """The folder of one run."""

    folder: Path

    def write_config(self, text: str) -> None:
        """Write config.yaml, which begins the record, and remove what a killed process left half written."""
        for partial in self.folder.glob(".*"):
            partial.unlink(missing_ok=True)
        write_text(self.folder / "config.yaml", text)

    def config(self) -> dict[str, Any]:
        """config.yaml, as the newest schema has it. Raises ClrbenchError for a file that is no configuration."""
        path = self.folder / "config.yaml"
        with _blaming(path):
            loaded = yaml.load(path.read_text(encoding="utf-8"), _YamlLoader)
            if not isinstance(loaded, dict):
                raise ValueError("no keys")
            return current_config(loaded)

    def write_evaluations(self, rows: Sequence[Evaluation], *, flush: bool = True) -> None:
        """Write evals.csv, whole: a kill leaves the old rows or the new ones; flush: so does a failure of the power.

        Raises ClrbenchError for a metric that is called as a column of COLUMNS.
        """
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        metrics = list(dict.fromkeys(name for row in rows for name in row.metrics))
        if repeated := [name for name in metrics if name in COLUMNS]:
            raise ClrbenchError(f"{repeated[0]} is a column of evals.csv already: give the metric another name")
        table.writerow([*_BEFORE, *metrics, *_BEHIND])
        table.writerows(
            [row.iteration, row.epoch, row.lr, row.train_loss, *(row.metrics.get(name, "") for name in metrics), row.seconds]
            for row in rows
        )
        write_text(self.folder / "evals.csv", text.getvalue(), flush=flush)

    def write_result(self, result: Result) -> None:
        """Write result.json, which ends the record."""
        write_text(self.folder / "result.json", json.dumps(asdict(result), indent=2) + "\n")

    def result(self) -> Result | None:
        """How the run ended, None if it has not. Raises ClrbenchError for a file that is no result.

        Keys that this version does not know are left alone.
        """
        path = self.folder / "result.json"
        if not path.is_file():
            return None
        with _blaming(path):
            content = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(content, dict):
                raise ValueError("no keys")
            config = self.config() if schema_of(content) < SCHEMA and "experiment" in content else {}
            current = current_result(content, config)
            return _checked(Result(**{key: value for key, value in current.items() if key in _RESULT}))

    def evaluations(self) -> list[Evaluation]:
        """The rows of evals.csv; none where it is absent. Raises ClrbenchError for a file that is no such table."""
        path = self.folder / "evals.csv"
        if not path.is_file():
            return []
        with _blaming(path):
            return [_evaluation(row) for row in csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))]


# The columns of evals.csv before its metrics and behind them, and the keys of result.json.
_BEFORE, _BEHIND = ("iteration", "epoch", "lr", "train_loss"), ("seconds",)
COLUMNS = (*_BEFORE, *_BEHIND)
_RESULT = get_type_hints(Result)
_CHOICES = {"status": (FINISHED, DIVERGED, FAILED), "mode": ("max", "min")}


def _checked(result: Result) -> Result:
    """The result, where each value is of its type and in its range. Raises ValueError."""
    wrong = [name for name, kind in _RESULT.items() if not _is_of(getattr(result, name), kind)]
    wrong += [name for name, choices in _CHOICES.items() if getattr(result, name) not in choices]
    if wrong:
        raise ValueError(f"{wrong[0]} is {getattr(result, wrong[0])!r}")
    wrong = [name for name in ("iterations", "seconds", "images_per_second") if not 0 <= getattr(result, name) < math.inf]
    if wrong:
        raise ValueError(f"{wrong[0]} is {getattr(result, wrong[0])!r}")
    if result.status == FINISHED and (result.value is None or not math.isfinite(result.value)):
        raise ValueError(f"value is {result.value!r}, though the run has finished")
    return result


def _is_of(value: object, kind: Any) -> bool:
    """Whether a value read from JSON is of an annotated type; a float may have been written as 3."""
    kinds = (dict,) if get_origin(kind) is dict else get_args(kind) or (kind,)
    return isinstance(value, (*kinds, int) if float in kinds else kinds) and not isinstance(value, bool)


@contextlib.contextmanager
def _blaming(path: Path) -> Iterator[None]:
    """Turn what goes wrong while a file of a record is read into a ClrbenchError of one line that names the file."""
    try:
        yield
    except NewerSchemaError as error:
        raise ClrbenchError(f"{path}: {error}") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError, csv.Error) as error:
        detail = " ".join(f"{type(error).__name__}: {error}".split())
        raise ClrbenchError(
            f"{path}: is damaged ({detail}): bring the file back, or move its folder elsewhere and run its command again"
        ) from None


def _evaluation(row: Mapping[str, str]) -> Evaluation:
    metrics = {name: float(value) for name, value in row.items() if name not in COLUMNS and value}
    epoch, lr, train_loss, seconds = (float(row[name]) for name in (*_BEFORE[1:], *_BEHIND))
    return Evaluation(int(row["iteration"]), epoch, lr, train_loss, metrics, seconds)


def run_folder(results: Path, experiment: str, name: str) -> Path:
    """Where the record of a user's run lies."""
    return results / "runs" / experiment / name


def records(folder: Path) -> Iterator[Record]:
    """The records below RESULTS/runs/EXPERIMENT or RESULTS/evidence/EXPERIMENT, by name."""
    for path in sorted(folder.glob("[!.]*/config.yaml")):
        yield Record(path.parent)


def publish(root: Path, experiment: str) -> list[Path]:
    """Copy an experiment's finished records from runs/ to evidence/; returns the new folders.

    A record that is already there stays as it is. Raises ClrbenchError when the experiment has no finished record, and for
    what is no name of one.
    """
    if experiment in ("", "..") or Path(experiment).name != experiment:
        raise ClrbenchError(f"{experiment!r} is no experiment: name a folder in {root / 'runs'}, as table1")
    finished = [
        record
        for record in records(root / "runs" / experiment)
        if (result := record.result()) is not None and result.status != FAILED
    ]
    if not finished:
        raise ClrbenchError(
            f"{root / 'runs' / experiment}: no finished record: run `{here(f'make sweep EXPERIMENT={experiment}')}` first"
        )
    return [target for record in finished if (target := _publish(record, root / "evidence" / experiment))]


def _publish(record: Record, folder: Path) -> Path | None:
    target = folder / record.folder.name
    if target.exists():
        return None
    partial = folder / f".{record.folder.name}"
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(record.folder, partial, ignore=shutil.ignore_patterns(".*"))
    partial.rename(target)
    return target
