"""One run by several processes, a device each, that share every batch."""

import os
import socket
from collections.abc import Callable
from typing import Any

from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException, spawn

from clrbench.config import Trainer
from clrbench.errors import ClrbenchError, ConfigError
from clrbench.orphans import end_with_parent
from clrbench.training.devices import check_gpus


def must_start(trainer: Trainer) -> bool:
    """Whether this process has to start those that carry out the run, and is none of them."""
    return trainer.processes > 1 and "LOCAL_RANK" not in os.environ


def start(trainer: Trainer, task: Callable[..., None], *arguments: Any) -> None:
    """Call `task` in a process for each device of this machine, and return when all have ended.

    With trainer.nodes above 1, every machine of a Slurm job calls this. The first error ends all processes and is raised as a
    ClrbenchError of one line.
    """
    if trainer.accelerator == "gpu":
        check_gpus(trainer.devices)
    meeting = _meeting_place(trainer)
    try:
        spawn(_process, (meeting, task, arguments), nprocs=trainer.devices)  # type: ignore[no-untyped-call]
    except ProcessRaisedException as error:
        raise ClrbenchError(f"process {error.error_index} of the run: {str(error).strip().splitlines()[-1]}") from None
    except ProcessExitedException as error:
        raise ClrbenchError(f"process {error.error_index} of the run was lost, by a kill or for want of memory") from None


def _process(local_rank: int, meeting: dict[str, str], task: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    end_with_parent()
    os.environ |= {**meeting, "LOCAL_RANK": str(local_rank)}
    task(*arguments)


def _meeting_place(trainer: Trainer) -> dict[str, str]:
    """Where the processes of all machines find one another, as torch and Lightning read it from the environment."""
    if trainer.nodes == 1:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            return {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "NODE_RANK": "0"}
    if os.environ.get("SLURM_NNODES") != str(trainer.nodes):
        raise ConfigError(
            f"trainer.nodes={trainer.nodes} needs a Slurm job of as many machines: with hydra/launcher=slurm "
            f"hydra.launcher.nodes={trainer.nodes}"
        )
    slurm = SLURMEnvironment()
    return {"MASTER_ADDR": slurm.main_address, "MASTER_PORT": str(slurm.main_port), "NODE_RANK": str(slurm.node_rank())}
