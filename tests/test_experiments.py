"""Every experiment of conf/experiment, from its configuration to a record, at the size of seconds."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, composed
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from clrbench import config
from clrbench.config import Config, checked, in_iterations
from clrbench.range_test.measuring import wants_measured_bounds
from clrbench.store import FINISHED
from clrbench.sweep.screening import wants_screened_bounds
from clrbench.training.console import Console
from clrbench.training.run import train

EXPERIMENTS = sorted(path.stem for path in (ROOT / "conf" / "experiment").glob("*.yaml"))
IMAGES, STEPS = 100, 4
SMALLEST = {"resnet": 8, "stochastic_depth": 8, "densenet": 7}


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of made-up images of few pixels, under the names of real sets."""
    folder = tmp_path_factory.mktemp("sets")
    for name, classes, side in (("cifar10", 10, 12), ("cifar100", 100, 12), ("imagenet", 10, 64)):
        pixels = np.random.default_rng(0).integers(0, 256, (IMAGES, side, side, 3), np.uint8)
        labels = np.arange(IMAGES) % classes
        np.savez(folder / f"{name}.npz", x_train=pixels, y_train=labels, x_test=pixels[:10], y_test=labels[:10])
    return folder


def last_cell(experiment: str) -> list[str]:
    """The overrides of the last run of an experiment's sweep, but for the seed."""
    config.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        swept = compose("config", [f"experiment={experiment}"], return_hydra_config=True).hydra.sweeper.params
    return [f"{key}={str(values).rpartition(',')[2]}" for key, values in swept.items() if key != "seed"]


def made_small(run: DictConfig) -> Config:
    """The same with the smallest net of its kind, stretched to STEPS iterations."""
    if wants_measured_bounds(run) or wants_screened_bounds(run):
        run.bounds.base_lr, run.bounds.max_lr = 0.002, 0.03  # as in bounds=small_cnn
    chosen = checked(run)
    chosen.scale = STEPS / in_iterations(chosen.iterations, IMAGES // chosen.data.batch_size, "iterations")
    if chosen.model.name in SMALLEST:
        chosen.model.net["depth"] = SMALLEST[chosen.model.name]
    return chosen


@pytest.mark.parametrize(
    ("experiment", "cell"),
    [
        *((experiment, "the last") for experiment in EXPERIMENTS),
        *(("table4_cifar10", f"arm=table4/{net}_triangular") for net in ("resnet", "stochastic_depth")),
    ],
)
def test_an_experiment_goes_from_its_configuration_to_a_record(tmp_path: Path, sets: Path, experiment: str, cell: str) -> None:
    chosen = last_cell(experiment) if cell == "the last" else [cell]
    if experiment.startswith("imagenet"):
        chosen += ["data=npz", "data.name=imagenet", f"data.path={sets}/imagenet.npz"]  # not 224x224 pixels, from memory
    quick = ("tracking.wandb=disabled", "data.batch_size=10", "trainer.threads=1", "trainer.evaluate_every=100")
    paths = (f"paths.data={sets}", f"paths.results={tmp_path}/results", f"paths.outputs={tmp_path}/outputs")
    run = made_small(composed(f"experiment={experiment}", *chosen, *quick, *paths))
    result, record = train(run, Console(silent=True))
    assert (result.status, result.experiment) == (FINISHED, experiment)
    assert record.evaluations()[-1].iteration == result.iterations
    shutil.rmtree(run.paths.outputs)  # the weights of AlexNet are hundreds of megabytes
