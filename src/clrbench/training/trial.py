"""A forward pass before a run starts: whether what a net puts out can be trained as scores."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from clrbench.errors import ConfigError
from clrbench.spec import RunSpec

_TRIED = 2
# How near to 1 the sum of probabilities is, in float32.
_ROUNDING = 1e-4


def try_out(net: nn.Module, prepare: nn.Module, spec: RunSpec) -> None:
    """Pass two made-up images through the net, as it is evaluated. Raises ConfigError where no scores (n, classes) come out.

    The random state stays as it is, unless lazy layers draw their weights here. What a net raises is left to the training,
    which keeps the traceback.
    """
    channels, height, width = spec.data.images.shape
    drawn = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (_TRIED, height, width, channels), generator=drawn, dtype=torch.uint8)
    was_training, waits = net.training, any(map(is_lazy, net.parameters()))
    net.eval()
    with torch.no_grad(), torch.random.fork_rng(devices=[], enabled=not waits):
        try:
            scores = net(prepare(pixels))
        except Exception as error:
            if any(map(is_lazy, net.parameters())):
                raise ConfigError(f"model.net: lazy layers cannot be made ({' '.join(str(error).split())[:200]})") from error
            return
        finally:
            net.train(was_training)
    _check_scores(scores, spec)


def _check_scores(scores: Any, spec: RunSpec) -> None:
    net, expected = spec.config.model.net["_target_"], (_TRIED, spec.data.images.classes)
    if not isinstance(scores, Tensor):
        raise ConfigError(
            f"model.net._target_={net} puts out a {type(scores).__name__} in evaluation: return the scores (n, classes) alone, "
            "a tensor"
        )
    if scores.shape != expected:
        raise ConfigError(
            f"model.net._target_={net} puts out {tuple(scores.shape)} for {_TRIED} images, not {expected}: its last layer is "
            "to give a score for each class (n, classes)"
        )
    for values, name in ((scores.float(), "softmax"), (scores.float().exp(), "log-softmax")):
        if bool((values >= 0).all()) and bool(((values.sum(1) - 1).abs() < _ROUNDING).all()):
            raise ConfigError(
                f"model.net._target_={net} ends in a {name}, which the loss applies itself (cross-entropy): leave it out"
            )
