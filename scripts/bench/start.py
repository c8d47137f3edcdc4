"""What a run costs beyond its training: from the command to the first step, and in a process that has run one before."""

import itertools
from functools import partial
from pathlib import Path

from bench.command import own_folder, seconds_of, seconds_until
from bench.figure import Figure, Goal
from bench.sizes import Sizes
from bench.timing import alternate
from clrbench.store import PROGRESS, records

FIRST_STEP, FURTHER_RUN = "command to first step", "further run of a process, beyond its training"
GOALS = {FIRST_STEP: Goal(6.0, is_minimum=False), FURTHER_RUN: Goal(0.5, is_minimum=False)}
# As it is for a user without an account.
_TRACKED = "tracking.wandb=offline"


def measure(conf: Path, folder: Path, sizes: Sizes) -> list[Figure]:
    """The figures; `folder` takes the records."""
    train = conf.parent / "train.py"
    found = alternate("start", {FIRST_STEP: partial(_seconds_to_first_step, train, folder)}, sizes.repetitions)
    found[FURTHER_RUN] = _seconds_beyond_training(train, folder, sizes)
    return [Figure(name, "s", found[name], goal) for name, goal in GOALS.items()]


def _seconds_to_first_step(train: Path, folder: Path) -> float:
    """With digits that are read for the first time; the step is seen by the note that a run leaves of its progress."""
    with own_folder(folder) as (own, paths):
        return seconds_until(train, ["iterations=40", _TRACKED, *paths], lambda: any(own.glob(f"runs/*/*/{PROGRESS}")))


def _seconds_beyond_training(train: Path, folder: Path, sizes: Sizes) -> list[float]:
    """Of each run but the first: from the end of the record before it to that of its own, without its training."""
    runs = sizes.repetitions + 1
    cells = [f"seed=range(1,{runs + 1})", f"iterations={sizes.short_iterations}", "hydra/launcher=basic", "trainer.threads=1"]
    with own_folder(folder) as (own, paths):
        seconds_of(train, ["-m", *cells, _TRACKED, *paths], f"{runs} of {runs} runs")
        ends = sorted(
            ((record.folder / "result.json").stat().st_mtime, result.seconds)
            for record in records(own / "runs" / "adhoc")
            if (result := record.result())
        )
    return [end - before - training for (before, _), (end, training) in itertools.pairwise(ends)]
