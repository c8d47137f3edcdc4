"""What libraries do not promise to keep: all that the suite uses of it, each with its reason.

tests/test_unofficial.py says which of it a new version of a library has changed.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

# torchmetrics, which Lightning imports, imports these wherever they are installed, for metrics and pictures not used here.
UNUSED = ("matplotlib", "scipy", "torchvision", "transformers")
# The names that the client gives to the log of a run, and to its note that the whole of it was uploaded.
_LOGS, _UPLOADED = "wandb/*run-*/run-*.wandb", "{}.synced"


def quiet_settings() -> dict[str, Any]:
    """Settings that keep W&B's client from measuring the machine and listing packages beside each run.

    Why: the list takes a tenth of a second a run, and the records have the versions. W&B marks these settings with `x_`.
    """
    return {"x_disable_stats": True, "x_disable_meta": False, "x_save_requirements": False}


def impatient_settings() -> dict[str, Any]:
    """Settings with which W&B's client asks a server twice, where it would ask for minutes.

    Why: a command says within seconds that a server does not answer. W&B marks the setting with `x_`.
    """
    return {"x_graphql_retry_max": 1}


def over_tensors(operation: str) -> Callable[..., Any]:
    """torch's arithmetic on a list of tensors: `add`, or `add_` in place.

    Why: one call for all weights costs less than one for each, and torch's own optimizers use it. Its name begins with `_`.
    """
    import torch

    kernel: Callable[..., Any] = getattr(torch, f"_foreach_{operation}")
    return kernel


def running_steps(optimizer: Any) -> int:
    """How many hooked steps of a torch optimizer run now: two where its step calls that of its parent class.

    Why: torch hooks both, and calls no hook after a step that raises, so that a count of hooks cannot be trusted: the stack
    tells. What torch runs in the place of any step has no name of its own.
    """
    from torch.optim import Optimizer

    hooked = Optimizer.profile_hook_step(Optimizer.step).__code__
    running = 0
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        running += frame.f_code is hooked and frame.f_locals["self"] is optimizer
        frame = frame.f_back
    return max(1, running)


def latest_log(folder: Path) -> Path | None:
    """The log that W&B's client wrote last for the run with this working folder.

    Why: whether an upload is due must be known without the client, for hundreds of runs at once.
    """
    return max(folder.glob(_LOGS), key=lambda log: log.parent.name.removeprefix("offline-"), default=None)


def mark_uploaded(log: Path) -> None:
    """Note that W&B has the whole of `log`.

    Why: this is the note that `wandb sync` makes and heeds, so that neither command uploads what the other has uploaded.
    """
    log.with_name(_UPLOADED.format(log.name)).touch()


def is_uploaded(log: Path) -> bool:
    """Whether that is noted."""
    return log.with_name(_UPLOADED.format(log.name)).exists()


def is_offline(log: Path) -> bool:
    """Whether W&B's client was offline when it wrote `log`. Why: as for `latest_log`."""
    return log.parent.name.startswith("offline-")


def name_workspace(workspace: Any, name: str) -> None:
    """Give a W&B workspace the name that its address ends in, before it is saved for the first time.

    Why: else the client invents one, and nothing finds the workspace again to update it.
    """
    workspace._internal_name = f"nw-{name}-v"


def replace_workspace(workspace: Any, known: Any) -> None:
    """Have W&B's client save `workspace` in the place of `known`, which was loaded.

    Why: a loaded workspace keeps what was changed in it by hand, beside what is set anew.
    """
    workspace._internal_id = known._internal_id


def log_rows(
    project: str,
    run: str,
    rows: Sequence[Mapping[str, float]],
    steps: Sequence[int],
    times: Sequence[datetime],
    config: Mapping[str, Any],
) -> None:
    """Add rows to a Trackio run, which is made if need be; rows that it has at a step stay as they are.

    Why: `trackio.log` dates every row now, prints, and starts threads for each run; `trackio.import_csv` takes no settings.
    Raises ImportError without Trackio; TypeError, ValueError or OverflowError for what it does not take.
    """
    from trackio.sqlite_storage import SQLiteStorage

    SQLiteStorage.bulk_log(
        project,
        run,
        [dict(row) for row in rows],
        steps=list(steps),
        timestamps=[time.isoformat() for time in times],
        config=dict(config),
        log_ids=[f"{run}/{step}" for step in steps],
        run_id=run,
    )


def trackio_application() -> Any:
    """Trackio's page, without the token that writing through it takes.

    Why: `trackio.show` answers under every host name, so that any site could read the page through a name of its own.
    Raises ImportError without Trackio.
    """
    from trackio.server import build_starlette_app_only

    application, _ = build_starlette_app_only()
    return application


@contextlib.contextmanager
def without_unused() -> Iterator[None]:
    """Let torchmetrics, imported within, find nothing of UNUSED.

    Why: it halves the time in which a command or a worker starts. It asks `lightning_utilities`, which is made to say no.
    """
    from lightning_utilities.core import imports

    asked, available = imports.RequirementCache, imports.package_available

    class Used(asked):  # type: ignore[valid-type, misc]
        def __bool__(self) -> bool:
            return not (self.requirement or "").startswith(UNUSED) and super().__bool__()

    vars(imports).update(RequirementCache=Used, package_available=lambda name: name not in UNUSED and bool(available(name)))
    try:
        yield
    finally:
        vars(imports).update(RequirementCache=asked, package_available=available)


def no_profiler() -> Any:
    """A profiler for Lightning's trainer that opens no context.

    Why: Lightning opens one around every hook of every callback, forty a step; this gives it always the same one.
    """
    from pytorch_lightning.profilers import PassThroughProfiler

    nothing = contextlib.nullcontext()

    class Nothing(PassThroughProfiler):
        def profile(self, action_name: str) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]
            return nothing

    return Nothing()


def validate_after(trainer: Any, batches: int) -> None:
    """Have a fit under way validate when so many batches of it are behind, counted from its start.

    Why: Lightning validates every so many batches, and cycles end where they end. Its trainer asks at each batch whether the
    number of batches so far is a multiple of this attribute, where `check_val_every_n_epoch` is None.
    """
    trainer.val_check_batch = batches
