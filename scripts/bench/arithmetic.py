"""How much arithmetic a training step is."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from bench.sizes import BATCH_SIZE


def multiply_adds(net: nn.Module, shape: tuple[int, int, int]) -> int:
    """Multiply-adds of the convolutions and products in one step, forward and backward, on images of `shape` (c, h, w)."""
    with FlopCounterMode(display=False) as counter:
        scores = net.to("meta")(torch.empty(BATCH_SIZE, *shape, device="meta"))
        labels = torch.empty(BATCH_SIZE, dtype=torch.int64, device="meta")
        F.cross_entropy(scores, labels).backward()  # type: ignore[no-untyped-call]
    return int(counter.get_total_flops()) // 2
