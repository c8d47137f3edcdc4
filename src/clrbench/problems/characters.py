"""The next character of a text: the descriptions of data sets that ship inside scikit-learn (BSD-3)."""

from collections.abc import Sequence
from functools import cache
from importlib import resources

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import AdamW

from clrbench.problems.arrays import ArrayData, Parts, checked
from clrbench.problems.steps import CrossEntropy

SHA256 = "7ef417766dce507b45f5119f25ede6f4908099f0b3d1fa8f3a7a9d9f87162adc"
SYMBOLS, LENGTH = 92, 32
_STRIDE = 16  # between the beginnings of the windows of training
_TRAINING, _VALIDATION = 34_600, 4_000


class Descriptions(ArrayData):
    """Windows of 32 characters with those that follow each of them: numbers (n, 32) and (n, 32), 0 to 91.

    Those of training overlap, in the first 34,600 characters; those of validation lie side by side in the next 4,000, those of
    the test in the last 4,454.
    """

    def __init__(self, batch_size: int = 27) -> None:
        super().__init__(batch_size)

    def parts(self) -> Parts:
        """Windows of the three stretches of the text."""
        (text,) = checked([numbers(read())], SHA256, "task=characters, the descriptions in scikit-learn")
        training, validation, test = np.split(text, [_TRAINING, _TRAINING + _VALIDATION])
        return _windows(training, _STRIDE), _windows(validation, LENGTH), _windows(test, LENGTH)


@cache
def read() -> str:
    """The descriptions, one behind the other by the names of their files."""
    folder = resources.files("sklearn.datasets") / "descr"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".rst")), key=lambda file: file.name)
    return "".join(file.read_text(encoding="utf-8") for file in files)


def numbers(text: str) -> NDArray[np.int64]:
    """Of each character its place among those of the text, by their code points."""
    codes = np.array([ord(character) for character in text])
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)


def _windows(stretch: NDArray[np.int64], stride: int) -> Sequence[Tensor]:
    windows = torch.from_numpy(stretch).unfold(0, LENGTH + 1, stride)
    return windows[:, :-1], windows[:, 1:]


class CharacterTransformer(CrossEntropy):
    """A causal transformer: characters (n, length) to scores (n, 92, length), at most 32 long. AdamW."""

    def __init__(self, width: int = 32, heads: int = 2, depth: int = 1) -> None:
        super().__init__(_Causal(width, heads, depth))

    def configure_optimizers(self) -> AdamW:
        """AdamW, betas 0.9 and 0.95, weight decay 0.1."""
        return AdamW(self.parameters(), betas=(0.9, 0.95), weight_decay=0.1)


class _Causal(nn.Module):
    """A transformer that sees what is before: characters (n, length), at most 32, to scores (n, 92, length). No dropout."""

    def __init__(self, width: int, heads: int, depth: int) -> None:
        super().__init__()
        self.character, self.place = nn.Embedding(SYMBOLS, width), nn.Embedding(LENGTH, width)
        block = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, depth, norm=nn.LayerNorm(width), enable_nested_tensor=False)
        self.out = nn.Linear(width, SYMBOLS)
        for embedding in (self.character, self.place):
            nn.init.normal_(embedding.weight, std=0.1)

    def forward(self, x: Tensor) -> Tensor:
        """The scores of what follows."""
        length = x.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(length, device=x.device)
        seen = self.character(x) + self.place(torch.arange(length, device=x.device))
        scores: Tensor = self.out(self.blocks(seen, mask, is_causal=True))
        return scores.transpose(1, 2)
