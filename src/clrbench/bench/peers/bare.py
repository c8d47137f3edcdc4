"""A bare loop in torch: what a careful person writes, tensors in memory and nothing around the step."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clrbench.bench import plain
from clrbench.bench.peers.clock import Clock
from clrbench.bench.peers.job import BFLOAT16, LINEAR, Centred, Job, Weights
from clrbench.bench.sizes import BATCH_SIZE, CLASSES
from clrbench.models import Linear


def enter(job: Job) -> "Bare":
    """The contestant."""
    return Bare(job)


def torch_net(job: Job) -> nn.Module:
    """The job's net in torch, its normalisation written as torch writes its own."""
    return Linear((3, 8, 8), CLASSES) if job.net == LINEAR else plain.net()


def load(net: nn.Module, weights: Weights) -> None:
    """Give a torch net its weights."""
    net.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})


class Bare:
    """Images (n, c, h, w) and labels as tensors, torch's SGD and CyclicLR, a for loop."""

    def __init__(self, job: Job) -> None:
        if job.threads:
            torch.set_num_threads(job.threads)
        self._job = job
        (self._images, self._labels), self._test = (tensors(part) for part in Centred.read(job))
        self._net = torch_net(job)
        self.parameters = sum(parameter.numel() for parameter in self._net.parameters())

    def train(self, clock: Clock) -> None:
        """Epochs in random orders."""
        optimizer, schedule = plain.cyclic_sgd(self._net)
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


def tensors(part: Centred) -> tuple[Tensor, Tensor]:
    """Images (n, c, h, w) and labels."""
    return torch.from_numpy(part.images).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(part.labels)
