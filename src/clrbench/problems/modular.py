"""Addition modulo a prime, learnt from a part of its table (Power et al., "Grokking", arXiv:2201.02177)."""

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from torch import nn
from torch.optim import AdamW

from clrbench.problems.arrays import ArrayData, Parts, checked, split
from clrbench.problems.steps import CrossEntropy

PRIME = 53
SHA256 = "51d84b1d71742c9cb24c3e7fff3eba90a7d60b29430699140dfadac749af31b8"


class ModularAddition(ArrayData):
    """Pairs (2,) of numbers below 53 with their sum modulo 53: of the table's 2,809, 1,980 for training, 300 for validation,
    529 for the test.
    """

    def __init__(self, batch_size: int = 22) -> None:
        super().__init__(batch_size)

    def parts(self) -> Parts:
        """The table, in an order drawn once."""
        parts: Parts = split(checked(make(), SHA256, "task=modular_addition"), 1980, 300)
        return parts


def make() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All pairs (2809, 2) in an order drawn once, and their sums modulo 53 (2809,)."""
    table = np.stack(np.divmod(RandomState(0).permutation(PRIME**2), PRIME), axis=1)
    return table, table.sum(1) % PRIME


class PairPerceptron(CrossEntropy):
    """One embedding for both numbers, added, and a hidden layer of ReLUs: pairs (n, 2) to scores (n, 53). AdamW."""

    def __init__(self, width: int = 64, hidden: int = 128) -> None:
        layers = nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, PRIME)
        super().__init__(nn.Sequential(nn.EmbeddingBag(PRIME, width, mode="sum"), *layers))

    def configure_optimizers(self) -> AdamW:
        """AdamW, betas 0.9 and 0.98, weight decay 0.3."""
        return AdamW(self.parameters(), betas=(0.9, 0.98), weight_decay=0.3)
