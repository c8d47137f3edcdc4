"""Bring to W&B what it lacks, from the records: runs that were offline, and runs whose server went away."""

import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from clrbench import unofficial
from clrbench.checkout import here
from clrbench.config import Tracking
from clrbench.errors import ClrbenchError
from clrbench.lock import is_held
from clrbench.runs import OWN, recorded_schedule
from clrbench.store import Record, records, run_folder
from clrbench.tracking import wandb as mirror
from clrbench.tracking.judgement import is_judgement, log_judgement
from clrbench.tracking.tracked_run import TrackedRun
from clrbench.tracking.wandb_environment import ONLINE, be_patient, is_disabled

PARALLEL = 8
AGAIN = f"nothing is lost; `{here('make sync')}` uploads the rest later"
# For runs whose working folder does not say where they were to go.
PROJECT, LOG_EVERY = "clrbench", 50


@dataclass(frozen=True)
class Destination:
    """The project and entity to upload to; None for those of each run."""

    project: str | None
    entity: str | None


@dataclass(frozen=True)
class Backlog:
    """Working folders of runs that W&B lacks; how many are under way; folders whose runs have no record any more."""

    folders: Sequence[Path]
    under_way: int
    lost: Sequence[Path]


def sync(outputs: Path, results: Path, destination: Destination, console: Console, *, every: bool = False) -> None:
    """Upload the runs below `outputs` that W&B lacks, or every run of the records below `results`.

    A run of which W&B has a part gets the rest. What is under way is left out, as are runs that W&B does not take, which
    is said. Raises ClrbenchError where some of them were not taken, and, within seconds, where there is no key or the
    server does not answer.
    """
    if is_disabled():
        console.print("W&B is disabled (WANDB_MODE=disabled or `wandb disabled`): nothing is uploaded")
        return
    backlog = _all(outputs, results) if every else _lacking(outputs, results)
    for folder in backlog.lost:
        line = f"left out: {folder}: no record below {results}: `wandb sync {folder}/wandb/*run-*` uploads its log"
        console.print(line, markup=False)
    later = f"; {backlog.under_way} under way: sync again when they have ended" if backlog.under_way else ""
    if not backlog.folders:
        console.print(f"nothing to upload below {results if every else outputs}{later}", markup=False)
        return
    try:
        refused = _upload_all(backlog.folders, results, destination, console)
    except ClrbenchError as error:
        raise ClrbenchError(f"{error}; {AGAIN}") from None
    console.print(f"{len(backlog.folders) - len(refused)} runs uploaded{later}")
    if refused:
        raise ClrbenchError(f"W&B did not take {len(refused)} of {len(backlog.folders)} runs; {AGAIN}")


def _lacking(outputs: Path, results: Path) -> Backlog:
    """What was mirrored in part or offline."""
    folders = sorted({path.parent for path in outputs.glob("runs/*/*/wandb")})
    lacking = [folder for folder in folders if (log := unofficial.latest_log(folder)) and not unofficial.is_uploaded(log)]
    resting = [folder for folder in lacking if not is_held(folder)]
    known = [folder for folder in resting if is_judgement(folder) or _has_settings(_record(folder, results))]
    return Backlog(known, len(lacking) - len(resting), [folder for folder in resting if folder not in known])


def _all(outputs: Path, results: Path) -> Backlog:
    """Every run that has a record, whether or not it was mirrored."""
    found = [record for folder in sorted((results / OWN).glob("[!.]*/")) for record in records(folder) if _has_settings(record)]
    folders = [run_folder(outputs, record.folder.parent.name, record.folder.name) for record in found]
    resting = [folder for folder in folders if not is_held(folder)]
    return Backlog(resting, len(folders) - len(resting), [])


def _record(folder: Path, results: Path) -> Record:
    return Record(run_folder(results, folder.parent.name, folder.name))


def _has_settings(record: Record) -> bool:
    """False for what a sweep could not run, and where there is no record at all."""
    return (record.folder / "config.yaml").exists() and not record.folder.name.startswith("invalid-")


