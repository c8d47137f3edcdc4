"""The suite and its peers, measured in turn."""

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import harmonic_mean, median
from typing import Any

import numpy as np
import torch

from bench import images
from bench.arithmetic import multiply_adds
from bench.figure import Figure, Goal
from bench.peers import process
from bench.peers.contestants import BARE, OURS, PAIRED, PEERS, PRODUCT, STOCK, Contestant
from bench.peers.job import BFLOAT16, CIFAR10_FULL, FLOAT32, LINEAR, PRECISIONS, Evaluated, Job, Outcome
from bench.peers.product import SIDE
from bench.sizes import CLASSES, Sizes
from bench.timing import alternate
from clrbench.errors import ClrbenchError
from clrbench.models import Cifar10Full
from clrbench.training.evaluation import BATCH_SIZE as EVALUATION_BATCH

SHAPE = (3, 32, 32)
OVER_BEST = {FLOAT32: Goal(1.15, is_minimum=True), BFLOAT16: Goal(1.7, is_minimum=True)}
OVER_STOCK = Goal(1.9, is_minimum=True)
OVER_LOOP = Goal(0.5, is_minimum=False)
# In bfloat16 the step is to be faster than arithmetic in float32 could be.
OF_PEAK = {FLOAT32: Goal(0.75, is_minimum=True), BFLOAT16: Goal(1.0, is_minimum=True)}
Say = Callable[[str], object]


@dataclass(frozen=True)
class Entry:
    """What a contestant is measured at. Two copies are two processes, of one thread each, side by side."""

    contestant: Contestant
    job: Job
    copies: int = 1

    @property
    def name(self) -> str:
        """`clrbench, pair, bfloat16`, say."""
        return named(self.contestant, LINEAR if self.job.net == LINEAR else self.job.precision, self.copies)

    def outcomes(self) -> list[Outcome]:
        """Carry it out, one outcome a copy."""
        return process.measure(self.contestant, self.job, self.copies)


def named(contestant: Contestant, what: str, copies: int = 1) -> str:
    """The name of an entry, where `what` is a precision or the linear net."""
    return f"{contestant.name}, {'pair, ' if copies == 2 else ''}{what}"


def measure(conf: Path, sizes: Sizes, say: Say) -> list[Figure]:
    """The figures; `say` is told in a line who does not take part, and why. `conf` is the folder of configurations."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        job = prepare(conf, folder, sizes)
        ours = evaluated(OURS, job)
        peers = [peer for peer in PEERS if takes_part(peer, job, ours, say)]
        linear = replace(job, net=LINEAR, images=_images(folder, 8, sizes), block=sizes.peer_loop_block, weights=None)
        entries = [*_entries(job, linear, peers, sizes)]
        found = alternate("peers", {entry.name: entry.outcomes for entry in entries}, sizes.peer_repetitions)
    return [*_figures(found, peers, sizes)]


def prepare(conf: Path, folder: Path, sizes: Sizes) -> Job:
    """The job of cifar10_full in float32, its images and weights written to `folder`."""
    weights = folder / "weights.npz"
    _save_weights(weights)
    return Job(
        net=CIFAR10_FULL,
        precision=FLOAT32,
        images=_images(folder, 32, sizes),
        block=sizes.step_block,
        evaluation_batch=EVALUATION_BATCH,
        conf=str(conf),
        folder=str(folder),
        weights=str(weights),
    )


def _images(folder: Path, side: int, sizes: Sizes) -> str:
    train, test = (images.random_images(count, side) for count in (sizes.peer_images, sizes.evaluated_images))
    return str(images.save(train, folder, test))


def _save_weights(path: Path) -> None:
    # Caffe's initial weights give scores near 0, and with them any net's loss is log 10.
    generator = torch.Generator().manual_seed(0)
    parameters = Cifar10Full(SHAPE, CLASSES).named_parameters()
    weights: Any = {key: 0.05 * torch.randn(value.shape, generator=generator).numpy() for key, value in parameters}
    np.savez(path, **weights)


def evaluated(contestant: Contestant, job: Job) -> Evaluated:
    """What a contestant's net yields on the job's images, with the job's weights. Raises ClrbenchError where it fails."""
    (outcome,) = process.measure(contestant, job)
    assert outcome.evaluated is not None
    return outcome.evaluated


def takes_part(peer: Contestant, job: Job, ours: Evaluated, say: Say) -> bool:
    """Whether a peer is there, works, and computes what the suite does; if not, `say` is told. It also warms the disk."""
    if peer.missing:
        say(f"{peer.name} is left out: {' and '.join(peer.missing)} not installed")
        return False
    try:
        theirs = evaluated(peer, job)
    except ClrbenchError as error:
        say(f"{peer.name} is left out: {error}")
        return False
    if not agree(theirs, ours):
        say(f"{peer.name} is left out: its net is another one: {theirs} instead of {ours}")
        return False
    return True


