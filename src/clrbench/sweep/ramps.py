"""Carrying out a range test, for whoever wants bounds first, or only looking for one that was carried out before."""

import time
from pathlib import Path

from clrbench.config import Config
from clrbench.data.load import load
from clrbench.errors import ClrbenchError, ConfigError
from clrbench.lock import HeldElsewhereError
from clrbench.range_test.measure import Say, measure
from clrbench.range_test.records import Measured
from clrbench.spec import resolve
from clrbench.store import FAILED, Record, run_folder
from clrbench.tracking.judgement import mirror_judgement

_EVERY = 1.0


def carry_out(config: Config, say: Say) -> Measured:
    """Carry out the ramps that are left, judge them all, and mirror that. Raises ClrbenchError where a ramp fails."""
    if config.task.is_own:
        from clrbench.tasks.bounds import measure_own

        return measure_own(config, say)
    measured = measure(config, carry_out_ramp, say)
    mirror_judgement(measured, config, say)
    return measured


def look_up(config: Config, say: Say) -> Measured:
    """Judge ramps, where nothing may be started. Raises ConfigError where they were not carried out before."""
    if config.task.is_own:
        from clrbench.tasks.bounds import look_up_own

        return look_up_own(config, say)
    return measure(config, _look_up_ramp, say)


def carry_out_ramp(config: Config) -> Record:
    """Carry out a ramp, or wait for the process that does at present. Raises ClrbenchError where it fails."""
    # Only now, for these take seconds to import.
    from clrbench.tracking.wandb import WandbMirrors
    from clrbench.training.lean import Console, train

    while True:
        try:
            result, record = train(config, Console(), mirrors=WandbMirrors())
        except HeldElsewhereError:
            time.sleep(_EVERY)
            continue
        if result.status == FAILED:
            raise ClrbenchError(f"the range test failed: {result.reason}")
        return record


def _look_up_ramp(config: Config) -> Record:
    spec = resolve(config, load(config.data, config.paths))
    record = Record(run_folder(Path(config.paths.results), config.experiment, spec.name))
    result = record.result()
    if result is None or result.status == FAILED:
        command = f"make range-test DATA={config.data.name} MODEL={config.model.name}"
        raise ConfigError(f"bounds=range_test: not measured yet: `{command}` does it, as does the sweep itself")
    return record
