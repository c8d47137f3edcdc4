"""cifar10_full and its rule as torch's users write them: the normalisation with a power, torch's SGD under its CyclicLR."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.peers.job import BASE_LR, MAX_LR, MOMENTUM, STEP_SIZE, WEIGHT_DECAY
from bench.sizes import CLASSES
from clrbench.models import Cifar10Full
from clrbench.models.lrn import ALPHA, BETA, SIZE
from clrbench.optim import parameter_groups


class PowLRN(nn.Module):
    """The normalisation within a channel, written as torch writes its LocalResponseNorm."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        window = F.avg_pool2d(x.mul(x), SIZE, stride=1, padding=SIZE // 2)
        return x / window.mul(ALPHA).add(1).pow(BETA)


def plain_net() -> nn.Module:
    """cifar10_full with that normalisation."""
    written = Cifar10Full((3, 32, 32), CLASSES)
    for name in ("norm1", "norm2"):
        written.add_module(name, PowLRN())
    return written


def cyclic_sgd(net: nn.Module) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """torch's SGD under its CyclicLR, the rates, decay and multipliers as in the suite."""
    groups: Any = parameter_groups(net, WEIGHT_DECAY, getattr(net, "multipliers", {}))
    optimizer = torch.optim.SGD(groups, lr=BASE_LR, momentum=MOMENTUM)
    return optimizer, torch.optim.lr_scheduler.CyclicLR(
        optimizer,
        base_lr=[BASE_LR * group["lr_mult"] for group in groups],
        max_lr=[MAX_LR * group["lr_mult"] for group in groups],
        step_size_up=STEP_SIZE,
        mode="triangular2",
        cycle_momentum=False,
    )