def agree(one: Evaluated, other: Evaluated) -> bool:
    """Whether two nets have as many parameters and, up to rounding, the same loss."""
    return one.parameters == other.parameters and math.isclose(one.loss, other.loss, rel_tol=1e-4)


def _entries(job: Job, linear: Job, peers: Sequence[Contestant], sizes: Sizes) -> Iterator[Entry]:
    for precision in PRECISIONS:
        step = replace(job, precision=precision, weights=job.weights if precision == FLOAT32 else None)
        product = replace(step, block=sizes.product_block, weights=None)
        alone = replace(step, threads=1, weights=None)
        yield from (Entry(it, step) for it in (OURS, *peers) if precision in it.precisions)
        yield from (Entry(it, alone, 2) for it in PAIRED if it in (OURS, *peers))
        yield Entry(PRODUCT, product)
        yield Entry(PRODUCT, replace(product, threads=1), 2)
    yield from (Entry(it, linear) for it in (OURS, *peers))


def _figures(found: Mapping[str, list[list[Outcome]]], peers: Sequence[Contestant], sizes: Sizes) -> Iterator[Figure]:
    steps = {entry: [_together_ms(outcomes) for outcomes in rounds] for entry, rounds in found.items()}
    contestants = (OURS, *peers)
    yield from (Figure(f"step, {entry}", "ms", steps[entry]) for entry in steps if not entry.startswith(PRODUCT.name))
    for it in contestants:
        outcomes = [outcome for (outcome,) in found[named(it, FLOAT32)]]
        yield Figure(f"start to first step, {it.name}", "s", [outcome.start_s for outcome in outcomes])
        yield Figure(f"peak memory, {it.name}", "MiB", [outcome.memory_mib for outcome in outcomes])
        evaluations = [outcome.evaluated.seconds for outcome in outcomes if outcome.evaluated]
        yield Figure(f"evaluation of {sizes.evaluated_images:,} images, {it.name}", "s", evaluations)
    yield from _of_peak(steps)
    yield from _over_peers(steps, peers)


def _together_ms(outcomes: Sequence[Outcome]) -> float:
    """Milliseconds a step of all copies together."""
    return harmonic_mean([outcome.step_ms for outcome in outcomes]) / len(outcomes)


def _of_peak(steps: Mapping[str, list[float]]) -> Iterator[Figure]:
    adds = multiply_adds(Cifar10Full(SHAPE, CLASSES), SHAPE)
    yield Figure("multiply-adds of a step", "millions", [adds / 1e6])
    for precision in PRECISIONS:
        for copies in (1, 2):
            speeds = [2 * SIDE**3 / ms / 1e6 for ms in steps[named(PRODUCT, precision, copies)]]
            yield Figure(named(PRODUCT, precision, copies), "GFLOP/s", speeds)
    for precision, goal in OF_PEAK.items():
        for copies in (1, 2):
            peaks = [2 * SIDE**3 / ms for ms in steps[named(PRODUCT, FLOAT32, copies)]]
            speeds = [2 * adds / ms for ms in steps[named(OURS, precision, copies)]]
            title = f"{named(OURS, precision, copies)} / {named(PRODUCT, FLOAT32, copies)}"
            yield Figure(title, "times", _ratios(speeds, peaks), goal if copies == 2 else None)


def _over_peers(steps: Mapping[str, list[float]], peers: Sequence[Contestant]) -> Iterator[Figure]:
    usual = [peer for peer in peers if peer.is_usual]
    for precision, goal in OVER_BEST.items():
        theirs = {peer.name: steps[named(peer, precision)] for peer in usual if precision in peer.precisions}
        if theirs:
            best = min(theirs, key=lambda peer: median(theirs[peer]))
            title = f"best peer ({best}) / {named(OURS, precision)}"
            yield Figure(title, "times", _ratios(theirs[best], steps[named(OURS, precision)]), goal)
    if STOCK in peers:
        stock, ours = named(STOCK, FLOAT32), named(OURS, FLOAT32)
        yield Figure(f"{stock} / {OURS.name}", "times", _ratios(steps[stock], steps[ours]), OVER_STOCK)
    if BARE in peers:
        both = zip(steps[named(OURS, LINEAR)], steps[named(BARE, LINEAR)], strict=True)
        yield Figure(f"{OURS.name} over {named(BARE, LINEAR)}", "ms", [ours - bare for ours, bare in both], OVER_LOOP)


def _ratios(one: Sequence[float], other: Sequence[float]) -> list[float]:
    """Round by round: what slowed the machine in one round slowed both."""
    return [a / b for a, b in zip(one, other, strict=True)]
