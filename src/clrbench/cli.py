"""The command line around Hydra: one line for an error, a table behind a sweep, an exit code that tells."""

import contextlib
import math
import multiprocessing
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from clrbench import config, interrupts, store
from clrbench.arguments import check_arm, check_choices, check_search, options_first
from clrbench.checkout import configurations, program
from clrbench.complaints import in_one_line
from clrbench.errors import ClrbenchError, worded
from clrbench.lock import HeldElsewhereError
from clrbench.orphans import end_with_parent
from clrbench.policies import check_policy
from clrbench.range_test.measuring import wants_measured_bounds, with_measured_bounds
from clrbench.screen import say, screen
from clrbench.streams import make_lasting
from clrbench.sweep.job import JOB, Job
from clrbench.usage import without_what_nobody_chooses


def run() -> None:
    """`clrbench CHOICES`: one run, or with -m a sweep."""
    _carry_out(run_one)


def plan() -> None:
    """`clrbench plan CHOICES`: list what a sweep would do, and start nothing."""
    sys.argv[1:] = ["-m", *sys.argv[1:], "hydra.sweeper.plan_only=true"]
    run()


def decide() -> None:
    """`clrbench decide CHOICES`: which policy to take, at which rates."""
    sys.argv[1:] = ["experiment=decide", *sys.argv[1:]]
    run()


def league() -> None:
    """`clrbench league CHOICES`: which policy wins on which task."""
    sys.argv[1:] = ["experiment=league", *sys.argv[1:]]
    run()


def range_test() -> None:
    """`clrbench range-test CHOICES`: measure bounds."""
    _carry_out(measure_bounds)


def _carry_out(task: Callable[[DictConfig], Any]) -> None:
    config.register()
    main(hydra.main(version_base="1.3", config_path=str(configurations()), config_name="config")(task))


def main(hydra_main: Callable[[], Any]) -> None:
    """Run a function made by hydra.main; the process ends with 1 after an error or a failed run."""
    make_lasting()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # makes Hydra raise, where it would print a paragraph of its own
    try:
        sys.argv[1:] = options_first(sys.argv[1:])
        check_choices(sys.argv[1:], [folder.name for folder in configurations().iterdir()])
        check_search(sys.argv[1:])
        _register_plugins()
        with interrupts.kept(), without_what_nobody_chooses():
            hydra_main()
    except (HydraException, OmegaConfBaseException) as error:
        _stop(in_one_line(error, sys.argv[1:], _compose_anew))
    except (ClrbenchError, OSError) as error:
        _stop(worded(error))
    except KeyboardInterrupt:
        _stop(interrupts.INTERRUPTED)


def _register_plugins() -> None:
    """Tell Hydra of the suite's sweeper and launchers, which it does not look for; a worker gets the list from its driver."""
    plugins = Plugins.instance()  # executes the modules of Hydra's own plugins anew, hence before those that derive from them
    from hydra_plugins.clrbench_cells._decision import DecisionSweeper
    from hydra_plugins.clrbench_cells._joblib import SETTINGS, WorkersLauncher
    from hydra_plugins.clrbench_cells._league import LeagueSweeper
    from hydra_plugins.clrbench_cells._slurm import SlurmLauncher
    from hydra_plugins.clrbench_cells._sweeper import CellSweeper

    plugins.register(CellSweeper)
    plugins.register(DecisionSweeper)
    plugins.register(LeagueSweeper)
    plugins.register(SlurmLauncher)
    plugins.register(WorkersLauncher)
    ConfigStore.instance().store(group="hydra/launcher", name="joblib", node=SETTINGS)


