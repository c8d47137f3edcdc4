"""The learning-rate callback, for any LightningModule."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch.optim import Optimizer

from clrbench import schedules

_AHEAD = 1024


class CyclicLR(pl.Callback):
    """Set the learning rate of every parameter group before every optimizer step.

        Trainer(callbacks=[CyclicLR("triangular2", base_lr=0.001, max_lr=0.006, step_size=2000)])
        CyclicLR("triangular2", base_lr=0.001, max_lr=0.006, step_size=2000).attach(optimizer)  # a loop of your own

    policy: the name of a policy of `clrbench.schedules`, with its settings; or any function from an array of iterations to
        their rates, without settings.

    An iteration is one step of an optimizer, however many batches it gathers gradients from; each optimizer counts its own,
    under automatic and manual optimization alike. A group's rate is the policy's times the group's `lr_mult`, 1 where the
    group has none. Momentum is left alone. The counts are part of Lightning's checkpoints, so that a resumed training goes
    on in the middle of a cycle. Raises ValueError for impossible settings, and when the module brings a scheduler of its own.
    """

    def __init__(self, policy: str | Callable[[Any], Any], **settings: Any) -> None:
        if settings and not isinstance(policy, str):
            raise ValueError(f"{next(iter(settings))} is a setting, but a policy given as a function takes none")
        self.schedule = schedules.named(policy, **settings) if isinstance(policy, str) else policy
        self._drivers: list[_Driver] = []
        self._resumed_iterations: list[int] = []

    def attach(self, optimizer: Optimizer, iteration: int = 0) -> None:
        """Drive `optimizer` without a Trainer: each of its steps from now on is an iteration, of which it has made `iteration`.

        To resume, keep `state_dict()["iterations"]`, a number for each optimizer attached.
        """
        self._drivers.append(_Driver(self.schedule, optimizer, iteration))

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take over the optimizers; go on counting where a checkpoint left off."""
        if trainer.lr_scheduler_configs:
            raise ValueError(
                "the module has a learning-rate scheduler of its own, which would undo CyclicLR's: remove one of them"
            )
        iterations = self._resumed_iterations
        if not iterations and trainer.global_step:
            iterations = [driver.iteration for driver in self._drivers]  # the trainer fits on
        self._resumed_iterations = []
        self._release()
        if len(iterations) != len(trainer.optimizers):
            # A checkpoint made without this callback still tells the iteration, if a single optimizer made the steps.
            iterations = [trainer.global_step if len(trainer.optimizers) == 1 else 0] * len(trainer.optimizers)
        self._drivers = [
            _Driver(self.schedule, optimizer, iteration)
            for optimizer, iteration in zip(trainer.optimizers, iterations, strict=True)
        ]

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Let the optimizers go."""
        self._release()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Let the optimizers go."""
        self._release()

    def _release(self) -> None:
        for driver in self._drivers:
            driver.release()

    def state_dict(self) -> dict[str, Any]:
        """The number of steps that each optimizer has made."""
        return {"iterations": [driver.iteration for driver in self._drivers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        self._resumed_iterations = list(state_dict["iterations"])


class _Driver:
    """Counts the steps of one optimizer and sets its rates for the next one."""

    def __init__(self, schedule: Callable[[Any], Any], optimizer: Optimizer, iteration: int) -> None:
        self.iteration = iteration
        self._schedule, self._optimizer = schedule, optimizer
        self._rates: list[float] = []
        self._first = iteration
        _part_shared_rates(optimizer)
        self._set_rates()
        self._hook = optimizer.register_step_post_hook(self._after_step)

    def release(self) -> None:
        self._hook.remove()

    def _after_step(self, *_: Any) -> None:
        self.iteration += 1
        self._set_rates()

    def _set_rates(self) -> None:
        if self.iteration - self._first >= len(self._rates):
            self._look_ahead()
        rate = self._rates[self.iteration - self._first]
        for group in self._optimizer.param_groups:
            value = rate * group.get("lr_mult", 1.0)
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(value)
            else:
                group["lr"] = value

    def _look_ahead(self) -> None:
        # One call of the policy for many iterations: numpy on single numbers would cost more than all the rest here.
        self._first = self.iteration
        self._rates = np.asarray(self._schedule(np.arange(self._first, self._first + _AHEAD)), float).tolist()


def _part_shared_rates(optimizer: Optimizer) -> None:
    """torch puts one and the same tensor into all groups that name no rate; to differ, each needs its own."""
    first, *others = optimizer.param_groups
    for group in others:
        if group["lr"] is first["lr"] and isinstance(group["lr"], torch.Tensor):
            group["lr"] = group["lr"].clone()
