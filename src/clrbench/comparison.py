"""`clrbench.compare`: a sweep of a user's own module from Python, as in a notebook, by the road of the command."""

import functools
import inspect
import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.types import Quote, QuotedString
from joblib import Parallel, delayed
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from clrbench import config
from clrbench.analysis.arms import arms_of
from clrbench.analysis.frames import differences_frame, runs_frame
from clrbench.arguments import check_arm, check_choices
from clrbench.checkout import configurations
from clrbench.cli import as_worker, run_job
from clrbench.errors import ClrbenchError, ConfigError
from clrbench.lock import clear_lock
from clrbench.orphans import end_with_parent
from clrbench.runs import OWN, run_of
from clrbench.screen import say, screen
from clrbench.seeds import fault_of_seeds
from clrbench.settings import COUNT
from clrbench.sweep.carry import Carrier, Launch, conclude
from clrbench.sweep.cells import Cell
from clrbench.sweep.plan import pace, seeds_warning
from clrbench.sweep.planner import Planner
from clrbench.sweep.ramps import carry_out
from clrbench.sweep.watch import Watch

# What is a text without quotes.
_PLAIN = re.compile(r"(?!(null|true|false|inf|nan)$)[A-Za-z_][\w./]*", re.IGNORECASE)


@dataclass(frozen=True, repr=False)
class Comparison:
    """What `compare` found.

    runs: a row a run, see `frames.runs_frame`; differences: a row an arm beside the best fixed rate, see
    `frames.differences_frame`. Which policy to take is left to a decision, which tunes each (docs/decide.md).
    """

    runs: pl.DataFrame
    differences: pl.DataFrame

    def __repr__(self) -> str:
        return str(self.differences)


def compare(
    module: Any,
    data: Any,
    *choices: str,
    monitor: str,
    mode: str | None = None,
    unit: str = "",
    margin: float = 0.0,
    policies: Sequence[str] | None = None,
    bounds: tuple[float, float] | str = "range_test",
    iterations: int | str = "8 epochs",
    seeds: Sequence[int] = (1, 2, 3, 4, 5),
    processes: int | None = None,
) -> Comparison:
    """Train `module` on `data` under each policy with each seed, print the table, and return runs and verdicts.

        clrbench.compare(CharLM, Corpus, monitor="val_bpc", mode="min", margin=0.02, bounds=(0.001, 0.01))

    module, data: a LightningModule and a LightningDataModule: the classes, or `functools.partial(CharLM, width=64)` with
    their settings. choices: what else is typed behind the command, as "trainer=gpu" or "task.version=2".
    monitor: the metric, as validation_step logs it; mode: `min` or `max`; unit: of its values; margin: the least difference
    that counts, in that unit. policies: each as behind `policy=`, as "fixed" or "triangular2 policy.step_size=200"; by default
    the arms of experiment=compare. bounds: base_lr and max_lr, or `range_test`. iterations: the budget, in steps of the
    optimizer or in epochs. seeds: five are the fewest that settle anything. processes: 1 trains in this process; by default
    there is one for each core.

    Records go to `results` in the working folder: the same call returns what has ended, and goes on with the rest.
    Raises ClrbenchError in one line for what cannot be run, and behind the table where runs have failed.
    """
    _check(choices, policies, bounds, seeds, processes)
    rates = {"bounds": bounds} if isinstance(bounds, str) else {"bounds.base_lr": bounds[0], "bounds.max_lr": bounds[1]}
    measure = {"task.monitor": monitor, "task.mode": mode, "task.unit": unit, "task.margin": margin}
    settings = {**measure, **rates, "iterations": iterations}
    typed = [
        "task=lightning",
        *_of_class("module", module),
        *_of_class("data", data),
        *(f"{key}={_typed(key, value)}" for key, value in settings.items()),
        *choices,
    ]
    config.register()
    console = screen()
    with initialize_config_dir(str(configurations()), version_base="1.3"):
        arms = _arms_of_compare() if policies is None else [_overrides(policy) for policy in policies]
        cells, paths = _planned([[*arm, *typed, f"seed={seed}"] for arm in arms for seed in seeds], console)
    count = min(len(cells), processes or os.cpu_count() or 1)
    return _carried_out(cells, paths, _launch(count, [module, data]), count, console)


def _check(choices: Sequence[Any], policies: Any, bounds: Any, seeds: Any, processes: Any) -> None:
    """Refuse what is of another kind, names nothing, or something twice. Raises ConfigError."""
    if wrong := [choice for choice in choices if not isinstance(choice, str)]:
        raise ConfigError(f"{wrong[0]!r} is no choice: write it as behind the command, as in 'trainer=gpu'")
    if policies is not None and not (_are_texts(policies) and 0 < len(policies) == len(set(policies))):
        raise ConfigError(f"policies={policies!r}: give a list of texts, as ['fixed', 'triangular2'], and each once")
    if fault := fault_of_seeds(seeds, "seeds"):
        raise ConfigError(fault)
    is_pair = isinstance(bounds, (Sequence, np.ndarray)) and len(bounds) == 2
    if not isinstance(bounds, str) and not is_pair:
        raise ConfigError(f"bounds={bounds!r}: give base_lr and max_lr, as in bounds=(0.001, 0.01), or 'range_test'")
    if processes is not None and not COUNT.holds(processes):
        raise ConfigError(f"processes={processes!r} is impossible: it must be {COUNT.words}, or be left out for one a core")


def _are_texts(given: Any) -> bool:
    return isinstance(given, Sequence) and not isinstance(given, str) and all(isinstance(one, str) for one in given)


