"""Sweeps of short runs, start-up included: a one-thread worker a core against the same runs one after another, and how far
a long sweep is from the time that training alone takes.
"""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median

from bench import ours
from bench.command import own_folder, seconds_of
from bench.evaluation import evaluator
from bench.figure import Figure, Goal
from bench.sizes import Sizes
from bench.timing import alternate
from clrbench.store import records
from clrbench.training import feed

GOAL, NEAR_IDEAL = Goal(1.6, is_minimum=True), Goal(1.15, is_minimum=False)
WAYS = {
    "sweep, one run after another with two threads": ("hydra/launcher=basic", "trainer.threads=2"),
    "sweep, a one-thread worker a core": (),
}
QUICK = "sweep of experiment=quick, until its table"
POLICIES = ("triangular", "triangular2", "exp_range", "parabolic")


def measure(conf: Path, folder: Path, sizes: Sizes) -> list[Figure]:
    """The figures: of the first sweep that a user makes, of both ways and their ratio, and of the long sweep."""
    train = conf.parent / "train.py"
    ways = {name: partial(_seconds, train, folder, sizes, options) for name, options in WAYS.items()}
    found = alternate("sweep", ways, sizes.sweeps)
    in_turn, by_workers = found.values()
    ratios = [slow / fast for slow, fast in zip(in_turn, by_workers, strict=True)]
    long = f"sweep of {sizes.long_sweep} runs / its training and evaluations, shared by the workers"
    times = alternate("sweep", {long: partial(_times_its_computing, conf, train, folder, sizes)}, 1)
    quick = alternate("sweep", {QUICK: partial(_seconds_of_quick, train, folder, sizes)}, sizes.sweeps)
    return [
        Figure(QUICK, "s", quick[QUICK]),
        *(Figure(name, "s", found[name]) for name in WAYS),
        Figure("runs an hour, workers / in turn", "times", ratios, GOAL),
        Figure(long, "times", times[long], NEAR_IDEAL),
    ]


def _seconds_of_quick(train: Path, folder: Path, sizes: Sizes) -> float:
    with own_folder(folder) as (_, paths):
        return seconds_of(train, ["-m", "experiment=quick", f"scale={sizes.quick_scale}", *paths], "30 of 30 runs")


def _seconds(train: Path, folder: Path, sizes: Sizes, options: Sequence[str]) -> float:
    cells = ["policy=triangular2", f"seed=range(1,{sizes.swept_runs + 1})", f"iterations={sizes.swept_iterations}"]
    seconds, _ = _swept(train, folder, sizes.swept_runs, [*cells, *options, "tracking.wandb=disabled"])
    return seconds


def _times_its_computing(conf: Path, train: Path, folder: Path, sizes: Sizes) -> float:
    """How many times as long a sweep takes as if its workers did nothing but compute; tracked as for one without an account."""
    workers = os.cpu_count() or 1
    seeds = sizes.long_sweep // len(POLICIES)
    length = f"iterations={sizes.short_iterations}"
    cells = [f"policy={','.join(POLICIES)}", f"seed=range(1,{seeds + 1})", length]
    options = [f"hydra.launcher.n_jobs={workers}", "tracking.wandb=offline"]
    seconds, training = _swept(train, folder, sizes.long_sweep, [*cells, *options])
    return seconds * workers / (training + sizes.long_sweep * _seconds_of_evaluations(conf, folder, sizes, length))


def _seconds_of_evaluations(conf: Path, folder: Path, sizes: Sizes, length: str) -> float:
    """All evaluations of one run, in one thread: a record's seconds leave them out."""
    config = ours.composed(conf, length, "trainer.threads=1", f"paths.outputs={folder}")
    spec = ours.spec_of(config)
    once = evaluator(spec, feed.evaluation_batches(spec))
    return len(spec.evaluation_points) * median(once() for _ in range(sizes.repetitions))


def _swept(train: Path, folder: Path, runs: int, arguments: Sequence[str]) -> tuple[float, float]:
    """The seconds of a sweep of so many runs, and those of its training by its records."""
    with own_folder(folder) as (own, paths):
        seconds = seconds_of(train, ["-m", *arguments, *paths], f"{runs} of {runs} runs")
        results = [record.result() for record in records(own / "runs" / "adhoc")]
    return seconds, sum(result.seconds for result in results if result)
