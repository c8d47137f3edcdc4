"""A step of cifar10_full: the plain way, the suite's in either precision, and two of the suite's side by side."""

from functools import partial
from pathlib import Path

from bench import images, ours, pair, plain
from bench.figure import Figure, Goal
from bench.sizes import BATCH_SIZE, BLOCKS, Sizes
from bench.timing import alternate

GOALS = {"float32": Goal(1.6, is_minimum=True), "bfloat16": Goal(2.2, is_minimum=True)}
PLAIN = "plain way"


def measure(conf: Path, folder: Path, sizes: Sizes) -> list[Figure]:
    """The figures; `folder` takes the images."""
    random = images.random_images(BATCH_SIZE * BLOCKS * sizes.step_block, side=32)
    path = images.save(random, folder)
    with pair.processes() as two:
        measures = {PLAIN: partial(plain.ms_per_step, random, sizes.step_block)}
        for precision in GOALS:
            config = ours.configure(conf, path, sizes.step_block, "model=cifar10_full", f"trainer.precision={precision}")
            measures[precision] = partial(ours.ms_per_step, config)
            measures[_side_by_side(precision)] = partial(two.ms_per_step, config)
        return _figures(alternate("step of cifar10_full", measures, sizes.repetitions))


def _side_by_side(precision: str) -> str:
    return f"pair, {precision}"


def _figures(found: dict[str, list[float]]) -> list[Figure]:
    figures = [Figure(f"step, {PLAIN}", "ms", found[PLAIN])]
    for precision, goal in GOALS.items():
        each = found[_side_by_side(precision)]
        together = [value / 2 for value in each]
        figures += [
            Figure(f"step, {precision}", "ms", found[precision]),
            Figure(f"{PLAIN} / {precision}", "times", _ratios(found[PLAIN], found[precision]), goal),
            Figure(f"step, {_side_by_side(precision)}, each", "ms", each),
            Figure(f"step, {_side_by_side(precision)}, together", "ms", together),
            Figure(f"{PLAIN} / {_side_by_side(precision)}", "times", _ratios(found[PLAIN], together)),
        ]
    return figures


def _ratios(slow: list[float], fast: list[float]) -> list[float]:
    """Round by round: what slowed the machine in one round slowed both."""
    return [a / b for a, b in zip(slow, fast, strict=True)]
