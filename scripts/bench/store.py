"""What a store of many runs costs: planning a sweep over it, resuming one that has ended, summarizing and reporting it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir

from bench.command import seconds_of
from bench.figure import Figure, Goal
from bench.sizes import Sizes
from bench.timing import alternate
from clrbench import config as form
from clrbench import environment, store
from clrbench.analysis.arm_table import summarize
from clrbench.analysis.arms import arms_of
from clrbench.config import PathNames
from clrbench.data.load import load
from clrbench.errors import ClrbenchError
from clrbench.runs import read_runs
from clrbench.spec import RunSpec, resolve
from clrbench.store import Evaluation, Record, Result

GOAL = Goal(5.0, is_minimum=False)
POLICIES = ("triangular", "triangular2", "exp_range", "parabolic")
MAX_LRS = ("0.03", "0.04", "0.05", "0.06", "0.07")
ARMS = len(POLICIES) * len(MAX_LRS)


def measure(conf: Path, folder: Path, sizes: Sizes) -> list[Figure]:
    """The figures, for stores of each of `sizes.stored_runs`; `folder` takes the stores."""
    figures = []
    for runs in sizes.stored_runs:
        made = Store.make(conf, folder / str(runs), runs)
        measures: dict[str, Callable[[], float]] = {
            f"planning {runs:,} runs": partial(made.seconds_of_sweep, "hydra.sweeper.plan_only=true"),
            f"resuming {runs:,} finished runs": made.seconds_of_sweep,
            f"summarizing {runs:,} runs": made.seconds_of_summary,
            f"reporting {runs:,} runs": made.seconds_of_report,
        }
        found = alternate("store", measures, sizes.repetitions)
        figures += [Figure(name, "s", found[name], GOAL) for name in measures]
    return figures


@dataclass(frozen=True)
class Store:
    """The finished runs of a sweep over policies, bounds and seeds, and the command that made them."""

    train: Path
    folder: Path
    choices: Sequence[str]
    seeds: int

    @classmethod
    def make(cls, conf: Path, folder: Path, runs: int) -> "Store":
        """Write the records that such a sweep would leave."""
        paths = PathNames(data=str(folder), results=str(folder / "results"), outputs=str(folder / "outputs"))
        choices = [f"paths.{name}={getattr(paths, name)}" for name in ("data", "results", "outputs")]
        seeds = range(1, runs // ARMS + 1)
        form.register()
        origin = environment.describe()
        with initialize_config_dir(str(conf), version_base="1.3"):
            for policy, max_lr in product(POLICIES, MAX_LRS):
                arm = (f"policy={policy}", f"bounds.max_lr={max_lr}")
                config = form.checked(compose("config", [*arm, *choices]))
                spec = resolve(config, load(config.data, paths, _say_nothing))
                text = spec.config_text()
                for seed in seeds:
                    _write(spec, text, seed, origin)
        return cls(conf.parent / "train.py", folder, choices, len(seeds))

    def seconds_of_sweep(self, *options: str) -> float:
        """The whole command, in a process of its own."""
        swept = [f"policy={','.join(POLICIES)}", f"bounds.max_lr={','.join(MAX_LRS)}", f"seed=range(1,{self.seeds + 1})"]
        total = self.seeds * ARMS
        expected = f"{total} finished" if options else f"{total} of {total} runs"
        seconds = seconds_of(self.train, ["-m", *swept, *self.choices, *options], expected)
        if (self.folder / "outputs" / "runs").exists():
            raise ClrbenchError(
                "the sweep to be timed has trained, where all runs have ended: leave code and conf alone meanwhile"
            )
        return seconds

    def seconds_of_report(self) -> float:
        """The whole command, in a process of its own."""
        script = self.train.parent / "scripts" / "report.py"
        return seconds_of(script, [f"--{name}={self.folder / name}" for name in ("results", "outputs")], "summary.md")

    def seconds_of_summary(self) -> float:
        """From the files to a row an arm."""
        started = time.perf_counter()
        runs, _ = read_runs(self.folder / "results")
        summary = summarize(arms_of(runs))
        seconds = time.perf_counter() - started
        if len(summary) != ARMS:
            raise ClrbenchError(f"the store to be summarized has {len(summary)} arms instead of {ARMS}")
        return seconds


def _say_nothing(_: str) -> None:
    pass


def _write(template: RunSpec, text: str, seed: int, origin: Mapping[str, Any]) -> None:
    """A finished run, in the form of a real one: `template`, whose configuration is `text`, with another seed."""
    spec = replace(template, config=replace(template.config, seed=seed))
    experiment = spec.config.experiment
    record = Record(store.run_folder(Path(spec.config.paths.results), experiment, spec.name))
    rows = [
        Evaluation(
            point,
            point / spec.iterations_per_epoch,
            float(spec.schedule(point)),
            0.25,
            {"test_loss": 0.25, "test_accuracy": 90 + seed % 7},
            point / 250,
        )
        for point in spec.evaluation_points
    ]
    last = rows[-1]
    record.write_config(
        text.replace(template.run_id, spec.run_id).replace(f"seed: {template.config.seed}\n", f"seed: {seed}\n")
    )
    record.write_evaluations(rows)
    record.write_result(
        Result(
            run_id=spec.run_id,
            name=spec.name,
            experiment=experiment,
            data=spec.config.data.name,
            model=spec.config.model.name,
            policy=spec.policy["name"],
            seed=seed,
            status=store.FINISHED,
            iterations=spec.iterations,
            value=last.metrics["test_accuracy"],
            seconds=last.seconds,
            images_per_second=8000.0,
            **origin,
        )
    )
