"""Trackio, the dashboard on one's own machine: a mirror of the record on disk, made anew at each start and live from then on.

Trackio has one project an experiment, one run a run folder, one row an evaluation. Shipped records are its runs evidence/RUN.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from clrbench.analysis.runs import EVIDENCE, OWN, leaves
from clrbench.errors import ClrbenchError
from clrbench.store import Evaluation, Record, records
from clrbench.tracking import unofficial

# What is drawn, in this order; the epoch is there to be chosen as x axis. Trackio's own x axis, the step, is the iteration.
METRICS = ("test_accuracy", "lr", "train_loss", "test_loss", "epoch")
# The files of a record that change while its run is under way.
FILES = ("config.yaml", "evals.csv", "result.json")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Run:
    """The folder of a run, and what Trackio calls it."""

    folder: Path
    project: str
    name: str


@dataclass
class TrackioMirror:
    """Brings to Trackio what is new in the record below `results`; what cannot be read is said once and left out."""

    results: Path
    say: Say
    _stamps: dict[Run, object] = field(default_factory=dict)
    _rows: dict[Run, list[Evaluation]] = field(default_factory=dict)

    def refresh(self, watched: Callable[[list[Run]], Iterable[Run]] = iter) -> None:
        """Look at every record once; `watched` may show how far that is."""
        found = list(runs(self.results))
        for run in self._stamps.keys() - set(found):
            self._forget(run)
        for run in watched(found):
            # Taken before the files are read: what changes in between is seen the next time.
            stamp = _stamp(run.folder)
            if stamp != self._stamps.get(run):
                self._mirror(run)
                self._stamps[run] = stamp

    def _mirror(self, run: Run) -> None:
        try:
            rows, config, start = _read(run)
            known = self._rows.get(run, [])
            # As text, for a loss that is not a number equals nothing.
            if repr(rows[: len(known)]) != repr(known):
                self._forget(run)
                known = []
            # Trackio takes settings along with rows only, and a row whose id it has it leaves alone.
            self._log(run, rows[len(known) :] or rows[-1:], config, start)
            self._rows[run] = rows
        except ClrbenchError as error:
            self.say(f"left out: {_printable(str(error))}")
        except (TypeError, ValueError, OverflowError) as error:
            self.say(f"left out: {_printable(f'{run.folder}: Trackio does not take it ({error})')}")

    def _forget(self, run: Run) -> None:
        if run in self._rows:
            delete(run)
        self._rows.pop(run, None)
        self._stamps.pop(run, None)

    def _log(self, run: Run, rows: list[Evaluation], config: dict[str, Any], start: datetime) -> None:
        unofficial.log_rows(
            run.project,
            run.name,
            [_metrics(row) for row in rows],
            [row.iteration for row in rows],
            [start + timedelta(seconds=row.seconds) for row in rows],
            config,
        )


def _metrics(row: Evaluation) -> dict[str, float]:
    told = {**vars(row), **row.metrics}
    return {name: told[name] for name in METRICS}


def delete(run: Run) -> None:
    """Take a run out of Trackio."""
    from trackio import Api

    for one in Api().runs(run.project):
        if one.id == run.name:
            one.delete()


def newest(results: Path) -> str | None:
    """The project of the experiment to which a run was added last, of a user's own before those that ship."""
    found = [(run.folder.parts[-3] == OWN, _changed(run.folder), run.project) for run in runs(results)]
    return max(found)[2] if found else None


def _changed(folder: Path) -> int:
    """When a file of the record was changed last, in nanoseconds."""
    return max((stat[2] for name in FILES if (stat := _stat(folder / name))), default=0)


def runs(results: Path) -> Iterator[Run]:
    """A user's own runs and those that ship with the project, experiment by experiment."""
    for kind, prefix in ((OWN, ""), (EVIDENCE, "evidence/")):
        for experiment in sorted(results.glob(f"{kind}/[!.]*/")):
            for record in records(experiment):
                yield Run(record.folder, _project(experiment.name), prefix + _text(record.folder.name))


def _text(name: str) -> str:
    """The name of a folder, which may be any bytes, as text that can be stored and sent."""
    return os.fsencode(name).decode(errors="backslashreplace")


def _printable(line: str) -> str:
    """Without the signs by which the name of a folder could change what a terminal shows."""
    return "".join(sign if sign.isprintable() else "?" for sign in line)


def _project(experiment: str) -> str:
    """The name of an experiment's project. Trackio makes a file of it, and drops the signs that it does not like."""
    if re.fullmatch(r"[A-Za-z0-9_-]{1,80}", experiment):
        return experiment
    digest = hashlib.sha256(os.fsencode(experiment)).hexdigest()[:8]
    return f"{re.sub('[^A-Za-z0-9_-]', '-', experiment)[:60]}-{digest}"


def _stamp(folder: Path) -> object:
    """What changes when a file of the record does."""
    return [_stat(folder / name) for name in FILES]


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _read(run: Run) -> tuple[list[Evaluation], dict[str, Any], datetime]:
    """The evaluations of a run, by what it can be grouped, and when it began. Raises ClrbenchError for what is no record."""
    record = Record(run.folder)
    try:
        start = datetime.fromtimestamp((run.folder / "config.yaml").stat().st_mtime, UTC)
        return record.evaluations(), _config(record), start
    except OSError as error:
        raise ClrbenchError(str(error)) from None


def _config(record: Record) -> dict[str, Any]:
    """What the run is called, as Trackio's group; all that decides a run's numbers; where it comes from and how it ended."""
    settings, result = leaves(record.config()), record.result()
    names = {key: settings.get(f"{key}.name") for key in ("policy", "data", "model", "optimizer")}
    identity = {key.removeprefix("identity."): value for key, value in settings.items() if key.startswith("identity.")}
    told = {key: value for key, value in identity.items() if not key.endswith(("_target_", "sha256", "data.name"))}
    ending = {"source": record.folder.parts[-3], "status": result.status if result else "unfinished"}
    label = result.label if result else str(settings.get("arm") or names["policy"]).rpartition("/")[2]
    return {"_Group": label, **names, **told, **ending}
