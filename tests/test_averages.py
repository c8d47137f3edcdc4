"""What is evaluated beside the last weights of a run."""

import contextlib
import types
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from clrbench.config import Config
from clrbench.data.load import load
from clrbench.errors import ConfigError
from clrbench.spec import resolve
from clrbench.store import Record
from clrbench.training import run as running
from clrbench.training.averages import ENSEMBLE, Averages
from clrbench.training.build import build
from clrbench.training.console import Console

MakeConfig = Callable[..., Config]
ALL = "averages=[cycle_ends,ema,ensemble]"
SHORT = ("data.training_images=100", "data.batch_size=10", "policy.step_size=1 epoch", "trainer.threads=1")


def trained(config: Config) -> tuple[Record, dict[str, torch.Tensor]]:
    result, record = running.train(config, Console(silent=True))
    assert result.status == "finished", result.reason
    spec = resolve(config, load(config.data, config.paths, print))
    return record, torch.load(running.RunFolders.of(spec).weights, weights_only=True)


def last_weights(rows: Record) -> list[tuple[Any, ...]]:
    """What the evaluations say of the last weights."""
    return [
        (row.iteration, row.lr, row.train_loss, row.metrics["test_loss"], row.metrics["test_accuracy"])
        for row in rows.evaluations()
    ]


# Batch norm, and random numbers in training.
@pytest.mark.slow
@pytest.mark.parametrize("model", ["model=small_cnn", "model=stochastic_depth"])
def test_averages_leave_training_as_it_is_to_the_last_bit(make_config: MakeConfig, one_thread: None, model: str) -> None:
    chosen = (*SHORT, model, "iterations=4 epochs", "bounds.base_lr=0.001", "bounds.max_lr=0.01")
    bare, weights = trained(make_config(*chosen, folder="bare"))
    observed, same = trained(make_config(*chosen, ALL, folder="observed"))
    assert last_weights(bare) == last_weights(observed)
    assert weights.keys() == same.keys()
    assert all(torch.equal(weights[name], same[name]) for name in weights)
    columns = {row.iteration: len(row.metrics) for row in observed.evaluations()}
    assert columns == {10: 2, 20: 8, 30: 2, 40: 8}


def test_the_columns_are_those_of_means_of_weights_and_of_predictions_at_cycle_ends(make_config: MakeConfig) -> None:
    # With triangular cycles, a run of one cycle is the first half of a run of two.
    config = make_config(*SHORT, "policy=triangular", "iterations=4 epochs", ALL, "ema_epochs=1e-9", folder="two")
    record, second = trained(config)
    _, first = trained(make_config(*SHORT, "policy=triangular", "iterations=2 epochs", folder="one"))
    metrics = record.evaluations()[-1].metrics
    module = build(resolve(config, load(config.data, config.paths, print))).eval()
    images = load(config.data, config.paths, print).images.test

    def scores(weights: dict[str, torch.Tensor]) -> torch.Tensor:
        module.load_state_dict(weights)
        with torch.no_grad():
            return torch.cat([module(batch) for batch in torch.from_numpy(images.pixels).split(250)])

    def accuracy(scores: torch.Tensor) -> float:
        return 100 * float((scores.argmax(1).numpy() == images.labels).mean())

    of_mean = scores({name: (first[name] + second[name]) / 2 for name in first})
    of_both = (scores(first).softmax(1) + scores(second).softmax(1)) / 2
    assert metrics["test_accuracy_cycle_ends"] == pytest.approx(accuracy(of_mean), abs=1e-3)
    assert metrics["test_accuracy_ensemble"] == pytest.approx(accuracy(of_both), abs=1e-3)
    loss = F.nll_loss(of_both.log(), torch.from_numpy(images.labels)).item()
    assert metrics["test_loss_ensemble"] == pytest.approx(loss, rel=1e-4)
    assert metrics["test_accuracy_ema"] == metrics["test_accuracy"]  # over almost no epoch, the mean is the last weights
    assert metrics["test_loss_cycle_ends"] != metrics["test_loss"]


