"""Bring to W&B what it lacks: runs that were offline, and runs whose server went away. The real client uploads them."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from clrbench.claim import is_held
from clrbench.errors import ClrbenchError
from clrbench.tracking import wandb as mirror
from clrbench.tracking.catch_up import catch_up, may_be_known
from clrbench.tracking.wandb import is_uploaded, latest_log, mark, reason_of

# No limit on the client's tries of an upload: where it gives up, it takes for uploaded what is not.
PATIENCE = {**mirror.PATIENCE, "WANDB_HTTP_TIMEOUT": "10"}
# Seconds without a run that gets there, until the server is asked whether it is still there.
STALL, EVERY = 10.0, 0.2
AT_A_TIME, PARALLEL = 500, 8
AGAIN = "nothing is lost; `make sync` uploads the rest later"


def sync(outputs: Path, project: str | None, entity: str | None, console: Console) -> None:
    """Upload every run below `outputs` that W&B lacks, to `project` and `entity` or to those of the runs.

    What is under way is left out. Raises ClrbenchError, within seconds, where there is no key or the server does not answer.
    """
    logs, under_way = backlog(outputs)
    later = f"; {under_way} under way: sync again when they have ended" if under_way else ""
    if not logs:
        console.print(f"nothing to upload below {outputs}{later}")
        return
    try:
        _upload_all(logs, project, entity, console)
    except ClrbenchError as error:
        raise ClrbenchError(f"{error}; {AGAIN}") from None
    console.print(f"{len(logs)} runs uploaded{later}")


def _upload_all(logs: Sequence[Path], project: str | None, entity: str | None, console: Console) -> None:
    os.environ.update({key: os.environ.get(key, value) for key, value in PATIENCE.items()})
    url = check_account()
    target = [word for option, value in (("--project", project), ("--entity", entity)) if value for word in (option, value)]
    with _progress(console, len(logs)) as progress:
        unknown = [log for log in logs if not may_be_known(log)]
        for first in range(0, len(unknown), AT_A_TIME):
            _upload(unknown[first : first + AT_A_TIME], target, url, progress)
        for log in logs:
            if log not in unknown:
                _catch_up(log, project, entity, progress)


def backlog(outputs: Path) -> tuple[list[Path], int]:
    """The logs that are to be uploaded, one a run, and how many more belong to runs under way."""
    folders = sorted({path.parent for path in outputs.glob("runs/*/*/wandb")})
    logs = [(folder, log) for folder in folders if (log := latest_log(folder)) and not is_uploaded(log)]
    resting = [log for folder, log in logs if not is_held(folder)]
    return resting, len(logs) - len(resting)


def check_account() -> str:
    """The server's address. Raises ClrbenchError unless it answers and knows the key."""
    import wandb

    url = str(wandb.setup(wandb.Settings(x_graphql_retry_max=1)).settings.base_url)
    try:
        has_key = wandb.login(prompt=False, verify=True)
    except Exception as error:
        _check_that_it_answers(url)
        raise ClrbenchError(f"W&B: {reason_of(error)}: `wandb login --relogin` takes a new key") from None
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


def _upload(logs: Sequence[Path], target: Sequence[str], url: str, progress: Progress) -> None:
    """Have the client upload `logs`, and watch its marks."""
    command = [sys.executable, "-m", "wandb", "sync", "--include-online", "-n", str(PARALLEL), *target]
    with (
        tempfile.TemporaryDirectory() as folder,
        _client([*command, *(str(log.resolve()) for log in logs)], Path(folder)) as client,
    ):
        left, last = list(logs), time.monotonic()
        while left:
            has_ended = client.poll() is not None
            marked = [log for log in left if is_uploaded(log)]
            left = [log for log in left if log not in marked]
            progress.advance(progress.task_ids[0], len(marked))
            if marked:
                last = time.monotonic()
            elif has_ended:
                raise ClrbenchError(f"W&B did not take {len(left)} runs, the first of them {left[0].parent}")
            elif time.monotonic() - last > STALL:
                _check_that_it_answers(url)
                last = time.monotonic()
            time.sleep(EVERY)


def _catch_up(log: Path, project: str | None, entity: str | None, progress: Progress) -> None:
    try:
        catch_up(log, project, entity)
    except Exception as error:
        raise ClrbenchError(f"{log.parent}: W&B: {reason_of(error)}") from None
    mark(log)
    progress.advance(progress.task_ids[0])


@contextlib.contextmanager
def _client(command: Sequence[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the client, with its own processes: none of them outlives the block, to take a run for uploaded."""
    nothing = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=folder, start_new_session=True, stdin=nothing, stdout=nothing, stderr=nothing)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _progress(console: Console, total: int) -> Progress:
    columns = (TextColumn("uploading to W&B"), BarColumn(), MofNCompleteColumn(), TextColumn("left"), TimeRemainingColumn())
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    progress.add_task("", total=total)
    return progress
