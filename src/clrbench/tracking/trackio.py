"""Trackio, the dashboard on one's own machine: a mirror of the record on disk, made anew at each start and live from then on.

Trackio has two projects an experiment: EXPERIMENT with one run a run folder, one row an evaluation, and EXPERIMENT--arms with
one run an arm, the mean over its seeds. Shipped records are its runs evidence/RUN.
"""

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from clrbench import unofficial
from clrbench.errors import ClrbenchError
from clrbench.runs import EVIDENCE, OWN, leaves
from clrbench.store import Evaluation, Record, label_of, records
from clrbench.tracking.trackio_arms import SUFFIX, Point, ShownCurve, arm_of, mean

# What is drawn, in this order; the epoch is there to be chosen as x axis. Trackio's own x axis, the step, is the iteration.
METRICS = ("test_accuracy", "lr", "train_loss", "test_loss", "epoch")
_BESIDE = ("lr", "train_loss", "epoch")  # the metrics of a task of one's own
# The files of a record that change while its run is under way.
FILES = ("config.yaml", "evals.csv", "result.json")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Line:
    """What Trackio calls a run of its own: a run here, or an arm."""

    project: str
    name: str


@dataclass(frozen=True)
class ShownRun:
    """The folder of a run, and its line."""

    folder: Path
    line: Line


@dataclass
class TrackioMirror:
    """Brings to Trackio what is new in the record below `results`; what cannot be read is said once and left out."""

    results: Path
    say: Say
    _stamps: dict[ShownRun, object] = field(default_factory=dict)
    _curves: dict[ShownRun, ShownCurve] = field(default_factory=dict)
    _shown: dict[Line, Sequence[Point]] = field(default_factory=dict)

    def refresh(self, watched: Callable[[list[ShownRun]], Iterable[ShownRun]] = iter) -> None:
        """Look at every record once; `watched` may show how far that is."""
        found = list(runs(self.results))
        changed = {self._forget(run) for run in self._stamps.keys() - set(found)}
        for run in watched(found):
            # Taken before the files are read: what changes in between is seen the next time.
            stamp = _stamp(run.folder)
            if stamp != self._stamps.get(run):
                changed |= {self._arm(run), self._mirror(run)}
                self._stamps[run] = stamp
        self._show_arms(changed - {None})

    def _arm(self, run: ShownRun) -> Line | None:
        """The line of the arm to which a run belongs, None where the run is not shown."""
        curve = self._curves.get(run)
        return Line(f"{run.line.project}{SUFFIX}", curve.arm) if curve else None

    def _mirror(self, run: ShownRun) -> Line | None:
        """Show the run as it is now; returns the line of its arm."""
        try:
            curve = _read(run)
            self._show(run.line, curve)
            self._curves[run] = curve
        except ClrbenchError as error:
            self.say(f"left out: {_printable(str(error))}")
        except (TypeError, ValueError, OverflowError) as error:
            self.say(f"left out: {_printable(f'{run.folder}: Trackio does not take it ({error})')}")
        return self._arm(run)

    def _show_arms(self, lines: Collection[Line | None]) -> None:
        members: dict[Line | None, list[ShownCurve]] = defaultdict(list)
        for run, curve in self._curves.items():
            members[self._arm(run)].append(curve)
        for line in filter(None, lines):
            if members[line]:
                self._show(line, mean(members[line]))
            else:
                self._remove(line)

    def _show(self, line: Line, curve: ShownCurve) -> None:
        known = self._shown.get(line, [])
        # As text, for a loss that is not a number equals nothing.
        if repr(curve.points[: len(known)]) != repr(known):
            self._remove(line)
            known = []
        # Trackio takes settings along with rows only, and a row whose id it has it leaves alone.
        new = curve.points[len(known) :] or curve.points[-1:]
        unofficial.log_rows(
            line.project,
            line.name,
            [point.values for point in new],
            [point.iteration for point in new],
            [point.time for point in new],
            curve.config,
        )
        self._shown[line] = curve.points

    def _forget(self, run: ShownRun) -> Line | None:
        """Show the run no more; returns the line of its arm."""
        line = self._arm(run)
        self._remove(run.line)
        self._curves.pop(run, None)
        self._stamps.pop(run, None)
        return line

    def _remove(self, line: Line) -> None:
        if self._shown.pop(line, None):
            from trackio import Api

            for one in Api().runs(line.project):
                if one.id == line.name:
                    one.delete()


def newest(results: Path) -> str | None:
    """The project with the arms of the experiment to which a run was added last, of a user's own before those that ship."""
    found = [(run.folder.parts[-3] == OWN, _changed(run.folder), run.line.project) for run in runs(results)]
    return f"{max(found)[2]}{SUFFIX}" if found else None


def _changed(folder: Path) -> int:
    """When a file of the record was changed last, in nanoseconds."""
    return max((stat[2] for name in FILES if (stat := _stat(folder / name))), default=0)


def runs(results: Path) -> Iterator[ShownRun]:
    """A user's own runs and those that ship with the project, experiment by experiment."""
    for kind, prefix in ((OWN, ""), (EVIDENCE, "evidence/")):
        for experiment in sorted(results.glob(f"{kind}/[!.]*/")):
            for record in records(experiment):
                yield ShownRun(record.folder, Line(_project(experiment.name), prefix + _text(record.folder.name)))


def _text(name: str) -> str:
    """The name of a folder, which may be any bytes, as text that can be stored and sent."""
    return os.fsencode(name).decode(errors="backslashreplace")


def _printable(line: str) -> str:
    """Without the signs by which the name of a folder could change what a terminal shows."""
    return "".join(sign if sign.isprintable() else "?" for sign in line)


def _project(experiment: str) -> str:
    """The name of an experiment's project. Trackio makes a file of it, and drops the signs that it does not like."""
    if re.fullmatch(r"[A-Za-z0-9_-]{1,80}", experiment) and not experiment.endswith(SUFFIX):
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


def _read(run: ShownRun) -> ShownCurve:
    """The evaluations of a run, and by what it can be grouped. Raises ClrbenchError for what is no record."""
    record = Record(run.folder)
    try:
        start = datetime.fromtimestamp((run.folder / "config.yaml").stat().st_mtime, UTC)
        points = [_point(row, start) for row in record.evaluations()]
        identity = record.config().get("identity") or {}
        return ShownCurve(points, _config(record), arm_of(run.line.name, identity))
    except OSError as error:
        raise ClrbenchError(str(error)) from None


def _point(row: Evaluation, start: datetime) -> Point:
    columns = {**vars(row), **row.metrics}
    shown = METRICS if METRICS[0] in row.metrics else (*row.metrics, *_BESIDE)
    values = {name: columns[name] for name in shown}
    return Point(row.iteration, start + timedelta(seconds=row.seconds), values)


def _config(record: Record) -> dict[str, Any]:
    """What the run is called, as Trackio's group; all that decides a run's numbers; where it comes from and how it ended."""
    settings, result = leaves(record.config()), record.result()
    names = {key: settings.get(f"{key}.name") for key in ("policy", "data", "model", "optimizer")}
    identity = {key.removeprefix("identity."): value for key, value in settings.items() if key.startswith("identity.")}
    settings = {key: value for key, value in identity.items() if not key.endswith(("_target_", "sha256", "data.name"))}
    ending = {"source": record.folder.parts[-3], "status": result.status if result else "unfinished"}
    label = result.label if result else label_of(settings.get("arm"), str(names["policy"]))
    return {"_Group": label, **names, **settings, **ending}
