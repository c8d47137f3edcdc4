"""The digits of scikit-learn through a bottleneck (UCI, Alpaydin and Kaynak 1998, CC BY 4.0)."""

from functools import cache
from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from torch import nn
from torch.optim import Adam

from clrbench.problems.arrays import ArrayData, Parts, checked, split
from clrbench.problems.steps import LeastSquares

SHA256 = "21564633f6ce3772a934e20b672bda3b99408bc153990b21cf676d73ef793541"


class Pixels(ArrayData):
    """Digits of 8x8 grey pixels, 0 to 16, as inputs (64,) and as targets (64,): 1,080 for training, 300, and 417."""

    def __init__(self, batch_size: int = 12) -> None:
        super().__init__(batch_size)

    def parts(self) -> Parts:
        """The images, in an order drawn once."""
        (pixels,) = checked([make()], SHA256, "task=autoencoder")
        parts: Parts = split([pixels, pixels], 1080, 300)
        return parts


@cache
def make() -> NDArray[Any]:
    """All images (1797, 64), in an order drawn once."""
    from sklearn.datasets import load_digits

    pixels = load_digits().data
    return np.asarray(pixels[RandomState(0).permutation(len(pixels))])


class Autoencoder(LeastSquares):
    """A hidden layer of ReLUs, a bottleneck, a hidden layer: pixels (n, 64), 0 to 16, to pixels (n, 64). Adam."""

    def __init__(self, width: int = 128, bottleneck: int = 8) -> None:
        encoder = nn.Linear(64, width), nn.ReLU(), nn.Linear(width, bottleneck)
        super().__init__(nn.Sequential(*encoder, nn.Linear(bottleneck, width), nn.ReLU(), nn.Linear(width, 64)))

    def configure_optimizers(self) -> Adam:
        """Adam, without weight decay."""
        return Adam(self.parameters())
