"""Residual nets for CIFAR (He et al., arXiv:1512.03385, section 4.2), with constant and with stochastic depth.

They take standardised images.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

from clrbench.models.caffe import Multipliers, Shape
from clrbench.models.initial import he_initial


class ResNet(nn.Sequential):
    """The net of `depth` layers, 6n+2: a convolution, three stages of n blocks with 16, 32 and 64 channels, a linear layer.

    Images (n, c, h, w) to scores (n, classes). Raises ValueError for another depth.
    """

    multipliers: ClassVar[Multipliers] = {}
    block: ClassVar[type[nn.Module]] = BasicBlock
    shortcut_pool: ClassVar[int] = 1

    def __init__(self, shape: Shape, classes: int, depth: int = 110) -> None:
        if depth < 8 or depth % 6 != 2:
            raise ValueError(f"depth={depth} is impossible: it must be 6n+2, as 8, 14, 20, 32, 44, 56 or 110")
        super().__init__()
        self.conv = nn.Conv2d(shape[0], 16, kernel_size=3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.relu = nn.ReLU(inplace=True)
        self.stage1 = self._stage(16, 16, depth // 6)
        self.stage2 = self._stage(16, 32, depth // 6)
        self.stage3 = self._stage(32, 64, depth // 6)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(64, classes)
        he_initial(self)

    def _stage(self, inputs: int, outputs: int, blocks: int) -> nn.Sequential:
        return nn.Sequential(self._first(inputs, outputs), *(self.block(outputs, outputs) for _ in range(blocks - 1)))

    def _first(self, inputs: int, outputs: int) -> nn.Module:
        if inputs == outputs:
            return self.block(inputs, outputs)
        return self.block(inputs, outputs, stride=2, downsample=shortcut(inputs, outputs, self.shortcut_pool))


def shortcut(inputs: int, outputs: int, pool: int) -> nn.Sequential:
    """The shortcut without parameters (option A): half the height and width, rounded up, and zeros for the new channels.

    pool: the side of the squares that are averaged, one in every 2x2 pixels.
    """
    return nn.Sequential(
        nn.AvgPool2d(pool, stride=2, ceil_mode=True),
        # Of (n, c, h, w) it pads the last three dimensions: behind the channels.
        nn.ZeroPad3d((0, 0, 0, 0, 0, outputs - inputs)),
    )


class StochasticBlock(BasicBlock):  # type: ignore[misc]
    """A block that training steps leave out at random, but for its shortcut; in evaluation its residual counts by `survival`.

    torchvision.ops.StochasticDepth computes what it drops, and divides by the probability in training where the paper
    multiplies by it in evaluation. A block that is left out gets no gradient, so that the step leaves its weights as they
    are; in the authors' code weight decay and momentum go on.
    """

    survival = 1.0

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, inputs, h, w), not negative, to (n, outputs, h, w) or half that height and width."""
        around: Tensor = x if self.downsample is None else self.downsample(x)
        # Torch's global state on the CPU, which runs save and restore; one number a block, whatever comes of it.
        if self.training and torch.rand(1).item() >= self.survival:
            return around
        residual = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        if not self.training:
            residual = residual * self.survival
        through: Tensor = self.relu(around + residual)
        return through


class StochasticDepth(ResNet):
    """The same net, of which each training step leaves out blocks at random (Huang et al., arXiv:1603.09382).

    Block l of L survives with the probability 1 - l/L * (1 - last_survival). As in the authors' code, the shortcuts between
    stages average 2x2 pixels. Raises ValueError as ResNet does, and for a probability that is none.
    """

    block = StochasticBlock
    shortcut_pool = 2
    leaves_out: ClassVar[bool] = True  # parameters without a gradient, for training with several devices

    def __init__(self, shape: Shape, classes: int, depth: int = 110, last_survival: float = 0.5) -> None:
        if not 0 < last_survival <= 1:
            raise ValueError(f"last_survival={last_survival} is impossible: it must be above 0 and at most 1")
        super().__init__(shape, classes, depth)
        blocks = [module for module in self.modules() if isinstance(module, StochasticBlock)]
        for number, block in enumerate(blocks, 1):
            block.survival = 1 - number / len(blocks) * (1 - last_survival)
