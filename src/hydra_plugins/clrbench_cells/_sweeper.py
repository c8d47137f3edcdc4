"""The sweeper: carries out the cells of a sweep that are left, with any of Hydra's launchers, and ends with their table."""

import contextlib
import io
import itertools
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, ValueType
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from joblib import effective_n_jobs
from omegaconf import DictConfig, OmegaConf, open_dict

from clrbench.analysis.commands import as_typed
from clrbench.arguments import check_arm
from clrbench.config import PathNames, config_dirs
from clrbench.errors import ClrbenchError, ConfigError, worded
from clrbench.lock import clear_lock
from clrbench.screen import say, screen
from clrbench.streams import lasting
from clrbench.sweep.carry import Carrier, conclude, failures
from clrbench.sweep.cells import Cell
from clrbench.sweep.faults import Fault
from clrbench.sweep.job import JOB, JobLoader
from clrbench.sweep.plan import pace, plan_table, seeds_warning
from clrbench.sweep.planner import Planner
from clrbench.sweep.ramps import carry_out, look_up
from clrbench.sweep.settling import SETTLED, Settling, first_seed
from clrbench.sweep.watch import Watch
from clrbench.tracking.wandb_environment import unheeded


class CellSweeper(Sweeper):
    """Carries out all combinations, but none twice: what has ended is not run again, what another sweep runs is waited for.

    params: what is swept, {key: values}, before what is typed. plan_only: list the cells with their state and start nothing.
    branch: train once what runs of several budgets begin with. until: `settled` adds seeds while a claim is open.
    """

    def __init__(
        self,
        params: dict[str, str] | None = None,
        plan_only: bool = False,
        branch: bool = False,
        until: str | None = None,
    ) -> None:
        if until not in (None, SETTLED):
            raise ConfigError(f"hydra.sweeper.until={until} is unknown: take {SETTLED}, or leave it out")
        self._params, self._plan_only, self._branch, self._until = params or {}, plan_only, branch, until
        self._console = screen()
        self._say_once = cache(self._say)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Make the launcher; it and its workers get jobs in place of overrides, and compose nothing."""
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=HydraContext(JobLoader(hydra_context.config_loader), hydra_context.callbacks),
            task_function=task_function,
            config=config,
        )

    def sweep(self, arguments: list[str]) -> None:
        """Carry out the cells that the command line spans; the process ends with 1 if any of them failed."""
        if self._until == SETTLED:
            self._settle(arguments)
            return
        planner = self._planner()
        cells = planner.cells(self._combinations(arguments))
        speeds, workers = pace(Path(self._paths.results)), self._workers
        if warning := seeds_warning(cells, speeds, workers):
            self._say(warning)
        if self._plan_only:
            self._console.print(plan_table([*planner.range_tests, *cells], speeds, workers))
            return
        reasons = self._run([cell for cell in cells if cell.error is None])
        self._fail(conclude(cells, reasons, self._console, self._conf, Path(self._paths.results)), len(cells))

    def _settle(self, arguments: list[str]) -> None:
        """Carry out what the claims of the experiment need, and look at them, until they are settled."""
        if typed := next((text for text in arguments if text.startswith("seed=")), None):
            raise ConfigError(f"{typed}: hydra.sweeper.until={SETTLED} chooses the seeds itself: leave it out")
        assert self.config is not None
        planner, results = self._planner(), Path(self._paths.results)
        first = first_seed(self._params.pop("seed", None))
        settling = Settling(planner, self._combinations(arguments), self.config.experiment, first, self._conf)
        speeds, workers = pace(results), self._workers
        for line in settling.outlook(speeds, workers):
            self._say(line)
        if self._plan_only:
            self._console.print(plan_table([*planner.range_tests, *settling.next_cells()], speeds, workers))
            return
        while cells := settling.next_cells():
            self._fail(failures(cells, self._run(cells)), len(cells))
            for line in settling.look(results):
                self._say(line)
        conclude(settling.cells, {}, self._console, self._conf, results)

    def _run(self, able: Sequence[Cell]) -> dict[Cell, str]:
        """Carry out cells that can be run, show how far they are, and return why those that failed did."""
        is_tracked = any(cell.job is not None and cell.job.config.tracking.wandb != "disabled" for cell in able)
        if is_tracked and (line := unheeded()):
            self._say(line)  # once, for workers say nothing
        carrier = Carrier(self._launch, self._say)
        with _interruptible(able), Watch(able, self._console, self._say_once), _workers_stderr_in(self._log):
            carrier.carry_out(able)
        return carrier.reasons

    def _combinations(self, arguments: list[str]) -> list[list[str]]:
        assert self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        params = [f"{key}={values}" for key, values in self._params.items()]
        all_overrides = combinations(parser.parse_overrides([*params, *arguments]))
        for overrides in all_overrides:
            check_arm(overrides)
        return all_overrides

    def _planner(self) -> Planner:
        assert self.config is not None
        find_bounds = look_up if self._plan_only else carry_out
        typed = config_dirs(self.config.hydra)
        return Planner(self._compose, self._paths, self._say, self.config.experiment, find_bounds, typed, self._branch)

    @property
    def _workers(self) -> int:
        """How many runs go on at a time: as many as the launcher says, else one for each core."""
        assert self.config is not None
        launcher = self.config.hydra.launcher
        if str(launcher._target_).endswith(".BasicLauncher"):
            return 1
        tasks = launcher.get("array_parallelism")
        return int(tasks) if tasks else int(effective_n_jobs(launcher.get("n_jobs") or -1))

    @property
    def _conf(self) -> Path:
        """The folder of the suite's configurations, which is not what --config-dir names."""
        assert self.config is not None
        return next(Path(source.path) for source in self.config.hydra.runtime.config_sources if source.provider == "main")

    @property
    def _paths(self) -> PathNames:
        assert self.config is not None
        return PathNames(**OmegaConf.to_container(self.config.paths, resolve=True))  # type: ignore[arg-type]

    @property
    def _log(self) -> Path:
        return Path(self._paths.outputs) / "sweeps" / "workers.log"

    def _compose(self, overrides: Sequence[str]) -> DictConfig:
        assert self.hydra_context is not None
        assert self.config is not None
        composed = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(composed):
            del composed["hydra"]
        return composed

    def _say(self, line: str) -> None:
        say(self._console, line)

    def _launch(self, jobs: Sequence[Path]) -> Sequence[str | None]:
        assert self.launcher is not None
        returns = self.launcher.launch([[f"{JOB}={job}"] for job in jobs], initial_job_idx=0)
        return [_reason(returned) for returned in returns]

    def _fail(self, found: Sequence[Fault], cells: int) -> None:
        """Say what failed of so many cells; the process ends with 1 where anything did."""
        for fault in found:
            print(f"failed: {fault.label}: {fault.reason}", file=sys.stderr)
        if found:
            failed = [cell for fault in found for cell in fault.cells]
            print(
                f"{len(failed)} of {cells} runs failed; the same command tries them again. "
                f"{_records_of(failed)}; what their processes said: {self._log}",
                file=sys.stderr,
            )
            sys.exit(1)


