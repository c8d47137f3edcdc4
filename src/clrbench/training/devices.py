"""The device that a process computes on, and its part in every batch."""

import os
from dataclasses import dataclass

import torch
from pytorch_lightning.strategies import DDPStrategy
from torch import nn

from clrbench.config import Trainer
from clrbench.data.batches import Share
from clrbench.errors import ConfigError

_SYNCHRONISED = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True)
class ComputePlace:
    """A device of this machine, and which part of every batch is computed there."""

    device: torch.device
    share: Share

    @classmethod
    def of(cls, trainer: Trainer) -> "ComputePlace":
        """This process' place: that of the only one, or the one that `processes` gave it. Raises ConfigError without a GPU."""
        share = share_of(trainer)
        if trainer.accelerator == "cpu":
            return cls(torch.device("cpu"), share)
        check_gpus(trainer.devices)
        # Else a float32 convolution would be computed with ten bits of its numbers, which is another precision.
        torch.backends.cudnn.allow_tf32 = False
        return cls(torch.device("cuda", share.rank % trainer.devices), share)

    @property
    def is_first(self) -> bool:
        """Whether this is the process that keeps the record."""
        return self.share.rank == 0

    @property
    def name(self) -> str:
        """The devices of the run, for its record: those of the first process, and how many of them."""
        kind = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"
        return kind if self.share.processes == 1 else f"{self.share.processes} x {kind}"


def share_of(trainer: Trainer) -> Share:
    """The part of every batch, or of the batches, that this process takes."""
    if trainer.processes == 1:
        return Share()
    local, node = (int(os.environ.get(name, "0")) for name in ("LOCAL_RANK", "NODE_RANK"))
    return Share(node * trainer.devices + local, trainer.processes)


def check_gpus(needed: int) -> None:
    """Raise ConfigError where this machine has fewer GPUs than `needed`."""
    found = torch.cuda.device_count()
    if found < needed:
        raise ConfigError(
            f"trainer.accelerator=gpu: torch sees {found} CUDA GPUs on this machine, {needed} are asked for: lower "
            "trainer.devices, install a torch build for them, or take trainer=default"
        )


def strategy(trainer: Trainer, net: nn.Module) -> str | DDPStrategy:
    """Lightning's strategy for so many processes; they start equal and step alike, so that no buffer needs to be sent.

    A net that has `leaves_out` set gives some parameters no gradient in some steps, the same ones in every process.
    """
    if trainer.processes == 1:
        return "auto"
    return DDPStrategy(broadcast_buffers=False, find_unused_parameters=getattr(net, "leaves_out", False))


def check_net(net: nn.Module, trainer: Trainer) -> None:
    """Raise ConfigError for a net that normalises over a batch which the processes of a run share, where they cannot do so."""
    if trainer.processes == 1:
        return
    layers = [layer for layer in net.modules() if isinstance(layer, _SYNCHRONISED)]
    if any(type(layer) not in _SYNCHRONISED for layer in layers):
        raise ConfigError(
            f"trainer.devices: {type(net).__name__} normalises over a whole batch in Caffe's way: take one device"
        )
    if layers and trainer.accelerator == "cpu":
        raise ConfigError(
            f"trainer.devices: {type(net).__name__} normalises over a whole batch, which torch's processes share on GPUs "
            "alone: take one device"
        )
