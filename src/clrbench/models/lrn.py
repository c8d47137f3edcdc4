"""Caffe's local response normalisation within a channel."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIZE, ALPHA, BETA = 3, 5e-5, 0.75


def _mean_over_window(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, SIZE, stride=1, padding=SIZE // 2)


class _WithinChannelLRN(torch.autograd.Function):
    """y = x * s^-0.75 with s = 1 + alpha * mean of x^2 over the window.

    Written out because the generic way costs twice the time: a power of a tensor is slow on a CPU, while s^-0.75 is
    r * sqrt(r) with r = rsqrt(s); and autograd would keep and revisit every intermediate. The window is symmetric, so
    the pooling is its own transpose: dx = g * s^-0.75 - 2 * alpha * beta * x * mean(g * y / s).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        r = _mean_over_window(x * x).mul_(ALPHA).add_(1).rsqrt_()
        power = r.sqrt().mul_(r)
        ctx.save_for_backward(x, r, power)
        y: Tensor = x * power
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        x, r, power = ctx.saved_tensors
        through_x = grads[0] * power
        through_window = _mean_over_window((through_x * x).mul_(r).mul_(r))
        gradient: Tensor = through_x.addcmul_(x, through_window, value=-2 * ALPHA * BETA)
        return gradient


class WithinChannelLRN(nn.Module):
    """x * (1 + 5e-5 * avgpool3x3(x^2, pad 1, zeros counted))^-0.75, images (n, c, h, w) to the same shape.

    Not torch's LocalResponseNorm, which sums across channels.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        y: Tensor = _WithinChannelLRN.apply(x)
        return y
