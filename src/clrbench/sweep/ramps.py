"""Carrying out a range test, for whoever wants bounds first, or only looking for one that was carried out before."""

import time
from collections.abc import Sequence
from pathlib import Path

from clrbench.checkout import here
from clrbench.config import Config
from clrbench.data.load import load
from clrbench.errors import ClrbenchError, ConfigError
from clrbench.lock import HeldElsewhereError
from clrbench.range_test.measuring import Say, measure, ramp_config, scan_config
from clrbench.range_test.records import Measured
from clrbench.spec import RunSpec, resolve
from clrbench.store import FAILED, Record, run_folder
from clrbench.sweep.cells import Cell
from clrbench.sweep.plan import pace, time_left
from clrbench.tracking.judgement import mirror_judgement

_EVERY = 1.0


class NotMeasuredError(ConfigError):
    """A range test that was not carried out to its end. left: its runs that are left, as far as can be known before."""

    def __init__(self, config: Config, left: Sequence[Config]) -> None:
        command = here(f"make range-test DATA={config.data.name} MODEL={config.model.name}")
        super().__init__(f"bounds=range_test: not measured yet: `{command}` does it, as does the sweep itself")
        self.left = left


def carry_out(config: Config, say: Say) -> Measured:
    """Carry out the ramps that are left, judge them all, and mirror that. Raises ClrbenchError where a ramp fails.

    say: takes a line on what is left, with the time that it takes, before anything is begun.
    """
    if config.task.is_own:
        from clrbench.tasks.bounds import measure_own

        return measure_own(config, say)
    try:
        look_up(config, say)
    except NotMeasuredError as error:
        cells = [_cell(resolve(left, load(left.data, left.paths))) for left in error.left]
        say(f"range test: {time_left(cells, pace(Path(config.paths.results)))}")
    measured = measure(config, carry_out_ramp)
    mirror_judgement(measured, config, say)
    return measured


def look_up(config: Config, say: Say) -> Measured:
    """Judge ramps, where nothing may be started. Raises NotMeasuredError where they were not carried out before.

    ConfigError for a module of one's own, as its ramps are no runs.
    """
    if config.task.is_own:
        from clrbench.tasks.bounds import look_up_own

        return look_up_own(config, say)

    _check_points(config)

    def found(asked: Config) -> Record:
        record = _ended(asked)
        if record is None:
            raise NotMeasuredError(config, _left(config, asked))
        return record

    return measure(config, found)


def _check_points(config: Config) -> None:
    """Raise ConfigError where a ramp has fewer iterations than it is to be evaluated at."""
    test, data = config.range_test, load(config.data, config.paths, lambda note: None)  # told by those who train on them
    iterations = round(test.epochs * resolve(scan_config(config), data).iterations_per_epoch)
    if iterations < test.points:
        raise ConfigError(
            f"range_test.epochs={test.epochs:g} has {iterations} iterations, too few for range_test.points={test.points}: "
            "raise range_test.epochs, or lower range_test.points"
        )


def _left(config: Config, lacking: Config) -> list[Config]:
    """The runs that are left, from the first that is lacking on; that a ramp may be laid anew, nobody knows before."""
    seeds, high = config.range_test.seeds, lacking.bounds.max_lr
    if lacking == scan_config(config):
        return [lacking, *(ramp_config(config, seed, high) for seed in seeds)]
    ramps = [ramp_config(config, seed, high, lacking.bounds.origin) for seed in seeds]
    return [ramp for ramp in ramps if _ended(ramp) is None]


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


def _cell(spec: RunSpec) -> Cell:
    """What is to be known of a run to tell its time."""
    config, nowhere = spec.config, Record(Path())
    task = (config.data.name, config.model.name)
    return Cell((), nowhere, step_id=spec.step_id, iterations=spec.iterations, task=task)


def _ended(config: Config) -> Record | None:
    """The record of a ramp or scan that was carried out."""
    spec = resolve(config, load(config.data, config.paths))
    record = Record(run_folder(Path(config.paths.results), config.experiment, spec.name))
    result = record.result()
    return None if result is None or result.status == FAILED else record
