"""What a module's own schedulers have changed is put back where a policy sets its rates."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import CyclicLR, LambdaLR, LRScheduler, OneCycleLR

from clrbench.own_schedulers import put_back

Make = Callable[..., Optimizer]


def groups() -> list[dict[str, Any]]:
    return [{"params": [torch.nn.Parameter(torch.zeros(2))], "lr": rate} for rate in (0.01, 0.1)]


@pytest.mark.parametrize("scheduler", [lambda made: OneCycleLR(made, 0.5, 100), lambda made: CyclicLR(made, 0.01, 0.1)])
@pytest.mark.parametrize(
    ("optimizer", "key", "value", "told"),
    [
        (lambda: SGD(groups(), momentum=0.3), "momentum", 0.3, ["momentum=0.3"]),
        (lambda: AdamW(groups(), betas=(0.5, 0.7)), "betas", (0.5, 0.7), ["beta1=0.5"]),
    ],
)
def test_momentum_and_betas_are_the_optimizers_again(
    scheduler: Callable[[Optimizer], LRScheduler], optimizer: Make, key: str, value: Any, told: list[str]
) -> None:
    made = optimizer()
    scheduler(made)
    assert made.param_groups[0][key] != value
    assert put_back([made]) == told
    assert [group[key] for group in made.param_groups] == [value, value]


def test_a_momentum_that_no_scheduler_has_changed_stays_the_groups_own() -> None:
    first, second = groups()
    made = SGD([first | {"momentum": 0.5}, second], momentum=0.3)
    OneCycleLR(made, 0.5, 100, cycle_momentum=False)
    assert put_back([made]) == []
    assert [group["momentum"] for group in made.param_groups] == [0.5, 0.3]


@pytest.mark.parametrize("of", [float, torch.tensor])
def test_rates_are_those_before_the_scheduler_and_setting_them_changes_no_other(of: Callable[[float], Any]) -> None:
    made = SGD([group | {"lr": of(group["lr"])} for group in groups()])
    LambdaLR(made, lambda step: min(1, step / 10))
    put_back([made])
    assert [float(group["lr"]) for group in made.param_groups] == pytest.approx([0.01, 0.1])
    assert all(group["lr"] is not group["initial_lr"] for group in made.param_groups if isinstance(group["lr"], torch.Tensor))
