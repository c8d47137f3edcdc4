"""Short runs, start-up included: a sweep with a one-thread worker a core against the same runs one after another."""

import tempfile
from functools import partial
from pathlib import Path

from clrbench.bench.command import seconds_of
from clrbench.bench.figure import Figure, Goal
from clrbench.bench.sizes import Sizes
from clrbench.bench.timing import alternate

GOAL = Goal(1.6, is_minimum=True)
WAYS = {
    "sweep, one run after another with two threads": ("hydra/launcher=basic", "trainer.threads=2"),
    "sweep, a one-thread worker a core": (),
}


def measure(conf: Path, folder: Path, sizes: Sizes) -> list[Figure]:
    """The figures: seconds of both ways, and how many times as many runs an hour the workers make."""
    train = conf.parent / "train.py"
    ways = {name: partial(_seconds, train, folder, sizes, options) for name, options in WAYS.items()}
    found = alternate("sweep", ways, sizes.repetitions)
    in_turn, by_workers = found.values()
    ratios = [slow / fast for slow, fast in zip(in_turn, by_workers, strict=True)]
    return [
        *(Figure(name, "s", found[name]) for name in WAYS),
        Figure("runs an hour, workers / in turn", "times", ratios, GOAL),
    ]


def _seconds(train: Path, folder: Path, sizes: Sizes, options: tuple[str, ...]) -> float:
    cells = ["policy=triangular2", f"seed=range(1,{sizes.swept_runs + 1})", f"iterations={sizes.swept_iterations}"]
    # Records of its own each time: a sweep does nothing where it finds them.
    with tempfile.TemporaryDirectory(dir=folder) as own:
        paths = [f"paths.{name}={own}" for name in ("data", "results", "outputs")]
        expected = f"{sizes.swept_runs} of {sizes.swept_runs} runs"
        return seconds_of(train, ["-m", *cells, *options, *paths, "tracking.wandb=disabled"], expected)
