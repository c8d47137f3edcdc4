"""The sweeper: carries out the cells of a sweep that are left, with any of Hydra's launchers, and ends with their table."""

import contextlib
import io
import itertools
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict
from rich.console import Console
from rich.markup import escape

from clrbench.arguments import check_arm
from clrbench.config import PathNames, config_dirs
from clrbench.errors import ClrbenchError, ConfigError
from clrbench.lock import clear_lock
from clrbench.sweep.cells import RUNNING, Cell, State, state_of
from clrbench.sweep.faults import faults
from clrbench.sweep.invalid import remove_invalid, write_invalid
from clrbench.sweep.job import JOB, JobLoader
from clrbench.sweep.plan import pace, plan_table, seeds_warning
from clrbench.sweep.planner import Planner
from clrbench.sweep.ramps import carry_out, look_up
from clrbench.sweep.watch import Watch
from clrbench.tracking.wandb_environment import unheeded

ATTEMPTS = 3
_EVERY = 0.5


class CellSweeper(Sweeper):
    """Carries out all combinations, but none twice: what has ended is not run again, what another sweep runs is waited for.

    params: what is swept, {key: values}, before what is typed. plan_only: list the cells with their state and start nothing.
    branch: train once what runs of several budgets begin with.
    """

    def __init__(self, params: dict[str, str] | None = None, plan_only: bool = False, branch: bool = False) -> None:
        self._params, self._plan_only, self._branch = params or {}, plan_only, branch
        self._console = Console(highlight=False, soft_wrap=True)
        self._attempts: Counter[Cell] = Counter()
        self._reasons: dict[Cell, str] = {}

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
        planner = self._planner()
        cells = planner.cells(self._combinations(arguments))
        speeds, workers = pace(Path(self._paths.results)), os.cpu_count() or 1
        if warning := seeds_warning(cells, speeds, workers):
            self._say(warning)
        if self._plan_only:
            self._console.print(plan_table([*planner.range_tests, *cells], speeds, workers))
            return
        able = [cell for cell in cells if cell.error is None]
        is_tracked = any(cell.job is not None and cell.job.config.tracking.wandb != "disabled" for cell in able)
        if is_tracked and (line := unheeded()):
            self._say(line)  # once, for workers say nothing
        with _interruptible(able), Watch(able, self._console), _workers_stderr_in(self._log):
            self._carry_out(able)
        self._conclude(cells)

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
        self._console.print(escape(line))

    def _carry_out(self, cells: Sequence[Cell]) -> None:
        for cell in cells:
            clear_lock(cell.work)
        while left := [cell for cell in cells if self._is_left(cell)]:
            waited_for = {cell.work for cell in left}
            free = [cell for cell in left if state_of(cell).status != RUNNING and cell.trunk not in waited_for]
            if not (free and self._launch(self._next(free))):
                # What is left is held by other sweeps: until a holder has ended or died.
                time.sleep(_EVERY)

    def _is_left(self, cell: Cell) -> bool:
        return cell not in self._reasons and not state_of(cell).is_ended

    def _next(self, free: Sequence[Cell]) -> Sequence[Cell]:
        """All of `free` at once, but a cell's last attempt alone: if it takes its process down, then no other with it."""
        return [cell for cell in free if self._attempts[cell] < ATTEMPTS - 1] or free[:1]

    def _launch(self, cells: Sequence[Cell]) -> bool:
        """Run `cells`, and note of those that failed why; False if nothing came of it."""
        assert self.launcher is not None
        try:
            returns = self.launcher.launch([[f"{JOB}={_written(cell)}"] for cell in cells], initial_job_idx=0)
        except ClrbenchError:
            raise  # the launcher's own: no attempt of any cell
        except Exception as error:
            self._note_loss(cells, f"{type(error).__name__}: {' '.join(str(error).split())}"[:200])
            return True
        for cell, returned in zip(cells, returns, strict=True):
            if reason := _reason(returned):
                self._reasons[cell] = reason
            elif self._is_left(cell) and state_of(cell).status != RUNNING:
                self._count(cell, f"its process came back {ATTEMPTS} times without a result")
        return any(not self._is_left(cell) for cell in cells)

    def _count(self, cell: Cell, reason: str) -> None:
        """Count an attempt; after the last one the cell has failed, for no sweep shall go on for ever."""
        self._attempts[cell] += 1
        if self._attempts[cell] == ATTEMPTS:
            self._reasons[cell] = reason

    def _note_loss(self, cells: Sequence[Cell], error: str) -> None:
        """Count an attempt of the cells that were under way when a process was killed, else of all: they cannot start."""
        self._say(f"a process of the sweep was lost; going on with what is left ({error})")
        lost = [cell for cell in cells if clear_lock(cell.work)]
        for cell in lost or cells:
            self._count(cell, f"its process was lost {ATTEMPTS} times, by a kill or for want of memory: {error}")

    def _conclude(self, cells: Sequence[Cell]) -> None:
        from clrbench.report.terminal import print_summary
        from clrbench.runs import OWN, run_of

        states = {cell: state_of(cell) for cell in cells}
        ended = [cell for cell in cells if states[cell].is_ended]
        for cell in ended:
            remove_invalid(cell.invalid)
        if ended:
            title = f"{len(ended)} of {len(cells)} runs, mean ± 95% interval over seeds"
            runs = [run for cell in ended for run in run_of(cell.record, OWN)]
            print_summary(self._console, title, runs, self._conf, Path(self._paths.results))
        failed = {
            cell: cell.error or self._reasons.get(cell) or state.reason or state.status
            for cell, state in states.items()
            if not state.is_ended
        }
        for cell, reason in failed.items():
            _record_failure(cell, states[cell], reason)
        for fault in faults(failed):
            print(f"failed: {fault.label}: {fault.reason}", file=sys.stderr)
        if failed:
            where = ", ".join(sorted({str(cell.invalid.folder.parent) for cell in failed}))
            print(
                f"{len(failed)} of {len(cells)} runs failed; the same command tries them again. "
                f"Their records: {where}; what their processes said: {self._log}",
                file=sys.stderr,
            )
            sys.exit(1)


def combinations(overrides: Sequence[Override]) -> list[list[str]]:
    """All combinations of what the overrides sweep over; of two that set one key the later counts."""
    choices: dict[str, list[str]] = {}
    for override in overrides:
        key = override.get_key_element()
        if not override.is_sweep_override():
            choices[key] = [f"{key}={override.get_value_element_as_str()}"]
        elif override.is_discrete_sweep():
            choices[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        else:
            raise ConfigError(f"{override.input_line}: an interval has no end of values: list those that you want, {key}=1,2,3")
    return [list(combination) for combination in itertools.product(*choices.values())]


def _written(cell: Cell) -> Path:
    """Where the job of a cell is written down for its worker."""
    assert cell.job is not None
    path = cell.work / "job.json"
    cell.job.write(path)
    return path


def _reason(returned: JobReturn) -> str | None:
    """Why a job failed, None where it did not."""
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # Hydra would say the overrides of the job, which a job has none of
            _ = returned.return_value
    except ClrbenchError as error:
        return " ".join(str(error).split())
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    return None


def _record_failure(cell: Cell, state: State, reason: str) -> None:
    """Leave a record of a cell that failed before it had one of its own."""
    if state.result is None and not state.iteration:
        with contextlib.suppress(OSError):  # a full or read-only disk may be the very reason
            write_invalid(cell.invalid, cell.overrides, reason)
    else:
        remove_invalid(cell.invalid)


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
    with os.fdopen(ours, "w", buffering=1, errors="backslashreplace") as stderr, contextlib.redirect_stderr(stderr):
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
