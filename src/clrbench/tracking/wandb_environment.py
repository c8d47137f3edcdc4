"""What W&B's own settings and environment variables say, and what becomes of them here."""

import os
from collections.abc import Callable

ONLINE, OFFLINE, DISABLED, AUTO = "online", "offline", "disabled", "auto"
# Without these the client waits for minutes on a server that does not answer, and looks up hosts to report errors to.
PATIENCE = {
    "WANDB_INIT_TIMEOUT": "15",
    "WANDB_FINISH_TIMEOUT": "15",
    "WANDB_FINISH_TIMEOUT_RAISES": "true",
    "WANDB_ERROR_REPORTING": "false",
    "WANDB_HTTP_TIMEOUT": "10",
    "WANDB_SILENT": "true",
}
# What the record decides: by these the comparison finds the runs, and an interrupted run goes on.
_OURS = ("WANDB_NAME", "WANDB_RUN_GROUP", "WANDB_JOB_TYPE", "WANDB_RUN_ID", "WANDB_RESUME")
_AGENT = ("WANDB_SWEEP_ID", "WANDB_RUN_ID")
Say = Callable[[str], None]


def be_patient() -> None:
    """Limit how long the client waits, where the user has not said how long."""
    os.environ.update({key: os.environ.get(key, value) for key, value in PATIENCE.items()})


def is_disabled() -> bool:
    """Whether W&B itself is: by WANDB_MODE=disabled, or by `wandb disabled`."""
    import wandb

    return bool(wandb.setup().settings.mode == DISABLED)


def chosen_mode(wanted: str, say: Say) -> str:
    """Whether a run is mirrored: ONLINE, OFFLINE or DISABLED, or AUTO, which means online where there is an account.

    wanted: tracking.wandb. It overrides WANDB_MODE, which counts under AUTO; but where W&B is disabled, nothing is mirrored.
    """
    import wandb

    if wanted == DISABLED or is_disabled():
        if wanted in (ONLINE, OFFLINE):
            say(f"W&B is disabled (WANDB_MODE=disabled or `wandb disabled`): the run is not mirrored, tracking.wandb={wanted}")
        return DISABLED
    is_offline = wandb.setup().settings.mode in (OFFLINE, "dryrun")
    if is_offline and wanted == ONLINE:
        say("tracking.wandb=online: WANDB_MODE=offline (or `wandb offline`) is overridden")
    return OFFLINE if is_offline and wanted == AUTO else wanted


def agents_run_id() -> str | None:
    """The id that a W&B agent has given to this run of its sweep; None where no agent started this process.

    None in a multirun, too, whose many runs cannot share it.
    """
    if not all(map(os.environ.get, _AGENT)):
        return None
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    is_multirun = HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN
    return None if is_multirun else os.environ["WANDB_RUN_ID"]


def extra_tags() -> list[str]:
    """The tags in WANDB_TAGS."""
    return [tag for text in os.environ.get("WANDB_TAGS", "").split(",") if (tag := text.strip())]


def unheeded() -> str | None:
    """One line on the variables that are set and do not count here, None where there are none."""
    ours = [name for name in _OURS if os.environ.get(name) and not (agents_run_id() and name in _AGENT)]
    if not ours:
        return None
    return f"W&B: {', '.join(ours)} not used: a run's name, group, job type and id on W&B are those of its record"
