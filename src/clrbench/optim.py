"""Caffe's SGD solvers, and parameter groups with multipliers."""

from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from clrbench.unofficial import over_tensors

_add, _add_, _mul_, _sub_ = map(over_tensors, ("add", "add_", "mul_", "sub_"))


def parameter_groups(
    net: nn.Module, weight_decay: float, multipliers: Mapping[str, tuple[float, float]]
) -> list[dict[str, Any]]:
    """Group a net's parameters by their multipliers.

    weight_decay: the solver's; a group's own is this times its decay multiplier.
    multipliers: {parameter name: (lr_mult, decay_mult)}; (1, 1) for a parameter that is not named.

    Returns optimizer groups with the keys `params`, `lr_mult` and `weight_decay`. Raises KeyError for an unknown name.
    """
    parameters = dict(net.named_parameters())
    for name in multipliers:
        if name not in parameters:
            raise KeyError(f"{name} is not a parameter of {type(net).__name__}")
    members: dict[tuple[float, float], list[Tensor]] = {}
    for name, parameter in parameters.items():
        members.setdefault(multipliers.get(name, (1, 1)), []).append(parameter)
    return [
        {"params": params, "lr_mult": float(lr_mult), "weight_decay": weight_decay * decay_mult}
        for (lr_mult, decay_mult), params in members.items()
    ]


class CaffeSGD(Optimizer):
    """SGD as Caffe writes it, with the rate inside the velocity.

    v = momentum * v + lr * (gradient + weight_decay * w); w = w - v, or with `nesterov`
    w = w - ((1 + momentum) * v - momentum * v_before).

    torch.optim.SGD keeps the rate outside (w = w - lr * v): the two agree only while the rate stands still.
    """

    def __init__(
        self, params: Any, lr: float = 0.0, momentum: float = 0.9, weight_decay: float = 0.0, nesterov: bool = False
    ) -> None:
        if lr < 0 or not 0 <= momentum < 1 or weight_decay < 0:
            raise ValueError(f"impossible: lr={lr}, momentum={momentum}, weight_decay={weight_decay}")
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; returns what `closure` returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            self._update(group)
        return loss

    def _update(self, group: dict[str, Any]) -> None:
        weights = [weight for weight in group["params"] if weight.grad is not None]
        if not weights:
            return
        velocities = [self._velocity(weight) for weight in weights]
        gradients = [cast(Tensor, weight.grad) for weight in weights]
        momentum, lr = group["momentum"], group["lr"]
        if group["weight_decay"]:
            gradients = list(_add(gradients, weights, alpha=group["weight_decay"]))
        if group["nesterov"]:
            _add_(weights, velocities, alpha=momentum)
        _mul_(velocities, momentum)
        _add_(velocities, gradients, alpha=lr)
        _sub_(weights, velocities, alpha=1 + momentum if group["nesterov"] else 1)

    def _velocity(self, weight: Tensor) -> Tensor:
        state = self.state[weight]
        if "velocity" not in state:
            state["velocity"] = torch.zeros_like(weight)
        velocity: Tensor = state["velocity"]
        return velocity


def schedule_free(params: Any, lr: float = 0.0, **settings: Any) -> Optimizer:
    """Schedule-free SGD (Defazio et al., arXiv:2405.15682), of the package schedulefree. Raises ImportError without it."""
    try:
        from schedulefree import SGDScheduleFree
    except ModuleNotFoundError:
        raise ImportError(
            "optimizer=schedule_free needs the package schedulefree: pip install 'clrbench[schedule_free]'"
        ) from None
    optimizer: Optimizer = SGDScheduleFree(params, lr=lr, **settings)
    return optimizer
