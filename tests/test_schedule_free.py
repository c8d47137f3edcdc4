"""Optimizers that train other weights than they evaluate."""

import importlib.util
from collections.abc import Callable

import pytest
import torch
from test_averages import SHORT, last_weights, trained

from clrbench.config import Config
from clrbench.optim import schedule_free
from clrbench.training import run as running
from clrbench.training.console import Console

MakeConfig = Callable[..., Config]
CHOSEN = (*SHORT[:2], "policy=fixed", "policy.base_lr=0.05", "iterations=3 epochs", "trainer.threads=1")
IS_THERE = importlib.util.find_spec("schedulefree") is not None


class Halving(torch.optim.SGD):
    """SGD whose weights are to be evaluated at half their size."""

    is_training = False

    def train(self) -> None:
        self._scale(2, True)

    def eval(self) -> None:
        self._scale(0.5, False)

    def _scale(self, factor: float, is_training: bool) -> None:
        for weight in [] if self.is_training is is_training else self.param_groups[0]["params"]:
            weight.data.mul_(factor if self.state else 1)
        self.is_training = is_training

    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        assert self.is_training
        return super().step(closure)


def halving(make_config: MakeConfig, *overrides: str, folder: str) -> Config:
    rule = ("optimizer=sgd", "optimizer.rule._target_=test_schedule_free.Halving")
    return make_config(*CHOSEN, *rule, *overrides, folder=folder)


def test_evaluations_in_another_mode_leave_training_as_it_is(make_config: MakeConfig, one_thread: None) -> None:
    often, weights = trained(halving(make_config, "trainer.evaluate_every=7", folder="often"))
    once, same = trained(halving(make_config, folder="once"))
    assert last_weights(often)[-1] != last_weights(once)[-1]  # their mean training losses are of other batches
    assert last_weights(often)[-1][3:] == last_weights(once)[-1][3:]
    assert all(torch.equal(weights[name], same[name]) for name in weights)


def test_averages_of_weights_that_are_not_evaluated_are_refused(make_config: MakeConfig) -> None:
    result, _ = running.train(halving(make_config, "averages=[ema]", folder="one"), Console(silent=True))
    assert "averages=[...] are of the weights in training, which optimizer=sgd does not evaluate" in str(result.reason)


@pytest.mark.skipif(not IS_THERE, reason="needs the package schedulefree")
def test_schedule_free_learns_at_one_rate_and_leaves_the_weights_that_it_evaluates(
    make_config: MakeConfig, one_thread: None
) -> None:
    chosen = (*CHOSEN, "optimizer=schedule_free", "policy.base_lr=0.2", "iterations=12 epochs")
    record, weights = trained(make_config(*chosen, "model=cifar10_full_sigmoid_bn", folder="one"))
    assert record.evaluations()[-1].metrics["test_accuracy"] > 30
    _, same = trained(make_config(*chosen, "model=cifar10_full_sigmoid_bn", "trainer.evaluate_every=25", folder="other"))
    assert all(torch.equal(weights[name], same[name]) for name in weights)


@pytest.mark.skipif(IS_THERE, reason="the package schedulefree is installed")
def test_a_missing_package_is_told_in_one_line(make_config: MakeConfig) -> None:
    result, _ = running.train(make_config(*CHOSEN, "optimizer=schedule_free"), Console(silent=True))
    assert "optimizer=schedule_free needs the package schedulefree: pip install 'clrbench[schedule_free]'" in str(result.reason)
    with pytest.raises(ImportError, match="pip install"):
        schedule_free([torch.zeros(1, requires_grad=True)])
