"""Small nets for the small data sets. They take standardised images of any size."""

from typing import ClassVar

from torch import nn

from clrbench.models.caffe import Multipliers, Shape


class SmallCNN(nn.Sequential):
    """Two 3x3 convolutions, each with ReLU and a 2x2 max pool, and a linear layer.

    Images (n, c, h, w) to scores (n, classes).
    """

    multipliers: ClassVar[Multipliers] = {}

    def __init__(self, shape: Shape, classes: int, width: int = 16) -> None:
        channels, height, columns = shape
        super().__init__(
            nn.Conv2d(channels, width, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2, ceil_mode=True),
            nn.Conv2d(width, 2 * width, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2, ceil_mode=True),
            nn.Flatten(),
            nn.Linear(2 * width * -(-height // 4) * -(-columns // 4), classes),
        )


class Linear(nn.Sequential):
    """One linear layer on the flattened image (n, c, h, w): softmax regression, scores (n, classes)."""

    multipliers: ClassVar[Multipliers] = {}

    def __init__(self, shape: Shape, classes: int) -> None:
        channels, height, width = shape
        super().__init__(nn.Flatten(), nn.Linear(channels * height * width, classes))
