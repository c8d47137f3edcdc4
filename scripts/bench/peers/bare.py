"""A bare loop in torch: what a careful person writes, tensors in memory and nothing around the step."""

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.clock import Clock
from bench.peers.job import BFLOAT16, Centred, Job, Weights
from bench.peers.tensors import load, net_of, parameters, tensors, use_threads
from bench.sizes import BATCH_SIZE
from bench.torch_way import cyclic_sgd


def enter(job: Job) -> "Bare":
    """The contestant."""
    return Bare(job)


class Bare:
    """Images (n, c, h, w) and labels as tensors, torch's SGD and CyclicLR, a for loop."""

    def __init__(self, job: Job) -> None:
        use_threads(job)
        self._job = job
        (self._images, self._labels), self._test = (tensors(part) for part in Centred.read(job))
        self._net = net_of(job)
        self.parameters = parameters(self._net)

    def train(self, clock: Clock) -> None:
        """Epochs in random orders."""
        optimizer, schedule = cyclic_sgd(self._net)
        order = torch.empty(0, dtype=torch.int64)
        for _ in range(self._job.steps):
            if len(order) < BATCH_SIZE:
                order = torch.randperm(len(self._labels))
            chosen, order = order[:BATCH_SIZE], order[BATCH_SIZE:]
            optimizer.zero_grad()
            self._loss(self._images[chosen], self._labels[chosen]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            clock.tick()

    def load(self, weights: Weights) -> None:
        """Take the weights."""
        load(self._net, weights)

    @torch.inference_mode()
    def evaluate(self) -> float:
        """The mean cross-entropy."""
        self._net.eval()
        batches = zip(*(torch.split(part, self._job.evaluation_batch) for part in self._test), strict=True)
        return sum(self._loss(images, labels).item() * len(labels) for images, labels in batches) / len(self._test[1])

    def _loss(self, images: Tensor, labels: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=self._job.precision == BFLOAT16):
            return F.cross_entropy(self._net(images), labels)
