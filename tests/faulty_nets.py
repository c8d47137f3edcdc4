"""Networks of a user's own, for tests of sweeps: they tell when a training starts, or go wrong in the midst of it."""

import os
import time
from pathlib import Path

import torch
from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from clrbench.models import SmallCNN

DEADLINE = 60.0


class Counted(SmallCNN):
    """Adds a line with the number of its process to the file $STARTS whenever it is built, which each training does once.

    With $TOGETHER=N it then waits until N processes are there, so that what they do next overlaps for certain.
    """

    def __init__(self, *arguments: object, **settings: object) -> None:
        super().__init__(*arguments, **settings)  # type: ignore[arg-type]
        starts = Path(os.environ["STARTS"])
        with starts.open("a") as file:
            file.write(f"{os.getpid()}\n")
        end = time.monotonic() + DEADLINE
        while len(set(starts.read_text().split())) < int(os.environ.get("TOGETHER", "1")) and time.monotonic() < end:
            time.sleep(0.05)


class Failing(SmallCNN):
    """Raises in its first step."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("the net is\nbroken")


class Talking(SmallCNN):
    """Prints a line in each step."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        print("a step", flush=True)
        return super().forward(images)


class Told(Callback):
    """No net, but what Hydra tells of each job that returned: adds its value to the file $STARTS."""

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **_: object) -> None:
        if job_return.status == JobStatus.COMPLETED:
            with Path(os.environ["STARTS"]).open("a") as file:
                file.write(f"{job_return.return_value}\n")
