"""Carrying out the ramps of a range test, for whoever wants their bounds first, or only looking for them."""

import time
from pathlib import Path

from clrbench.claim import HeldElsewhereError
from clrbench.config import Config
from clrbench.data.load import load
from clrbench.errors import ClrbenchError, ConfigError
from clrbench.spec import resolve
from clrbench.store import FAILED, Record, run_folder

_EVERY = 1.0


def carry_out(config: Config) -> Record:
    """Carry out a ramp, or wait for the process that does at present. Raises ClrbenchError where it fails."""
    # Only now, for these take seconds to import.
    from clrbench.training.lean import Console, train

    while True:
        try:
            result, record = train(config, Console())
        except HeldElsewhereError:
            time.sleep(_EVERY)
            continue
        if result.status == FAILED:
            raise ClrbenchError(f"the range test failed: {result.reason}")
        return record


def look_up(config: Config) -> Record:
    """The record of a ramp, where nothing may be started. Raises ConfigError where it was not carried out before."""
    spec = resolve(config, load(config.data, config.paths))
    record = Record(run_folder(Path(config.paths.results), config.experiment, spec.name))
    result = record.result()
    if result is None or result.status == FAILED:
        command = f"make range-test DATA={config.data.name} MODEL={config.model.name}"
        raise ConfigError(f"bounds=range_test: not measured yet: `{command}` does it, as does the sweep itself")
    return record