def combinations(overrides: Sequence[Override]) -> list[list[str]]:
    """All combinations of what the overrides sweep over; of two that set one key the later counts."""
    choices: dict[str, list[str]] = {}
    for override in overrides:
        key = override.get_key_element()
        if not override.is_sweep_override():
            choices[key] = [as_typed(f"{key}={override.get_value_element_as_str()}")]
        elif override.is_discrete_sweep():
            choices[key] = [as_typed(f"{key}={value}") for value in override.sweep_string_iterator()]
            if not choices[key]:
                raise ConfigError(_nothing(override))
        else:
            raise ConfigError(f"{override.input_line}: an interval has no end of values: list those that you want, {key}=1,2,3")
    return [list(combination) for combination in itertools.product(*choices.values())]


def _nothing(override: Override) -> str:
    """One line on a sweep over no values."""
    if override.value_type == ValueType.GLOB_CHOICE_SWEEP:
        remedy = "glob finds choices of a group only, those that --help lists: name one of them, or list values, as seed=1,2,3"
    else:
        remedy = "range goes from the first up to below the last: write seed=range(1,4) for 1, 2 and 3"
    return f"{override.input_line} has no values: {remedy}"


def _records_of(failed: Sequence[Cell]) -> str:
    """Where the records of cells that failed lie, and of how many none could be written."""
    kept = [cell for cell in failed if cell.record.folder.is_dir() or cell.invalid.folder.is_dir()]
    where = ", ".join(sorted({str(cell.invalid.folder.parent) for cell in kept}))
    told = [f"Their records: {where}"] * bool(kept)
    told += [f"{len(failed) - len(kept)} could not be recorded"] * (len(kept) < len(failed))
    return "; ".join(told)


def _reason(returned: JobReturn) -> str | None:
    """Why a job failed, None where it did not."""
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # Hydra would say the overrides of the job, which a job has none of
            _ = returned.return_value
    except (ClrbenchError, OSError) as error:
        return worded(error)
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    return None


@contextlib.contextmanager
def _interruptible(cells: Sequence[Cell]) -> Iterator[None]:
    """Take a termination for a Ctrl-C, and after either leave no lock of workers that the launcher killed."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the rest is done in a moment
        for cell in cells:
            clear_lock(cell.work)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _workers_stderr_in(log: Path) -> Iterator[None]:
    """Lead what worker processes say, such as their tracebacks after a Ctrl-C, to a file; not what this process says."""
    with contextlib.suppress(OSError):
        log.parent.mkdir(parents=True, exist_ok=True)
    ours = os.dup(2)
    with os.fdopen(ours, "w", buffering=1) as stderr, contextlib.redirect_stderr(lasting(stderr)):
        theirs = _opened(log)
        os.dup2(theirs, 2)
        os.close(theirs)
        try:
            yield
        finally:
            os.dup2(ours, 2)


def _opened(log: Path) -> int:
    try:
        return os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)
