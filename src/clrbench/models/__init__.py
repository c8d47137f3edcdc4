"""The networks. Each is built as `Net(shape, classes)` with shape = (channels, height, width) of an image.

Those that are made of torchvision's parts are in `resnet` and `imagenet`, which import it, and for that are not imported here.
"""

from clrbench.models.caffe import Cifar10Full, Cifar10FullSigmoidBN, Cifar10Quick
from clrbench.models.densenet import DenseNet
from clrbench.models.small import Linear, SmallCNN

__all__ = ["Cifar10Full", "Cifar10FullSigmoidBN", "Cifar10Quick", "DenseNet", "Linear", "SmallCNN"]
