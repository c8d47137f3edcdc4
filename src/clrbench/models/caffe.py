"""The networks of Caffe's examples/cifar10 (April 2015), which the paper trains on CIFAR-10.

They take raw pixels 0-255 minus the training set's mean image. A net says with `multipliers` which parameters have another
learning rate or weight decay than the solver's: {parameter name: (lr_mult, decay_mult)}, (1, 1) where absent.
"""

import math
from typing import ClassVar, TypeVar

from torch import Tensor, nn
from torch.nn import functional as F

from clrbench.models.lrn import WithinChannelLRN

Shape = tuple[int, int, int]
Multipliers = dict[str, tuple[float, float]]
Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)


def _convolution(inputs: int, outputs: int, std: float, bias: bool = True) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, kernel_size=5, padding=2, bias=bias)
    return _gaussian(layer, std)


def _inner_product(inputs: int, outputs: int, std: float) -> nn.Linear:
    return _gaussian(nn.Linear(inputs, outputs), std)


def _gaussian(layer: Layer, std: float) -> Layer:
    """Caffe's `gaussian` weight filler, with biases of 0."""
    nn.init.normal_(layer.weight, std=std)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _max_pool() -> nn.MaxPool2d:
    return nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)


def _average_pool() -> nn.AvgPool2d:
    return nn.AvgPool2d(kernel_size=3, stride=2, ceil_mode=True)


def _features_after_pooling(shape: Shape, channels: int) -> int:
    """Values per image after three poolings, each of which rounds up."""
    _, height, width = shape
    for _ in range(3):
        height, width = (math.ceil((side - 3) / 2) + 1 for side in (height, width))
    return channels * height * width


class Cifar10Full(nn.Sequential):
    """cifar10_full: 89,578 parameters on CIFAR-10. Images (n, c, h, w) to scores (n, classes)."""

    multipliers: ClassVar[Multipliers] = {
        "conv1.bias": (2, 1),
        "conv2.bias": (2, 1),
        "conv3.bias": (1, 1),
        "ip1.weight": (1, 250),
        "ip1.bias": (2, 0),
    }

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        self.conv1 = _convolution(shape[0], 32, std=1e-4)
        self.pool1 = _max_pool()
        self.relu1 = nn.ReLU(inplace=True)
        self.norm1 = WithinChannelLRN()
        self.conv2 = _convolution(32, 32, std=0.01)
        self.relu2 = nn.ReLU(inplace=True)
        self.pool2 = _average_pool()
        self.norm2 = WithinChannelLRN()
        self.conv3 = _convolution(32, 64, std=0.01)
        self.relu3 = nn.ReLU(inplace=True)
        self.pool3 = _average_pool()
        self.flatten = nn.Flatten()
        self.ip1 = _inner_product(_features_after_pooling(shape, 64), classes, std=0.01)


class Cifar10Quick(nn.Sequential):
    """cifar10_quick: 145,578 parameters on CIFAR-10. Images (n, c, h, w) to scores (n, classes)."""

    multipliers: ClassVar[Multipliers] = {f"{layer}.bias": (2, 1) for layer in ("conv1", "conv2", "conv3", "ip1", "ip2")}

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        self.conv1 = _convolution(shape[0], 32, std=1e-4)
        self.pool1 = _max_pool()
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = _convolution(32, 32, std=0.01)
        self.relu2 = nn.ReLU(inplace=True)
        self.pool2 = _average_pool()
        self.conv3 = _convolution(32, 64, std=0.01)
        self.relu3 = nn.ReLU(inplace=True)
        self.pool3 = _average_pool()
        self.flatten = nn.Flatten()
        self.ip1 = _inner_product(_features_after_pooling(shape, 64), 64, std=0.1)
        self.ip2 = _inner_product(64, classes, std=0.1)


class CaffeBatchNorm(nn.BatchNorm2d):
    """Caffe's BatchNorm layer: no scale and shift, eps 1e-5, moving average fraction 0.999.

    Caffe divides its moving sums by the sum of their weights, so that they are right from the first batch on; torch starts
    from mean 0 and variance 1 and would need thousands of batches to forget them.
    """

    FRACTION = 0.999
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-5, momentum=1 - self.FRACTION, affine=False)
        self.running_var.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (n, c, h, w) per channel: by the batch in training, by the moving averages in evaluation."""
        if self.training:
            return super().forward(x)
        weight = (1 - self.FRACTION**self.num_batches_tracked).clamp(min=1e-12)
        return F.batch_norm(x, self.running_mean / weight, self.running_var / weight, eps=self.eps)

    def hold_means(self) -> None:
        """Take the statistics for plain means, which they are where torch made them anew, and no longer for moving sums."""
        self.num_batches_tracked.fill_(10**9)  # the sum of so many weights is 1


class Cifar10FullSigmoidBN(nn.Sequential):
    """cifar10_full_sigmoid_bn, the net of Figure 6. Images (n, c, h, w) to scores (n, classes)."""

    multipliers: ClassVar[Multipliers] = {"ip1.bias": (1, 0)}

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        self.conv1 = _convolution(shape[0], 32, std=1e-4, bias=False)
        self.pool1 = _max_pool()
        self.bn1 = CaffeBatchNorm(32)
        self.sigmoid1 = nn.Sigmoid()
        self.conv2 = _convolution(32, 32, std=0.01, bias=False)
        self.bn2 = CaffeBatchNorm(32)
        self.sigmoid2 = nn.Sigmoid()
        self.pool2 = _average_pool()
        self.conv3 = _convolution(32, 64, std=0.01, bias=False)
        self.bn3 = CaffeBatchNorm(64)
        self.sigmoid3 = nn.Sigmoid()
        self.pool3 = _average_pool()
        self.flatten = nn.Flatten()
        self.ip1 = _inner_product(_features_after_pooling(shape, 64), classes, std=0.01)
