"""The bare loop with images and weights channels last in memory, the order in which CPUs convolve fastest."""

import torch

from bench.peers.bare import Bare
from bench.peers.job import Job


def enter(job: Job) -> "ChannelsLast":
    """The contestant."""
    return ChannelsLast(job)


class ChannelsLast(Bare):
    """The same loop, two lines longer."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self._net.to(memory_format=torch.channels_last)
        self._images = self._images.contiguous(memory_format=torch.channels_last)
