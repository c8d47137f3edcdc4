"""Stock Lightning: the plain way of `bench/plain.py`."""

import numpy as np
import pytorch_lightning as pl
from torch.utils.data import DataLoader

from bench import plain
from bench.clock import Clock
from bench.peers.job import BFLOAT16, Job, Weights
from bench.peers.tensors import load, net_of, parameters, use_threads
from bench.ticker import Ticker
from clrbench.data.images import Images
from clrbench.quiet import quiet


def enter(job: Job) -> "Stock":
    """The contestant."""
    return Stock(job)


class Stock:
    """A LightningModule, DataLoaders over PIL images, torch's CyclicLR."""

    def __init__(self, job: Job) -> None:
        use_threads(job)
        self._job = job
        with np.load(job.images) as file:
            train, test = (Images(file[f"x_{part}"], file[f"y_{part}"]) for part in ("train", "test"))
        self._train = plain.PILImages(train)
        self._test = plain.PILImages(test, self._train.mean)
        self._classifier = plain.PlainClassifier(net_of(job))
        self.parameters = parameters(self._classifier)

    def train(self, clock: Clock) -> None:
        """Fit."""
        with quiet():
            self._trainer(Ticker(clock.tick)).fit(self._classifier, plain.loader(self._train))

    def load(self, weights: Weights) -> None:
        """Take the weights."""
        load(self._classifier.net, weights)

    def evaluate(self) -> float:
        """Lightning's validation."""
        with quiet():
            loader = DataLoader(self._test, self._job.evaluation_batch, num_workers=plain.WORKERS)
            (found,) = self._trainer().validate(self._classifier, loader, verbose=False)
        return found["validation_loss"]

    def _trainer(self, *callbacks: pl.Callback) -> pl.Trainer:
        precision = "bf16-mixed" if self._job.precision == BFLOAT16 else "32-true"
        return plain.trainer(self._job.steps, *callbacks, precision=precision)