def test_batch_norm_statistics_of_a_mean_are_its_own(make_config: MakeConfig) -> None:
    chosen = (*SHORT, "model=cifar10_full_sigmoid_bn", "iterations=2 epochs", "ema_epochs=1e-9")
    record, _ = trained(make_config(*chosen, ALL))
    metrics = record.evaluations()[-1].metrics
    # One and the same weights: with plain means of the statistics, where the last weights have moving ones.
    assert metrics["test_loss_cycle_ends"] == pytest.approx(metrics["test_loss_ema"], rel=1e-6)
    assert metrics["test_loss_cycle_ends"] == pytest.approx(metrics["test_loss"], rel=0.2)
    assert metrics["test_loss_cycle_ends"] != metrics["test_loss"]


def test_an_interrupted_run_goes_on_with_its_averages(
    make_config: MakeConfig, interrupted_at: Callable[[int], contextlib.AbstractContextManager[None]], one_thread: None
) -> None:
    chosen = (*SHORT, "iterations=4 epochs", ALL)
    undisturbed, _ = trained(make_config(*chosen, folder="undisturbed"))
    config = make_config(*chosen, folder="interrupted")
    with interrupted_at(25):
        running.train(config, Console(silent=True))
    resumed, _ = trained(config)
    assert [row.metrics for row in resumed.evaluations()] == [row.metrics for row in undisturbed.evaluations()]


class OnDevice(torch.Tensor):
    """A tensor of another device: it can be brought to the CPU, and nothing else."""

    @classmethod
    def __torch_function__(cls, function: Any, kinds: Any, args: Any = (), kwargs: Any = None) -> torch.Tensor:
        assert function is torch.Tensor.cpu, f"{function} computes with a tensor of another device"
        return args[0].as_subclass(torch.Tensor)


def test_the_ensemble_is_summed_on_the_cpu_whence_a_checkpoint_comes_back() -> None:
    probabilities, labels = torch.tensor([[0.75, 0.25], [0.5, 0.5]]), torch.tensor([0, 1])
    there = (probabilities.as_subclass(OnDevice), labels.as_subclass(OnDevice))
    statistics: Any = None  # of means of weights, of which there are none
    before, behind = (Averages([ENSEMBLE], [8], 0.9, statistics, dict, lambda: there) for _ in range(2))
    at = types.SimpleNamespace(trainer=types.SimpleNamespace(global_step=8))
    first = before.measured(at, is_end=False)  # type: ignore[arg-type]
    behind.load_state_dict(before.state_dict())
    assert behind.measured(at, is_end=False) == pytest.approx(first)  # type: ignore[arg-type]
    assert first["test_accuracy_ensemble"] == 50


def test_a_run_with_averages_is_another_run_and_says_what_they_cost(
    make_config: MakeConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = (*SHORT, "iterations=2 epochs")
    data = load(make_config(*chosen).data, make_config(*chosen).paths, print)
    assert resolve(make_config(*chosen), data).run_id != resolve(make_config(*chosen, ALL), data).run_id
    running.train(make_config(*chosen, ALL), Console())
    assert "averages: cycle_ends, ema, ensemble took " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("averages=[swa]", "averages=swa is unknown: choose one of cycle_ends, ema, ensemble"),
        ("ema_epochs=0", "ema_epochs=0.0 is impossible: it must be above 0"),
    ],
)
def test_an_average_that_there_is_not_is_refused(make_config: MakeConfig, override: str, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        make_config(override)
    assert str(error.value) == told


def test_averages_are_refused_where_processes_share_a_batch(make_config: MakeConfig) -> None:
    with pytest.raises(ConfigError, match=r"averages=.* are measured by a single process"):
        make_config(ALL, "trainer.devices=2", "data.batch_size=10")
