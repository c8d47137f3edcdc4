"""The networks. Each is built as `Net(shape, classes)` with shape = (channels, height, width) of an image."""

from clrbench.models.caffe import Cifar10Full, Cifar10FullSigmoidBN, Cifar10Quick
from clrbench.models.small import Linear, SmallCNN

__all__ = ["Cifar10Full", "Cifar10FullSigmoidBN", "Cifar10Quick", "Linear", "SmallCNN"]