def _overrides(policy: str) -> list[str]:
    """What is typed for one of `policies`. Raises ConfigError for quotes that do not close."""
    try:
        return shlex.split(f"policy={policy}")
    except ValueError as error:
        raise ConfigError(f"policies={[policy]}: {error}: write it as behind policy= in a shell") from None


def _of_class(part: str, given: Any) -> Iterator[str]:
    """What is typed for a class with its settings. Raises ConfigError for what no other process could make anew."""
    settings: Mapping[str, Any] = {}
    if isinstance(given, functools.partial):
        if given.args:
            raise ConfigError(f"{part}: its settings need names, as in functools.partial({_name(given.func)}, width=64)")
        given, settings = given.func, given.keywords
    if not inspect.isclass(given):
        raise ConfigError(
            f"{part}: {_name(given)} is no class: every seed trains one of its own, so give the class, as in compare(CharLM, "
            "Corpus, ...), and its settings as in functools.partial(CharLM, width=64)"
        )
    if "<locals>" in given.__qualname__:
        raise ConfigError(f"{part}: {given.__name__} is defined within a function, where no run finds it: define it outside")
    yield f"task.{part}._target_={given.__module__}.{given.__qualname__}"
    for key, value in settings.items():
        yield f"+task.{part}.{key}={_typed(f'{part}: {key}', value)}"


def _name(given: Any) -> str:
    return getattr(given, "__name__", f"an instance of {type(given).__name__}")


def _typed(key: str, value: Any) -> str:
    """A value as Hydra reads it. Raises ConfigError for one that no record could hold."""
    if value is None:
        return "null"
    if isinstance(value, (bool, int, float)):
        return str(value)
    if isinstance(value, (str, Path)):
        return str(value) if _PLAIN.fullmatch(str(value)) else QuotedString(str(value), Quote.double).with_quotes()
    if isinstance(value, (list, tuple)):
        return f"[{','.join(_typed(key, one) for one in value)}]"
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{name}:{_typed(key, one)}' for name, one in value.items())}}}"
    raise ConfigError(
        f"{key}={value!r} is no setting: take numbers, texts, lists and mappings of them, which a record can hold"
    )


def _arms_of_compare() -> list[list[str]]:
    """The fixed rates, the decline and the cycles that experiment=compare spans."""
    composed = compose("config", ["experiment=compare"], return_hydra_config=True)
    return [["experiment=compare", f"arm={arm}"] for arm in composed.hydra.sweeper.params.arm.split(",")]


def _planned(all_overrides: Sequence[Sequence[str]], console: Console) -> tuple[list[Cell], config.PathNames]:
    """The cells, with their bounds measured, and where their records go. Raises ConfigError where one cannot be run."""
    check_choices(all_overrides[0], [folder.name for folder in configurations().iterdir()])
    for overrides in all_overrides:
        check_arm(overrides)
    placed = _composed([text for text in all_overrides[0] if text.startswith("paths.")])
    paths = config.PathNames(**OmegaConf.to_container(placed.paths, resolve=True))  # type: ignore[arg-type]
    cells = Planner(_composed, paths, functools.partial(say, console), find_bounds=carry_out).cells(all_overrides)
    if errors := [cell.error for cell in cells if cell.error]:
        raise ConfigError(errors[0])
    return cells, paths


def _composed(overrides: Sequence[str]) -> DictConfig:
    return compose("config", list(overrides))


def _carried_out(cells: Sequence[Cell], paths: config.PathNames, launch: Launch, count: int, console: Console) -> Comparison:
    """Run what is left, and gather what came of all. Raises ClrbenchError where runs have failed."""
    results, tell = Path(paths.results), functools.partial(say, console)
    if warning := seeds_warning(cells, pace(results), count):
        tell(warning)
    carrier = Carrier(launch, tell)
    try:
        with Watch(cells, console, functools.cache(tell)):
            carrier.carry_out(cells)
    finally:
        for cell in cells:  # those of workers that an interrupt has killed
            clear_lock(cell.work)
    if faults := conclude(cells, carrier.reasons, console, configurations(), results):
        failed = sum(len(fault.cells) for fault in faults)
        reasons = "; ".join(f"{fault.label}: {fault.reason}" for fault in faults)
        raise ClrbenchError(f"{failed} of {len(cells)} runs failed; the same call tries them again: {reasons}")
    runs = [run for cell in cells for run in run_of(cell.record, OWN)]
    arms = arms_of(runs)
    return Comparison(runs_frame(runs), differences_frame(arms))


def _launch(count: int, classes: Sequence[Any]) -> Launch:
    """Runs jobs in `count` processes, which know the `classes`; one after another in this process, where it is 1."""

    def launch(jobs: Sequence[Path]) -> Sequence[str | None]:
        if count == 1:
            return [_reason(job) for job in jobs]
        # joblib pickles classes of a notebook by what they are, and not by their names, which only this process knows.
        workers = Parallel(n_jobs=count, initializer=end_with_parent)
        return list(workers(delayed(_in_worker)(job, classes) for job in jobs))

    return launch


def _in_worker(job: Path, classes: Sequence[Any]) -> str | None:
    as_worker()
    for given in classes:
        made = getattr(given, "func", given)
        if made.__module__ == "__main__":
            vars(sys.modules["__main__"])[made.__qualname__] = made
    return _reason(job)


def _reason(job: Path) -> str | None:
    """Carry out a job; why it failed, None where it did not."""
    try:
        run_job(job)
    except Exception as error:
        kind = "" if isinstance(error, ClrbenchError) else f"{type(error).__name__}: "
        return f"{kind}{' '.join(str(error).split())}"
    return None
