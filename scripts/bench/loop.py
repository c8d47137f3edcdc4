"""What Lightning, the callbacks and the mirror add to a step: a model that costs next to nothing, with and without them."""

import itertools
import time
from functools import partial
from pathlib import Path

from torch.nn import functional as F

from bench import images, ours
from bench.figure import Figure, Goal
from bench.sizes import BATCH_SIZE, Sizes
from bench.timing import alternate
from clrbench.spec import RunSpec
from clrbench.training.build import build, make_optimizer
from clrbench.training.feed import stream

GOAL = Goal(0.5, is_minimum=False)
BARE, FULL, UNTRACKED = "bare torch loop", "full path", "full path without tracker"
_IMAGES = 50 * BATCH_SIZE
_REHEARSAL = 20


def measure(conf: Path, folder: Path, sizes: Sizes) -> list[Figure]:
    """The figures; `folder` takes the images."""
    path = images.save(images.random_images(_IMAGES, side=8), folder)
    choices = ("model=linear", "tracking.wandb=offline")
    tracked = ours.configure(conf, path, sizes.loop_block, *choices)
    untracked = ours.configure(conf, path, sizes.loop_block, "model=linear")
    # The first training of a process imports W&B, which takes longer than a block.
    ours.ms_per_step(ours.configure(conf, path, _REHEARSAL, *choices))
    measures = {
        BARE: partial(_bare_ms_per_step, ours.spec_of(tracked)),
        FULL: partial(ours.ms_per_step, tracked),
        UNTRACKED: partial(ours.ms_per_step, untracked),
    }
    found = alternate("loop", measures, sizes.repetitions)
    return [
        *(Figure(f"loop, {name}", "ms", found[name]) for name in measures),
        Figure("loop, overhead", "ms", _differences(found[FULL], found[BARE]), GOAL),
        Figure("loop, tracker", "ms", _differences(found[FULL], found[UNTRACKED])),
    ]


def _differences(more: list[float], less: list[float]) -> list[float]:
    return [a - b for a, b in zip(more, less, strict=True)]


def _bare_ms_per_step(spec: RunSpec) -> float:
    """As many steps as the full path measures, behind as many to warm up, at one rate."""
    module = build(spec)
    optimizer = make_optimizer(spec, module.net)
    for group in optimizer.param_groups:
        group["lr"] = spec.config.bounds.base_lr
    first, last = ours.measured(spec.config)
    started = 0.0
    for iteration, (pixels, labels) in enumerate(itertools.islice(stream(spec, 0), last)):
        if iteration == first:
            started = time.perf_counter()
        optimizer.zero_grad()
        F.cross_entropy(module(pixels), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return 1000 * (time.perf_counter() - started) / (last - first)
