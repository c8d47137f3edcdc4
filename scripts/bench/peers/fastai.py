"""fastai's Learner under its ParamScheduler, which sets the rates before every batch."""

from functools import partial

from fastai.basics import SGD, Callback, CancelFitException, DataLoader, DataLoaders, Learner
from fastai.callback.schedule import ParamScheduler
from torch.nn import functional as F

from bench.clock import Clock
from bench.peers.job import BASE_LR, MOMENTUM, WEIGHT_DECAY, Centred, Job, Weights, triangular2
from bench.peers.tensors import load, net_of, parameters, tensors, use_threads
from bench.sizes import BATCH_SIZE
from clrbench.optim import parameter_groups


def enter(job: Job) -> "Fastai":
    """The contestant."""
    return Fastai(job)


class _Ticker(Callback):
    def __init__(self, clock: Clock, steps: int) -> None:
        self._clock, self._left = clock, steps

    def after_batch(self) -> None:
        if self.training:
            self._clock.tick()
            self._left -= 1
            if not self._left:
                raise CancelFitException


class Fastai:
    """Pairs of an image and its label in memory, collated by fastai's own DataLoader; SGD with the suite's groups."""

    def __init__(self, job: Job) -> None:
        use_threads(job)
        self._job = job
        train, test = (list(zip(*tensors(part), strict=True)) for part in Centred.read(job))
        self._batches = len(train) // BATCH_SIZE
        self._net = net_of(job)
        self.parameters = parameters(self._net)
        self._groups = parameter_groups(self._net, WEIGHT_DECAY, getattr(self._net, "multipliers", {}))
        self._test = DataLoader(test, bs=job.evaluation_batch)
        # After each epoch it validates, which is not asked here: one image is enough.
        loaders = DataLoaders(DataLoader(train, bs=BATCH_SIZE, shuffle=True, drop_last=True), DataLoader(test[:1], bs=1))
        self._learner = Learner(
            loaders,
            self._net,
            F.cross_entropy,
            # Its own weight decay does not go through the momentum; this one does, as the suite's.
            opt_func=partial(SGD, mom=MOMENTUM, decouple_wd=False),
            splitter=lambda _: [group["params"] for group in self._groups],
            wd=[group["weight_decay"] for group in self._groups],
            wd_bn_bias=True,
        )

    def train(self, clock: Clock) -> None:
        """Fit."""
        epochs = -(-self._job.steps // self._batches)
        schedule = ParamScheduler({"lr": partial(self._rates, epochs * self._batches)})
        with self._learner.no_bar(), self._learner.no_logging():
            self._learner.fit(epochs, BASE_LR, cbs=[schedule, _Ticker(clock, self._job.steps)])

    def load(self, weights: Weights) -> None:
        """Take the weights."""
        load(self._net, weights)

    def evaluate(self) -> float:
        """fastai's validation."""
        with self._learner.no_bar():
            return float(self._learner.validate(dl=self._test)[0])

    def _rates(self, iterations: int, done: float) -> list[float]:
        rate = triangular2(round(done * iterations))
        return [rate * group["lr_mult"] for group in self._groups]
