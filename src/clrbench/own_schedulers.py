"""The schedulers that a module brings, where a policy sets its rates: they stand still, and what they have set is put back."""

import copy
from collections.abc import Iterable
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


def put_back(optimizers: Iterable[Optimizer]) -> None:
    """Give every group of `optimizers` the rate that it had before a scheduler began to change it."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = copy.deepcopy(group.get("initial_lr", group["lr"]))  # a rate may be a tensor, which is set in place
