"""Densely connected nets for CIFAR (Huang et al., arXiv:1608.06993). They take standardised images."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from clrbench.models.caffe import Multipliers, Shape
from clrbench.models.initial import he_initial


class DenseNet(nn.Sequential):
    """Three dense blocks, each of whose layers adds `growth_rate` channels, with transitions between them.

    bottleneck: DenseNet-BC: each layer has a 1x1 convolution before the 3x3 one, and transitions halve the channels.

    Images (n, c, h, w) to scores (n, classes); without dropout, as for augmented images. Raises ValueError unless depth is
    3n+4, or with bottleneck 6n+4.
    """

    multipliers: ClassVar[Multipliers] = {}

    def __init__(self, shape: Shape, classes: int, depth: int = 40, growth_rate: int = 12, bottleneck: bool = False) -> None:
        per_layer = 6 if bottleneck else 3
        layers, rest = divmod(depth - 4, per_layer)
        if layers < 1 or rest:
            raise ValueError(f"depth={depth} is impossible: it must be {per_layer}n+4, as {per_layer + 4}, 40 or 100")
        super().__init__()
        channels = 2 * growth_rate if bottleneck else 16
        self.conv = nn.Conv2d(shape[0], channels, kernel_size=3, padding=1, bias=False)
        for number in (1, 2, 3):
            self.add_module(f"block{number}", DenseBlock(channels, layers, growth_rate, bottleneck))
            channels += layers * growth_rate
            if number < 3:
                outputs = channels // 2 if bottleneck else channels
                self.add_module(f"transition{number}", _transition(channels, outputs))
                channels = outputs
        self.norm = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(channels, classes)
        he_initial(self)


class DenseBlock(nn.Sequential):
    """Layers each of which takes the block's input and what all layers before it put out: (n, c, h, w) to (n, more c, h, w)."""

    def __init__(self, channels: int, layers: int, growth_rate: int, bottleneck: bool) -> None:
        make = _bottleneck_layer if bottleneck else _layer
        super().__init__(*(make(channels + at * growth_rate, growth_rate) for at in range(layers)))

    def forward(self, x: Tensor) -> Tensor:
        """The input's channels, and behind them those of every layer."""
        for layer in self:
            x = torch.cat((x, layer(x)), dim=1)
        return x


def _convolution(inputs: int, outputs: int, side: int) -> tuple[nn.Module, ...]:
    """Batch normalisation, ReLU, and a convolution that keeps height and width."""
    return (
        nn.BatchNorm2d(inputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(inputs, outputs, kernel_size=side, padding=side // 2, bias=False),
    )


def _layer(inputs: int, growth_rate: int) -> nn.Sequential:
    return nn.Sequential(*_convolution(inputs, growth_rate, side=3))


def _bottleneck_layer(inputs: int, growth_rate: int) -> nn.Sequential:
    narrow = 4 * growth_rate
    return nn.Sequential(*_convolution(inputs, narrow, side=1), *_convolution(narrow, growth_rate, side=3))


def _transition(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(*_convolution(inputs, outputs, side=1), nn.AvgPool2d(2))
