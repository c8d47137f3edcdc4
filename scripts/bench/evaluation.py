"""How long an evaluation takes."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench import images, ours
from bench.figure import Figure, Goal
from bench.sizes import BATCH_SIZE, CLASSES, Sizes
from bench.timing import alternate
from clrbench.data.batches import ImageTensors
from clrbench.quiet import quiet
from clrbench.spec import RunSpec
from clrbench.training.build import build
from clrbench.training.evaluation import evaluate
from clrbench.training.feed import Batched
from clrbench.training.module import Classifier
from clrbench.training.run import set_threads, trainer

GOAL = Goal(2.5, is_minimum=False)


def measure(conf: Path, folder: Path, sizes: Sizes) -> list[Figure]:
    """The figure, for cifar10_full in float32; `folder` takes the images that its input is made from."""
    path = images.save(images.random_images(BATCH_SIZE, side=32), folder)
    spec = ours.spec_of(ours.configure(conf, path, 1, "model=cifar10_full"))
    tested = ImageTensors.of(images.random_images(sizes.evaluated_images, side=32))
    name = f"evaluation of {sizes.evaluated_images:,} images"
    found = alternate("evaluation", {name: evaluator(spec, tested)}, sizes.repetitions)
    return [Figure(name, "s", found[name], GOAL)]


def evaluator(spec: RunSpec, tested: Batched) -> Callable[[], float]:
    """Evaluates the net of `spec`, and says how many seconds that took; has done it once to warm up."""
    set_threads(spec)
    module = build(spec)
    with quiet():
        module.trainer = trainer(spec, module, [])
    _seconds(module, tested)
    return partial(_seconds, module, tested)


def _seconds(module: Classifier, tested: Batched) -> float:
    started = time.perf_counter()
    evaluate(module, tested, CLASSES)
    return time.perf_counter() - started
