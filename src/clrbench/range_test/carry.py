"""Carrying out the ramps of a range test, whoever wants their bounds first."""

import time

from clrbench.claim import HeldElsewhereError
from clrbench.config import Config
from clrbench.errors import ClrbenchError, ConfigError
from clrbench.store import FAILED, Record

_EVERY = 1.0


def carry_out(config: Config) -> Record:
    """Carry out a ramp, or wait for the process that does at present. Raises ClrbenchError where it fails."""
    # Only now, for these take seconds to import.
    from clrbench.training.console import Console
    from clrbench.training.run import train

    while True:
        try:
            result, record = train(config, Console())
        except HeldElsewhereError:
            time.sleep(_EVERY)
            continue
        if result.status == FAILED:
            raise ClrbenchError(f"the range test failed: {result.reason}")
        return record


def refuse(config: Config) -> Record:
    """Where nothing may be started. Raises ConfigError."""
    command = f"make range-test DATA={config.data.name} MODEL={config.model.name}"
    raise ConfigError(f"bounds=range_test: not measured yet: `{command}` does it, as does the sweep itself")
