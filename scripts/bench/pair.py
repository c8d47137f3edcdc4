"""Two trainings side by side, as a sweep with two jobs carries them out: a process and a thread each."""

import multiprocessing
import statistics
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from threading import Barrier

from bench import ours
from clrbench.config import Config

_WAIT = 120.0
_barrier: Barrier


class Pair:
    """Two processes that wait for trainings."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def ms_per_step(self, config: Config) -> float:
        """Milliseconds a step of each while both train; the harmonic mean, so that half of it is a step of both together."""
        config = replace(config, trainer=replace(config.trainer, threads=1))
        return statistics.harmonic_mean(self._pool.map(_train, [config] * 2))


@contextmanager
def processes() -> Iterator[Pair]:
    """Start the two processes, and end them with the block."""
    # A forked process would inherit the threads of this one's torch in an unusable state.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, context, initializer=_meet_at, initargs=(context.Barrier(2),)) as pool:
        yield Pair(pool)


def _meet_at(barrier: Barrier) -> None:
    global _barrier  # noqa: PLW0603  the initializer has no other way to hand it on
    _barrier = barrier


def _train(config: Config) -> float:
    # Both begin at once, and neither process takes both trainings.
    _barrier.wait(_WAIT)
    return ours.ms_per_step(config)
