"""The suite: `train`, as `python train.py` calls it."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

# First, as it imports Lightning the way that a command does.
from clrbench.training.lean import Console, train  # isort: split

from bench import ours
from bench.clock import Clock
from bench.peers.job import Job, Weights
from bench.peers.tensors import load, parameters
from bench.ticker import Ticker
from clrbench.config import PathNames
from clrbench.quiet import quiet
from clrbench.training.build import build
from clrbench.training.evaluation import evaluate
from clrbench.training.feed import evaluation_batches
from clrbench.training.run import trainer


def enter(job: Job) -> "Ours":
    """The contestant."""
    return Ours(job)


class _Timed(Console):
    """Says nothing, and has a clock in the place of the bar."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(silent=True)
        self._clock = clock

    def progress(self, start: int, iterations: int, reached: Callable[[], int]) -> Ticker:
        return Ticker(self._clock.tick)


class Ours:
    """A run with its record, evaluated at its end."""

    def __init__(self, job: Job) -> None:
        threads = f"trainer.threads={job.threads or 'null'}"
        choices = (f"model={job.net}", f"seed={job.seed}", f"trainer.precision={job.precision}", threads)
        once = f"trainer.evaluate_every={job.steps}"
        self._config = ours.configure(Path(job.conf), Path(job.images), job.block, *choices, once)

    def train(self, clock: Clock) -> None:
        """Carry out the run."""
        with tempfile.TemporaryDirectory() as folder:
            # A record of its own each time: `train` does nothing where it finds one.
            paths = PathNames(data=folder, results=folder, outputs=self._config.paths.outputs)
            result, _ = train(replace(self._config, paths=paths), _Timed(clock))
        ours.check(result)

    def load(self, weights: Weights) -> None:
        """Take the weights."""
        spec = ours.spec_of(self._config)
        self._module, self._test = build(spec), evaluation_batches(spec)
        self._classes = spec.data.images.classes
        self.parameters = parameters(self._module)
        load(self._module.net, weights)
        with quiet():
            self._module.trainer = trainer(spec, self._module, [])

    def evaluate(self) -> float:
        """The evaluation of a run, accuracy included."""
        return evaluate(self._module, self._test, self._classes)["test_loss"]
