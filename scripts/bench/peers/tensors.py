"""What the contestants in torch share."""

import torch
from torch import Tensor, nn

from bench.peers.job import LINEAR, Centred, Job, Weights
from bench.sizes import CLASSES
from bench.torch_way import plain_net
from clrbench.models import Linear


def use_threads(job: Job) -> None:
    """Compute with the job's number of threads, where it has one."""
    if job.threads:
        torch.set_num_threads(job.threads)


def net_of(job: Job) -> nn.Module:
    """The job's net, as torch's users write it."""
    return Linear((3, 8, 8), CLASSES) if job.net == LINEAR else plain_net()


def load(net: nn.Module, weights: Weights) -> None:
    """Give a net its weights."""
    net.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})


def parameters(net: nn.Module) -> int:
    """Their number."""
    return sum(parameter.numel() for parameter in net.parameters())


def tensors(part: Centred) -> tuple[Tensor, Tensor]:
    """Images (n, c, h, w) and labels."""
    return torch.from_numpy(part.images).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(part.labels)
