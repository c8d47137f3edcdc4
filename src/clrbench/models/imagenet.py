"""The nets that the paper trains on ImageNet (section 4.2), in torchvision's form, untrained. They take colour images.

The paper's are Caffe's. Both of torchvision's differ from them, as their classes say.
"""

from typing import ClassVar

from torchvision import models

from clrbench.models.caffe import Multipliers, Shape


class AlexNet(models.AlexNet):  # type: ignore[misc]
    """torchvision's AlexNet, 61,100,840 parameters with 1,000 classes: images (n, 3, h, w) to scores (n, classes).

    It is the net of Krizhevsky's "one weird trick" (arXiv:1404.5997). Caffe's bvlc_alexnet, the paper's, has other numbers of
    channels, two groups in three of its convolutions, normalisation across channels, Gaussian initial weights, and biases
    that learn at twice the rate and do not decay. Raises ValueError for grey images, and for sides of less than 63 pixels.
    """

    multipliers: ClassVar[Multipliers] = {}

    def __init__(self, shape: Shape, classes: int, dropout: float = 0.5) -> None:
        _check(shape, side=63)
        super().__init__(num_classes=classes, dropout=dropout)


class GoogLeNet(models.GoogLeNet):  # type: ignore[misc]
    """torchvision's GoogLeNet, 13,004,888 parameters with 1,000 classes: images (n, 3, h, w) to scores (n, classes).

    In training it puts out three such scores, the last two of the auxiliary classifiers (Szegedy et al., arXiv:1409.4842).
    The paper's, in Caffe, has no batch normalisation, and 5x5 convolutions where torchvision has 3x3. Raises ValueError for
    grey images, and for sides of less than 15 pixels.
    """

    multipliers: ClassVar[Multipliers] = {}

    def __init__(self, shape: Shape, classes: int) -> None:
        _check(shape, side=15)
        super().__init__(num_classes=classes, aux_logits=True, init_weights=True)


def _check(shape: Shape, side: int) -> None:
    channels, height, width = shape
    if channels != 3 or min(height, width) < side:
        raise ValueError(
            f"images of {height}x{width}x{channels} are not for this net: it takes colour images of {side}x{side} and more"
        )
