"""The limit: products of large matrices, which keep a processor's arithmetic as busy as anything does."""

import torch

from bench.clock import Clock
from bench.peers.job import Job
from bench.peers.tensors import use_threads

SIDE = 2048


class Product:
    """A step is one product of two square matrices."""

    def __init__(self, job: Job) -> None:
        use_threads(job)
        self._steps, self._dtype = job.steps, getattr(torch, job.precision)

    def train(self, clock: Clock) -> None:
        """Multiply."""
        one, other = (torch.randn(SIDE, SIDE).to(self._dtype) for _ in range(2))
        product = torch.empty_like(one)
        for _ in range(self._steps):
            torch.mm(one, other, out=product)
            clock.tick()


def enter(job: Job) -> Product:
    """The contestant."""
    return Product(job)
