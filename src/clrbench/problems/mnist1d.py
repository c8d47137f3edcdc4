"""MNIST-1D: sequences of 40 numbers that are ten digits' shapes, moved, stretched, sheared and in noise.

The recipe of Greydanus and Kobak, "Scaling down deep learning with MNIST-1D" (arXiv:2011.14439), and of their package mnist1d
(Apache 2.0) with the settings that it publishes, seed 42; the arrays are those of the package.
"""

from functools import cache

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from clrbench.problems.arrays import ArrayData, Parts, checked, split

Floats = NDArray[np.float64]
SHA256 = "cd48ef7c965e3827368f9834d1a4c2bf71f24841f19bddbac80befee75a49fa8"
_PER_CLASS, _LENGTH, _CLASSES = 500, 40, 10
_PADDING, _MOST_SHIFTED, _STRETCHED = (36, 60), 48, 72
_SHAPES = np.array([
    [5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5],
    [5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5],
    [5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5],
    [5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5],
    [5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5],
    [5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5],
    [5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5],
    [5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5],
    [5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5],
    [5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5],
])  # fmt: skip


class MNIST1D(ArrayData):
    """3,600 sequences (40,) for training, 400 for validation, 1,000 for the test, with labels 0-9."""

    def __init__(self, batch_size: int = 40) -> None:
        super().__init__(batch_size)

    def parts(self) -> Parts:
        """The published training set without its last 400 sequences, these, and the published test set."""
        parts: Parts = split(checked(make(), SHA256, "MNIST-1D"), 3600, 400)
        return parts


@cache
def make() -> tuple[Floats, NDArray[np.int64]]:
    """All sequences (5000, 40), of mean 0 and standard deviation 1, and their labels (5000,), as the package orders them."""
    random = RandomState(42)
    labels = np.repeat(np.arange(_CLASSES), _PER_CLASS)
    shapes = _shapes()
    x = np.stack([_drawn(shapes[label], random) for label in labels])
    order = random.permutation(len(labels))
    x, labels = x[order], labels[order]
    return (x - x.mean()) / x.std(), labels


def _shapes() -> Floats:
    """A shape a digit (10, 12), which begins at 0."""
    shapes = _SHAPES - _SHAPES.mean(1, keepdims=True)
    shapes /= shapes.std(1, keepdims=True)
    return np.asarray((shapes - shapes[:, :1]) / 6)


def _drawn(shape: Floats, random: RandomState) -> Floats:
    """A shape (12,) padded with zeros, stretched, scaled, shifted around, put into noise, sheared: a sequence (40,)."""
    least, most = _PADDING
    zeros = np.zeros(least + int(random.rand() * (most - least + 1)))
    x = _resized(np.concatenate([shape + 1e-8, zeros]), _STRETCHED)  # not quite 0, which the padding is
    x *= 1 + 0.4 * (random.rand() - 0.5)
    shift = random.choice(_MOST_SHIFTED)
    x = np.concatenate([x[-shift:], x[:-shift]])
    is_shape = x != 0
    x = is_shape * x + ~is_shape * gaussian_filter(0.25 * random.randn(len(x)), 2)
    x = x + 0.02 * random.randn(len(x))
    x = x - 0.75 * (random.rand() - 0.5) * np.linspace(-0.5, 0.5, len(x))
    return _resized(x, _LENGTH)


def _resized(x: Floats, length: int) -> Floats:
    return np.interp(np.linspace(0, 1, length), np.linspace(0, 1, len(x)), x)
