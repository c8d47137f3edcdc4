"""The schedulers that a module brings, where a policy sets its rates: they stand still, and what they have set is put back."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from torch.optim import Optimizer


class Still:
    """A scheduler that does nothing, for a module that steps its own."""

    def step(self, *_: Any, **__: Any) -> None:
        """Leave the rate as it is."""


def still(number: int) -> Still | list[Still] | None:
    """What `lr_schedulers()` of a module returns whose schedulers, so many, stand still."""
    stands = [Still() for _ in range(number)]
    return stands if number > 1 else stands[0] if stands else None


def put_back(optimizers: Iterable[Optimizer]) -> list[str]:
    """Give every group of `optimizers` what it had before a scheduler, made with it, began to change it: rate and momentum.

    A scheduler keeps the rate of each group. OneCycleLR and torch's CyclicLR keep no momentum and no first beta, so that
    these are the optimizer's for all groups: returned as `momentum=0.3`, each once.
    """
    told = []
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = copy.deepcopy(group.get("initial_lr", group["lr"]))  # a rate may be a tensor, which is set in place
            if "base_momentum" in group:
                told.append(_put_back_momentum(group, optimizer.defaults))
    return list(dict.fromkeys(told))


def _put_back_momentum(group: dict[str, Any], defaults: Mapping[str, Any]) -> str:
    """Where both exist, the beta is what torch's schedulers change."""
    if "betas" in defaults:
        group["betas"] = (defaults["betas"][0], *group["betas"][1:])
        return f"beta1={group['betas'][0]}"
    group["momentum"] = defaults["momentum"]
    return f"momentum={group['momentum']}"
