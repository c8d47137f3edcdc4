"""What CyclicLR itself costs: the optimizer's step with its hook and without."""

import time
from functools import partial
from pathlib import Path

import torch
from torch.optim import Optimizer

from bench import images, ours
from bench.figure import Figure, Goal
from bench.sizes import BATCH_SIZE, Sizes
from bench.timing import alternate
from clrbench.callback import CyclicLR
from clrbench.quiet import quiet
from clrbench.spec import RunSpec
from clrbench.training.build import build, make_optimizer
from clrbench.training.module import Classifier
from clrbench.training.run import trainer

GOAL = Goal(20.0, is_minimum=False)
BARE, HOOKED = "without", "with"


def measure(conf: Path, folder: Path, sizes: Sizes) -> list[Figure]:
    """The figures, for cifar10_full and its groups of parameters; `folder` takes the images."""
    path = images.save(images.random_images(BATCH_SIZE, side=32), folder)
    spec = ours.spec_of(ours.configure(conf, path, 1, "model=cifar10_full"))
    module = build(spec)
    optimizer = make_optimizer(spec, module.net)
    for parameter in module.net.parameters():
        parameter.grad = torch.ones_like(parameter)
    _us_per_step(optimizer, sizes.callback_steps)
    measures = {
        BARE: partial(_us_per_step, optimizer, sizes.callback_steps),
        HOOKED: partial(_hooked_us_per_step, spec, module, optimizer, sizes.callback_steps),
    }
    # A repetition takes a fifth of a second, and a difference of some microseconds is small beside the noise.
    found = alternate("CyclicLR", measures, 3 * sizes.repetitions)
    cost = [hooked - bare for bare, hooked in zip(found[BARE], found[HOOKED], strict=True)]
    return [
        *(Figure(f"optimizer {name} CyclicLR", "µs", found[name]) for name in measures),
        Figure("CyclicLR's own cost", "µs", cost, GOAL),
    ]


def _hooked_us_per_step(spec: RunSpec, module: Classifier, optimizer: Optimizer, steps: int) -> float:
    callback = CyclicLR(spec.schedule)
    with quiet():
        stepping = trainer(spec, module, [callback])
    stepping.optimizers = [optimizer]
    callback.on_train_start(stepping, module)
    try:
        return _us_per_step(optimizer, steps)
    finally:
        callback.on_train_end(stepping, module)


def _us_per_step(optimizer: Optimizer, steps: int) -> float:
    started = time.perf_counter()
    for _ in range(steps):
        optimizer.step()
    return 1e6 * (time.perf_counter() - started) / steps