def _upload_all(folders: Sequence[Path], results: Path, destination: Destination, console: Console) -> list[Path]:
    """Upload them, several at a time; returns those that W&B refused, which are said. Raises where nothing gets there."""
    import wandb

    be_patient()
    url = check_account()
    refused: list[Path] = []
    with _progress(console, len(folders)) as progress, ThreadPoolExecutor(PARALLEL) as threads:
        uploads = {threads.submit(_upload, folder, results, destination): folder for folder in folders}
        try:
            for upload in as_completed(uploads):
                if error := upload.exception():
                    _check_that_it_answers(url)
                    refused.append(uploads[upload])
                    console.print(f"left out: {uploads[upload]}: {mirror.reason_of(error)}", markup=False)
                progress.advance(progress.task_ids[0])
        except BaseException:
            threads.shutdown(cancel_futures=True)
            # The client's process still tries to begin what failed, and would not have it a second time.
            wandb.teardown()
            raise
    return refused


def _upload(folder: Path, results: Path, destination: Destination) -> None:
    """Bring W&B the part of a run that it lacks. Raises what the client raises, and ClrbenchError for a damaged record."""
    noted = TrackedRun.read(folder)
    # The client's own files are of no use behind the upload.
    with tempfile.TemporaryDirectory() as scratch:
        if is_judgement(folder) and noted:
            wandb_run = mirror.begin(_directed(noted, destination), Path(scratch), online=True)
            log_judgement(wandb_run, folder)
            wandb_run.finish()
        else:
            _replay(_record(folder, results), noted, destination, Path(scratch))
    if log := unofficial.latest_log(folder):
        unofficial.mark_uploaded(log)


def _replay(record: Record, noted: TrackedRun | None, destination: Destination, scratch: Path) -> None:
    """Log a record as its run would have done."""
    rows, result, rate = record.evaluations(), record.result(), recorded_schedule(record.config()["identity"])
    run = _directed(noted or TrackedRun.of(record, _tracking()), destination)
    wandb_run = mirror.begin(run, scratch, online=True)
    for since, row in zip([0, *(row.iteration for row in rows)], rows, strict=False):
        for line in mirror.lines(row, since, rate, run.log_every):
            mirror.log(wandb_run, line)
    if result is not None:
        wandb_run.summary.update(mirror.summary(result, rows))
    wandb_run.finish(exit_code=mirror.exit_code(result))


def _tracking() -> Tracking:
    project, entity = os.environ.get("WANDB_PROJECT") or PROJECT, os.environ.get("WANDB_ENTITY") or None
    return Tracking(ONLINE, project, entity, LOG_EVERY)


def _directed(run: TrackedRun, destination: Destination) -> TrackedRun:
    return replace(run, project=destination.project or run.project, entity=destination.entity or run.entity)


def check_account() -> str:
    """The server's address. Raises ClrbenchError unless it answers and knows the key."""
    import wandb

    url = str(wandb.setup(wandb.Settings(**unofficial.impatient_settings())).settings.base_url)
    try:
        has_key = wandb.login(prompt=False, verify=True)
    except Exception as error:
        _check_that_it_answers(url)
        raise ClrbenchError(f"W&B: {mirror.reason_of(error)}: `wandb login --relogin` takes a new key") from None
    if not has_key:
        raise ClrbenchError("W&B has no key: run `wandb login` or set $WANDB_API_KEY")
    return url


def _check_that_it_answers(url: str) -> None:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except urllib.error.HTTPError:
        pass  # an answer, too
    except OSError:
        raise ClrbenchError(f"W&B at {url} does not answer: check the network and $WANDB_BASE_URL") from None


def _progress(console: Console, total: int) -> Progress:
    columns = (TextColumn("uploading to W&B"), BarColumn(), MofNCompleteColumn(), TextColumn("left"), TimeRemainingColumn())
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    progress.add_task("", total=total)
    return progress
