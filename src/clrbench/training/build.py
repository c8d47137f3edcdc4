"""From a RunSpec to an untrained module."""

from typing import Any

import hydra
import torch
from torch import nn
from torch.optim import Optimizer

from clrbench.errors import ConfigError
from clrbench.optim import parameter_groups
from clrbench.policies import naming
from clrbench.spec import RunSpec
from clrbench.training.devices import check_net
from clrbench.training.feed import augmentation
from clrbench.training.module import PREPARATIONS, Classifier
from clrbench.training.trial import try_out


def build(spec: RunSpec) -> Classifier:
    """The untrained module; the seed alone decides its weights, whatever the policy. Raises ConfigError."""
    torch.manual_seed(spec.config.seed)
    prepare = PREPARATIONS[spec.config.model.input](spec.data.images.train, spec.indices)
    net = build_net(spec)
    try_out(net, prepare, spec)
    return Classifier(prepare, net, lambda net: make_optimizer(spec, net), augmentation(spec))


def build_net(spec: RunSpec) -> nn.Module:
    """The network, its weights drawn from the global random state. Raises ConfigError if it cannot be built."""
    target = spec.config.model.net["_target_"]
    with naming("model.net"):
        _refuse_lightning_module(hydra.utils.get_object(target), target)  # before it complains about its arguments
        net = hydra.utils.instantiate(spec.config.model.net, spec.data.images.shape, spec.data.images.classes, _convert_="all")
    if not isinstance(net, nn.Module):
        raise ConfigError(f"model.net._target_={target} makes no network (torch.nn.Module)")
    _refuse_lightning_module(type(net), target)
    check_net(net, spec.config.trainer)
    return net


def _refuse_lightning_module(made: Any, target: str) -> None:
    # By its name, for there are two packages that have one.
    if isinstance(made, type) and any(base.__name__ == "LightningModule" for base in made.__mro__):
        raise ConfigError(
            f"model.net._target_={target} is a LightningModule, whose training_step and configure_optimizers would not be "
            "used: name the torch.nn.Module within it, made as Net(shape, classes, ...); optimizer=... and data.augment=... "
            "train it"
        )


def make_optimizer(spec: RunSpec, net: nn.Module) -> Optimizer:
    """The optimizer of `net`, with the net's multipliers. Raises ConfigError if it cannot be built."""
    groups = parameter_groups(net, spec.config.optimizer.weight_decay, getattr(net, "multipliers", {}))
    with naming("optimizer.rule"):
        # The callback sets every rate before the first step; this one only has to be accepted.
        optimizer: Optimizer = hydra.utils.instantiate(spec.config.optimizer.rule, groups, lr=1.0, _convert_="all")
    if spec.config.averages and hasattr(optimizer, "eval"):
        raise ConfigError(
            f"averages=[...] are of the weights in training, which optimizer={spec.config.optimizer.name} does not evaluate: "
            "leave them out"
        )
    return optimizer