def _compose_anew(overrides: Sequence[str]) -> DictConfig:
    """What a command line with these overrides would make; for an error in one, so that Hydra is no longer needed."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(configurations()), version_base="1.3"):
        return compose("config", list(overrides))


def _stop(line: str) -> NoReturn:
    _complain(line)
    sys.exit(1)


def _complain(line: str) -> None:
    print(f"error: {line}", file=sys.stderr)


def run_one(composed: DictConfig) -> float | None:
    """Carry out a run and return its value, for a sweeper that optimises; the worst one there is for a run that diverged.

    composed: a configuration, or the job that the suite's own sweep hands over, which watches the records itself; there,
    None is returned for a run that another process holds. Raises ClrbenchError for a run that failed.
    """
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        as_worker()
    if JOB in composed:
        return run_job(Path(composed[JOB]))
    overrides = list(HydraConfig.get().overrides.task)
    try:
        check_arm(overrides)
        return _run(_bound(composed), [*config.config_dirs(HydraConfig.get()), *overrides])
    except (ClrbenchError, OSError) as error:
        if HydraConfig.get().mode == RunMode.RUN:
            _stop(worded(error))
        _record_invalid(composed, overrides, error)
        raise


def as_worker() -> None:
    """Prepare a process of a pool for runs."""
    end_with_parent()
    make_lasting()
    # joblib puts a way of its own in the place of the platform's, and with that no DataLoader can start its processes.
    multiprocessing.set_start_method(multiprocessing.get_all_start_methods()[0], force=True)


def run_job(path: Path) -> float | None:
    """Carry out the run that a sweep has written to `path`; returns its value, as run_one does."""
    job = Job.read(path)
    with contextlib.suppress(HeldElsewhereError):  # the sweep waits for the process that holds the run
        return _run(job.config, job.overrides, job, silent=True)
    return None


def _bound(composed: DictConfig) -> config.Config:
    """A composed configuration with its bounds: chosen, or measured, where it leaves them to a screening or a range test."""
    # Only now, for the way of a job needs none of it.
    from clrbench.data.load import load
    from clrbench.spec import resolve
    from clrbench.sweep.screening import with_screened_bounds

    tell = partial(say, screen())
    composed = with_screened_bounds(composed, lambda tried: resolve(tried, load(tried.data, tried.paths, tell)), tell)
    if wants_measured_bounds(composed):
        from clrbench.sweep.ramps import carry_out

        composed = with_measured_bounds(composed, carry_out, tell)
    bound = config.checked(composed)
    check_policy(bound)
    return bound


def _run(bound: config.Config, overrides: Sequence[str], job: Job | None = None, silent: bool = False) -> float:
    # Only now, for these take seconds to import.
    from clrbench.tracking.wandb import WandbMirrors
    from clrbench.training.lean import Console, train

    console = Console(silent)
    planned, branches = (None, ()) if job is None else (job.run_id, job.branches)
    result, record = train(bound, console, overrides, planned, WandbMirrors(), branches)
    if result.status == store.FAILED:
        raise ClrbenchError(result.reason)
    console.say(_ending(result, record.folder))
    worst = -math.inf if result.mode == "max" else math.inf
    return worst if result.value is None else result.value


def _record_invalid(composed: DictConfig, overrides: Sequence[str], error: Exception) -> None:
    """Leave a record of a run of another sweeper that could not even start."""
    from clrbench.sweep.invalid import invalid_record, write_invalid

    with contextlib.suppress(OSError):  # a full disk may be the very reason
        record = invalid_record(Path(composed.paths.results), composed.experiment, overrides)
        write_invalid(record, overrides, worded(error))


def measure_bounds(composed: DictConfig) -> None:
    """Carry out the ramps of a range test, print the bounds and draw the curve. The process ends with 1 after an error."""
    from clrbench.range_test.measuring import to_measure
    from clrbench.range_test.picture import draw
    from clrbench.report.terminal import print_bounds
    from clrbench.sweep.ramps import carry_out

    console = screen()
    try:
        measured = carry_out(to_measure(composed), partial(say, console))
    except (ClrbenchError, OSError) as error:
        _stop(worded(error))  # Hydra would print a line of its own about it
    picture = Path(composed.paths.outputs) / "report" / f"{measured.file_name}.svg"
    draw(measured.curves, measured.bounds, ", ".join(measured.subject), picture, measured.classes)
    typed = [*HydraConfig.get().overrides.task, "bounds=range_test"]
    print_bounds(console, measured.bounds, f"{program()} {shlex.join(typed)}")
    console.print(str(picture), markup=False)


def _ending(result: store.Result, folder: Path) -> str:
    if result.status == store.FINISHED:
        pace = result.iterations / result.seconds if result.seconds else 0
        speed = f"{result.images_per_second:,.0f} images/s" if result.images_per_second else f"{pace:,.0f} iterations/s"
        reached = f"{result.metric.replace('_', ' ')} {result.shown_value}"
        return f"{reached} after {result.iterations:,} iterations ({result.seconds:.1f} s of training, {speed})  {folder}"
    return f"{result.status}: {result.reason}  {folder}"
