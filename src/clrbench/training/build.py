"""From a RunSpec to an untrained module."""

import hydra
import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter
from torch.optim import Optimizer

from clrbench.errors import ConfigError
from clrbench.optim import parameter_groups
from clrbench.policies import naming
from clrbench.spec import RunSpec
from clrbench.training.devices import check_net
from clrbench.training.feed import augmentation
from clrbench.training.module import INPUTS, Classifier


def build(spec: RunSpec) -> Classifier:
    """The untrained module; the seed alone decides its weights, whatever the policy. Raises ConfigError."""
    torch.manual_seed(spec.config.seed)
    prepare = INPUTS[spec.config.model.input](spec.data.images.train, spec.indices)
    return Classifier(prepare, build_net(spec), lambda net: make_optimizer(spec, net), augmentation(spec))


def build_net(spec: RunSpec) -> nn.Module:
    """The network, its weights drawn from the global random state. Raises ConfigError if it cannot be built."""
    with naming("model.net"):
        net = hydra.utils.instantiate(spec.config.model.net, spec.data.images.shape, spec.data.images.classes)
    if not isinstance(net, nn.Module):
        raise ConfigError(f"model.net._target_={spec.config.model.net['_target_']} makes no network (torch.nn.Module)")
    lazy = [name for name, parameter in net.named_parameters() if isinstance(parameter, UninitializedParameter)]
    if lazy:
        raise ConfigError(f"model.net: {lazy[0]} has no shape yet: give lazy layers their sizes, which follow from the shape")
    check_net(net, spec.config.trainer)
    return net


def make_optimizer(spec: RunSpec, net: nn.Module) -> Optimizer:
    """The optimizer of `net`, with the net's multipliers. Raises ConfigError if it cannot be built."""
    groups = parameter_groups(net, spec.config.optimizer.weight_decay, getattr(net, "multipliers", {}))
    with naming("optimizer.rule"):
        # The callback sets every rate before the first step; this one only has to be accepted.
        optimizer: Optimizer = hydra.utils.instantiate(spec.config.optimizer.rule, groups, lr=1.0, _convert_="all")
    return optimizer
