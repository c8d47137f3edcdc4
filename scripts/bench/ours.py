"""The suite's own training: `train`, as `python train.py` calls it, timed by its own record."""

import contextlib
import io
import tempfile
from dataclasses import replace
from pathlib import Path

from hydra import compose, initialize_config_dir

from bench.sizes import BLOCKS
from clrbench import config as form
from clrbench import store
from clrbench.config import Config, PathNames
from clrbench.data.load import load
from clrbench.errors import ClrbenchError
from clrbench.spec import RunSpec, resolve
from clrbench.training.lean import Console, train


def configure(conf: Path, images: Path, block: int, *choices: str) -> Config:
    """The configuration of a training of BLOCKS blocks on the .npz file `images`, with further choices of conf/."""
    lengths = [f"iterations={BLOCKS * block}", f"trainer.evaluate_every={block}", "policy.step_size=2000"]
    data = ["data=npz", f"data.path={images}", "data.split=paper", f"paths.outputs={images.parent}"]
    return composed(conf, *data, *lengths, "tracking.wandb=disabled", *choices)


def composed(conf: Path, *choices: str) -> Config:
    """The configuration of `choices` of conf/."""
    form.register()
    with initialize_config_dir(str(conf), version_base="1.3"):
        return form.checked(compose("config", list(choices)))


def spec_of(config: Config) -> RunSpec:
    """The run that `config` describes, for what is timed in parts."""
    return resolve(config, load(config.data, config.paths))


def measured(config: Config) -> tuple[int, int]:
    """The iterations between which a step is timed: the ends of the first block and of the last but one."""
    block = int(config.trainer.evaluate_every)
    return block, (BLOCKS - 1) * block


def ms_per_step(config: Config) -> float:
    """Carry out the whole training; milliseconds a step over its measured blocks.

    The clock is the record's: it stands still during evaluations.
    """
    with tempfile.TemporaryDirectory() as folder:
        # A record of its own each time: `train` does nothing where it finds one.
        seconds = _seconds_at(replace(config, paths=PathNames(data=folder, results=folder, outputs=folder)))
    first, last = measured(config)
    return 1000 * (seconds[last] - seconds[first]) / (last - first)


def _seconds_at(config: Config) -> dict[int, float]:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        result, record = train(config, Console())
    check(result)
    if "W&B" in said.getvalue():
        raise ClrbenchError(f"the training to be timed lacks W&B: {said.getvalue().strip()}")
    return {row.iteration: row.seconds for row in record.evaluations()}


def check(result: store.Result) -> None:
    """Raise ClrbenchError where a training did not come to its end."""
    if result.status != store.FINISHED:
        raise ClrbenchError(f"the training to be timed {result.status}: {result.reason}")
