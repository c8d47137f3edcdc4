"""The command line around Hydra: one line for an error, a table behind a sweep, an exit code that tells."""

import multiprocessing
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from clrbench import store
from clrbench.claim import HeldElsewhereError
from clrbench.complaints import in_one_line
from clrbench.config import checked
from clrbench.errors import ClrbenchError
from clrbench.policies import check_policy
from clrbench.range_test.measure import wants_measured_bounds, with_measured_bounds
from clrbench.sweep.orphans import end_with_parent


def main(hydra_main: Callable[[], Any]) -> None:
    """Run a function made by hydra.main; the process ends with 1 after an error or a failed run."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # makes Hydra raise, where it would print a paragraph of its own
    try:
        hydra_main()
    except (HydraException, OmegaConfBaseException) as error:
        _stop(in_one_line(error, sys.argv[1:], _compose_anew))
    except (ClrbenchError, OSError) as error:
        _stop(" ".join(str(error).split()))
    except ValueError as error:
        if "Config group override" not in str(error):
            raise
        _stop(f"{_chosen_null(sys.argv[1:])}: null is no choice: leave it out, which chooses nothing, or name one")
    except KeyboardInterrupt:
        _stop("interrupted; the same command goes on from the last evaluation")


def _chosen_null(overrides: Sequence[str]) -> str:
    return next((text for text in overrides if text.endswith("=null")), "null")


def _compose_anew(overrides: Sequence[str]) -> DictConfig:
    """What a command line with these overrides would make; for an error in one, so that Hydra is no longer needed."""
    GlobalHydra.instance().clear()
    here = Path(sys.argv[0]).resolve().parent
    conf = next(folder for folder in (here / "conf", here.parent / "conf") if folder.is_dir())
    with initialize_config_dir(str(conf), version_base="1.3"):
        return compose("config", list(overrides))


def _stop(line: str) -> NoReturn:
    _complain(line)
    sys.exit(1)


def _complain(line: str) -> None:
    print(f"error: {line}", file=sys.stderr)


def run_one(composed: DictConfig) -> str | None:
    """Carry out the one run of a command and say how it ended, or one run of a sweep, which watches the records itself.

    Alone, the process ends with 1 after an error; in a sweep, the reason is returned.
    """
    sweeping = HydraConfig.get().mode == RunMode.MULTIRUN
    if sweeping:
        end_with_parent()
        # joblib puts a way of its own in the place of the platform's, and with that no DataLoader can start its processes.
        multiprocessing.set_start_method(multiprocessing.get_all_start_methods()[0], force=True)
    try:
        reason = _run_one(composed, sweeping)
    except (ClrbenchError, OSError) as error:
        reason = " ".join(str(error).split())
    if reason is not None and not sweeping:
        _stop(reason)
    return reason


def _run_one(composed: DictConfig, sweeping: bool) -> str | None:
    if wants_measured_bounds(composed):
        from clrbench.range_test.carry import carry_out

        # Of its bounds a sweep has said all, once, before its runs.
        composed = with_measured_bounds(composed, carry_out, (lambda _: None) if sweeping else print)
    config = checked(composed)
    check_policy(config)
    # Only now, for these take seconds to import.
    from clrbench.training.lean import Console, train

    console = Console(silent=sweeping)
    try:
        result, record = train(config, console, list(HydraConfig.get().overrides.task))
    except HeldElsewhereError:
        if sweeping:
            return None  # the sweep waits for the process that holds the run
        raise
    if result.status == store.FAILED:
        return result.reason
    console.say(_ending(result, record.folder))
    return None


def command_with(script: str, *overrides: str) -> str:
    """The command that runs `script` with what was typed for this one, and with `overrides`."""
    return f"python {script} {shlex.join([*HydraConfig.get().overrides.task, *overrides])}"


def _ending(result: store.Result, folder: Path) -> str:
    if result.status == store.FINISHED:
        speed = f"{result.seconds:.1f} s of training, {result.images_per_second:,.0f} images/s"
        reached = f"{result.metric.replace('_', ' ')} {result.shown_value}"
        return f"{reached} after {result.iterations:,} iterations ({speed})  {folder}"
    return f"{result.status}: {result.reason}  {folder}"
