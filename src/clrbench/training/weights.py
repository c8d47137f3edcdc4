"""Weights other than those in training, for an evaluation: batch-norm statistics made anew, then all put back."""

import contextlib
import copy
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from clrbench.models.caffe import CaffeBatchNorm
from clrbench.spec import RunSpec
from clrbench.training.feed import stream
from clrbench.training.module import Classifier

# The batches that statistics are made of, at most an epoch; schedulefree's README takes as many.
BATCHES = 50
NewStatistics = Callable[[Classifier], None]


def new_statistics(spec: RunSpec, module: Classifier) -> None:
    """Make the batch-norm statistics of the module's net anew, over the first batches of training, as training sees them.

    The random state stays as it is. A net without batch norm costs nothing.
    """
    batches = itertools.islice(stream(spec, 0), min(BATCHES, spec.iterations_per_epoch))
    inputs: Iterator[Tensor] = (module.inputs(pixels, iteration) for iteration, (pixels, _) in enumerate(batches))
    with torch.no_grad(), torch.random.fork_rng(), module.trainer.precision_plugin.forward_context():
        update_bn(inputs, module.net)
    for layer in module.net.modules():
        if isinstance(layer, CaffeBatchNorm):
            layer.hold_means()


@contextlib.contextmanager
def standing_in(module: Classifier, net: nn.Module) -> Iterator[None]:
    """Let `net` take the place of the module's net."""
    own, module.net = module.net, net
    try:
        yield
    finally:
        module.net = own


class Modes(pl.Callback):
    """Switches an optimizer that trains other weights than it evaluates, as those of schedulefree do; leaves others alone.

    Training ends with the weights to evaluate in place, and with their batch-norm statistics.
    """

    def __init__(self, statistics: NewStatistics) -> None:
        self._statistics = statistics

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Train the weights that are to be trained."""
        if (optimizer := _with_modes(trainer)) is not None:
            optimizer.train()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the weights to evaluate."""
        assert isinstance(pl_module, Classifier)
        self._switch(trainer, pl_module)

    @contextlib.contextmanager
    def evaluating(self, module: Classifier) -> Iterator[None]:
        """Within, the module has the weights to evaluate; then again, to the last bit, those in training."""
        optimizer = _with_modes(module.trainer)
        if optimizer is None:
            yield
            return
        trained = copy.deepcopy(module.net.state_dict())
        self._switch(module.trainer, module)
        yield
        optimizer.train()
        module.net.load_state_dict(trained)  # train() alone would leave the rounding of the way there and back

    def _switch(self, trainer: pl.Trainer, module: Classifier) -> None:
        if (optimizer := _with_modes(trainer)) is not None:
            optimizer.eval()
            self._statistics(module)


def _with_modes(trainer: pl.Trainer) -> Any:
    """The optimizer of the run if it has modes to train and to evaluate in, None if it has not."""
    (optimizer,) = trainer.optimizers
    return optimizer if hasattr(optimizer, "eval") else None
