"""The record of runs on disk: the truth that tables, reports and trackers are made from.

RESULTS/runs/EXPERIMENT/RUN/config.yaml    what was asked for
                           /evals.csv      one row an evaluation
                           /result.json    how it ended; absent while a run is under way or interrupted
RESULTS/runs/EXPERIMENT/invalid-DIGEST/... what a sweep could not run: failed, with the reason and without an identity
RESULTS/evidence/EXPERIMENT/RUN/...        finished records that ship with the project
"""

import csv
import io
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from clrbench.errors import ClrbenchError
from clrbench.files import write_text

# The C loader is ten times as fast, which counts where thousands of runs are read.
_YamlLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Names of working files, which others than the run itself look at.
CHECKPOINT, PROGRESS = "last.ckpt", "progress"
FINISHED, DIVERGED, FAILED = "finished", "diverged", "failed"


@dataclass(frozen=True)
class Evaluation:
    """One row of evals.csv. `lr` is the rate of the last update, `seconds` the training time so far without evaluations.

    train_loss is the mean over the batches since the row before, test_accuracy in percent of the whole test set.
    """

    iteration: int
    epoch: float
    lr: float
    train_loss: float
    test_loss: float
    test_accuracy: float
    seconds: float


@dataclass(frozen=True)
class Result:
    """result.json. test_accuracy (percent) and test_loss are those at the end of the budget, None unless it was reached.

    reason says why a run did not finish; runs with the same step_id compute the same in each step.
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
    test_accuracy: float | None
    test_loss: float | None
    seconds: float
    images_per_second: float
    versions: dict[str, str]
    commit: str
    host: str
    reason: str | None = None
    device: str = "cpu"
    step_id: str = ""


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
        """The contents of config.yaml. Raises ClrbenchError for a file that is no configuration."""
        path = self.folder / "config.yaml"
        try:
            loaded = yaml.load(path.read_text(encoding="utf-8"), _YamlLoader)
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise _damaged(path, error) from None
        if not isinstance(loaded, dict):
            raise _damaged(path, "no keys")
        return loaded

    def write_evaluations(self, rows: Sequence[Evaluation], *, flush: bool = True) -> None:
        """Write evals.csv, whole: a kill leaves the old rows or the new ones; flush: so does a failure of the power."""
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(field.name for field in fields(Evaluation))
        # Not astuple, which copies deeply: a run of many evaluations writes all of them again at each.
        table.writerows(vars(row).values() for row in rows)
        write_text(self.folder / "evals.csv", text.getvalue(), flush=flush)

    def write_result(self, result: Result) -> None:
        """Write result.json, which ends the record."""
        write_text(self.folder / "result.json", json.dumps(asdict(result), indent=2) + "\n")

    def result(self) -> Result | None:
        """How the run ended, None if it has not. Raises ClrbenchError for a file that is no result."""
        path = self.folder / "result.json"
        try:
            return Result(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise _damaged(path, error) from None

    def evaluations(self) -> list[Evaluation]:
        """The rows of evals.csv; none where it is absent. Raises ClrbenchError for a file that is no such table."""
        path = self.folder / "evals.csv"
        try:
            return [_evaluation(row) for row in csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))]
        except FileNotFoundError:
            return []
        except (ValueError, TypeError, KeyError) as error:
            raise _damaged(path, error) from None


def _damaged(path: Path, reason: object) -> ClrbenchError:
    detail = " ".join(str(reason).split())
    return ClrbenchError(f"{path}: is damaged ({detail}): remove it with its folder, and the run is made anew")


def _evaluation(row: dict[str, str]) -> Evaluation:
    return Evaluation(int(row["iteration"]), *(float(row[field.name]) for field in fields(Evaluation)[1:]))


def run_folder(results: Path, experiment: str, name: str) -> Path:
    """Where the record of a user's run lies."""
    return results / "runs" / experiment / name


def records(folder: Path) -> Iterator[Record]:
    """The records below RESULTS/runs/EXPERIMENT or RESULTS/evidence/EXPERIMENT, by name."""
    for path in sorted(folder.glob("[!.]*/config.yaml")):
        yield Record(path.parent)


def publish(root: Path, experiment: str) -> list[Path]:
    """Copy an experiment's finished records from runs/ to evidence/; returns the new folders.

    A record that is already there stays as it is. Raises ClrbenchError when the experiment has no finished record.
    """
    finished = [
        record
        for record in records(root / "runs" / experiment)
        if (result := record.result()) is not None and result.status != FAILED
    ]
    if not finished:
        raise ClrbenchError(f"{root / 'runs' / experiment}: no finished record: run `make sweep EXPERIMENT={experiment}` first")
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
