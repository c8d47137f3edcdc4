"""Breast cancer Wisconsin (diagnostic), as it ships inside scikit-learn (UCI, Wolberg et al. 1995, CC BY 4.0)."""

from functools import cache
from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from torch import nn
from torch.optim import SGD

from clrbench.problems.arrays import ArrayData, Parts, checked, split
from clrbench.problems.steps import CrossEntropy

SHA256 = "d094693ee43f4a367c9fc48fd7ba09c682140b68130465b6b94a691ce98d8054"
_TRAINING, _VALIDATION = 300, 119


class BreastCancer(ArrayData):
    """30 measurements (30,), standardised by the training set, and whether a tumour is benign: 300 patients for training, 119,
    and 150, each part with the same shares of both classes.
    """

    def __init__(self, batch_size: int = 4) -> None:
        super().__init__(batch_size)

    def parts(self) -> Parts:
        """The patients, in an order drawn once."""
        parts: Parts = split(checked(make(), SHA256, "task=breast_cancer"), _TRAINING, _VALIDATION)
        return parts


@cache
def make() -> tuple[NDArray[Any], NDArray[Any]]:
    """Measurements (569, 30) and classes (569,): 0 malignant, 1 benign."""
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer()
    order = _evenly(bunch.target, RandomState(0))
    x, y = bunch.data[order], bunch.target[order]
    return (x - x[:_TRAINING].mean(0)) / x[:_TRAINING].std(0), y


def _evenly(labels: NDArray[Any], random: RandomState) -> NDArray[np.int64]:
    """An order in which each class is spread evenly, so that every long stretch is stratified."""
    drawn = random.permutation(len(labels))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = drawn[labels[drawn] == label]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    return np.argsort(place, kind="stable")


class TabularPerceptron(CrossEntropy):
    """A hidden layer of ReLUs: measurements (n, 30) to scores (n, 2). SGD with momentum."""

    def __init__(self, width: int = 32) -> None:
        super().__init__(nn.Sequential(nn.Linear(30, width), nn.ReLU(), nn.Linear(width, 2)))

    def configure_optimizers(self) -> SGD:
        """SGD, momentum 0.9, weight decay 0.01."""
        return SGD(self.parameters(), momentum=0.9, weight_decay=0.01)
