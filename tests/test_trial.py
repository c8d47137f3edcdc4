"""What a net is tried with before its run starts: a wrong output ends in one line, and nothing of the run changes."""

from collections.abc import Callable
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from specs import resolved
from torch import Tensor, nn

from clrbench.errors import ConfigError
from clrbench.training.build import build

Shape = tuple[int, int, int]


class Flat(nn.Module):
    """A linear net; `ends` makes its output of the scores."""

    ends: Callable[[Tensor], Any] = staticmethod(lambda scores: scores)

    def __init__(self, shape: Shape, classes: int, **settings: Any) -> None:
        super().__init__()
        channels, height, width = shape
        self.norm = nn.BatchNorm2d(channels)
        self.last = nn.Linear(channels * height * width, classes)

    def forward(self, images: Tensor) -> Any:
        return type(self).ends(self.last(self.norm(images).flatten(1)))


class Softmax(Flat):
    ends = staticmethod(lambda scores: scores.softmax(1))


class LogSoftmax(Flat):
    ends = staticmethod(lambda scores: scores.log_softmax(1))


class Dictionary(Flat):
    ends = staticmethod(lambda scores: {"logits": scores})


class Narrow(Flat):
    ends = staticmethod(lambda scores: scores[:, :3])


class Raising(Flat):
    @staticmethod
    def ends(scores: Tensor) -> Tensor:
        raise RuntimeError("broken")


class Lazy(nn.Sequential):
    def __init__(self, shape: Shape, classes: int, **settings: Any) -> None:
        super().__init__(nn.Flatten(), nn.LazyLinear(classes))


class Module(pl.LightningModule):
    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        raise RuntimeError("its own")


def built(net: type) -> Any:
    return build(resolved(f"model.net._target_={__name__}.{net.__name__}"))


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (Softmax, r"Softmax ends in a softmax, which the loss applies itself"),
        (LogSoftmax, r"LogSoftmax ends in a log-softmax, which the loss applies itself"),
        (Dictionary, r"Dictionary puts out a dict in evaluation: return the scores \(n, classes\) alone"),
        (Narrow, r"Narrow puts out \(2, 3\) for 2 images, not \(2, 10\)"),
        (Module, r"Module is a LightningModule, whose training_step .* name the torch\.nn\.Module within it"),
    ],
)
def test_a_net_that_cannot_be_trained_as_it_is_meant_is_refused_in_one_line(net: type, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        built(net)
    assert "\n" not in str(caught.value)


def test_the_trial_changes_neither_the_net_nor_the_random_numbers_that_follow() -> None:
    module = built(Flat)
    after = torch.rand(1)
    torch.manual_seed(resolved().config.seed)
    fresh = Flat((3, 2, 2), 10)
    assert torch.equal(after, torch.rand(1))
    assert all(torch.equal(value, module.net.state_dict()[name]) for name, value in fresh.state_dict().items())
    assert module.net.training


def test_lazy_layers_are_made_and_are_the_same_for_the_same_seed() -> None:
    first, second = built(Lazy).net[1].weight, built(Lazy).net[1].weight
    assert first.shape == (10, 12)
    assert torch.equal(first, second)


def test_what_a_net_raises_is_left_to_the_run_which_keeps_the_traceback() -> None:
    assert isinstance(built(Raising).net, Raising)
