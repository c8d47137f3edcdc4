"""A module, its loader and all random numbers, lent to a ramp: whatever it changes is put back."""

import copy
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from pytorch_lightning.utilities.seed import isolate_rng

from clrbench.own_schedulers import put_back, still

_PARTS = ("sampler", "batch_sampler", "dataset")


@contextmanager
def seeded(seed: int, loaders: Sequence[Any]) -> Iterator[None]:
    """All random numbers from `seed`, those of the loaders' own generators too; afterwards all as they were before."""
    generators = [generator for loader in loaders for generator in _generators(loader)]
    states = [generator.get_state() for generator in generators]
    with isolate_rng():
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        for generator in generators:
            generator.manual_seed(seed)
        try:
            yield
        finally:
            for generator, state in zip(generators, states, strict=True):
                generator.set_state(state)


@contextmanager
def lent(module: Any) -> Iterator[Any]:
    """A copy of `module` to train; where it cannot be copied, itself, whose state is put back. Its trainer stays its own."""
    try:
        trainer = module.trainer
    except RuntimeError:
        trainer = None
    module.trainer = None
    try:
        try:
            copied = copy.deepcopy(module)
        except Exception:
            copied = None
        if copied is not None:
            with _untouched(module):
                yield _without_followers(copied)
        else:
            with _kept(module):
                yield _without_followers(module)
    finally:
        module.trainer = trainer


@contextmanager
def _untouched(module: Any) -> Iterator[None]:
    """Raise ValueError where what a copy computes reaches the module itself, which has its gradients back."""
    weights = list(module.parameters())
    before = [None if weight.grad is None else weight.grad.clone() for weight in weights]
    yield
    if any(not _same(weight.grad, gradient) for weight, gradient in zip(weights, before, strict=True)):
        for weight, gradient in zip(weights, before, strict=True):
            weight.grad = gradient
        raise ValueError(
            "a copy of the module computes with weights of the module itself, as where __init__ keeps a lambda that names "
            "self: make that a method, for a range test trains a copy"
        )


def _same(one: torch.Tensor | None, other: torch.Tensor | None) -> bool:
    return one is other if one is None or other is None else torch.equal(one, other)


@contextmanager
def modes_kept(module: torch.nn.Module) -> Iterator[None]:
    """In eval mode, without gradients and with random numbers of its own; afterwards each part in the mode that it had."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with torch.no_grad(), isolate_rng():
            yield
    finally:
        for part, mode in modes:
            part.training = mode


@contextmanager
def _kept(module: torch.nn.Module) -> Iterator[None]:
    """Put back weights, buffers, gradients, modes, hooks and plain attributes of a module that was trained itself."""
    tensors = [(tensor, tensor.detach().clone()) for tensor in (*module.parameters(), *module.buffers())]
    gradients = [(weight, weight.grad, weight.requires_grad) for weight in module.parameters()]
    plain = [(part, {key: _shallow(value) for key, value in vars(part).items()}) for part in module.modules()]
    try:
        yield
    finally:
        for part, attributes in plain:
            vars(part).clear()
            vars(part).update(attributes)
        with torch.no_grad():
            for tensor, value in tensors:
                tensor.copy_(value)
        for weight, gradient, wants_gradient in gradients:
            weight.grad = gradient
            weight.requires_grad_(wants_gradient)


def _shallow(value: Any) -> Any:
    return copy.copy(value) if isinstance(value, (dict, list, set)) else value


def _without_followers(module: Any) -> Any:
    """The module without callbacks of its own, and with schedulers that stand still: the ramp takes their place."""
    configure = module.configure_optimizers
    number = 0

    def optimizers_alone() -> Any:
        nonlocal number
        made = configure()
        optimizers, number = _parted(made)
        if number:
            put_back(optimizers if isinstance(optimizers, (list, tuple)) else [optimizers])
        return optimizers

    overriding: dict[str, Callable[[], Any]] = {
        "configure_optimizers": optimizers_alone,
        "lr_schedulers": lambda: still(number),
        "configure_callbacks": list,
    }
    vars(module).update(overriding)
    return module


def _parted(made: Any) -> tuple[Any, int]:
    """The optimizers of what configure_optimizers returns, and how many schedulers came with them."""
    if isinstance(made, dict):
        return made["optimizer"], int("lr_scheduler" in made)
    if isinstance(made, (list, tuple)) and len(made) == 2 and isinstance(made[0], (list, tuple)):
        return list(made[0]), len(made[1]) if isinstance(made[1], (list, tuple)) else 1
    if isinstance(made, (list, tuple)) and made and isinstance(made[0], dict):
        return [one["optimizer"] for one in made], sum("lr_scheduler" in one for one in made)
    return made, 0


def _generators(loader: Any) -> list[torch.Generator]:
    """torch's generators that a loader and its parts hold."""
    found: list[torch.Generator] = []
    parts = [loader]
    for part in parts:
        held = getattr(part, "__dict__", {})
        found += [value for value in held.values() if isinstance(value, torch.Generator) and value not in found]
        parts += [held[name] for name in _PARTS if name in held and not any(held[name] is seen for seen in parts)]
        parts += list(part) if isinstance(part, (list, tuple)) and len(part) < 10 else []
    return found
