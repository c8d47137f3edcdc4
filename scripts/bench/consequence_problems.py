"""Six small problems of different kinds, on which the answers of finders are trained and compared."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from clrbench.models import SmallCNN

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
_STUDY = 0  # the images and sentences are the same for all seeds


@dataclass(frozen=True)
class Kind:
    """A problem. make: a fresh net. loss: of outputs and targets. batch_size and steps: of a training.

    in_percent: whether accuracy
    judges it, else the loss on the test set. adam: whether AdamW trains it, else SGD with momentum 0.9."""

    sets: tuple[TensorDataset, TensorDataset, TensorDataset]
    make: Callable[[], nn.Module]
    loss: Loss
    batch_size: int
    steps: int
    in_percent: bool = True
    adam: bool = False

    def loader(self, seed: int) -> DataLoader[Any]:
        """Training batches in an order of the seed's."""
        generator = torch.Generator().manual_seed(seed)
        return DataLoader(self.sets[0], self.batch_size, shuffle=True, generator=generator, drop_last=True)

    def module(self, seed: int) -> "Module":
        """A net with the seed's weights."""
        torch.manual_seed(seed)
        return Module(self)

    def optimizer(self, net: nn.Module, rate: float) -> torch.optim.Optimizer:
        """The problem's own."""
        if self.adam:
            return torch.optim.AdamW(net.parameters(), lr=rate)
        return torch.optim.SGD(net.parameters(), lr=rate, momentum=0.9)

    def result(self, net: nn.Module) -> float:
        """Errors in percent, or the loss, on the test set: less is better."""
        inputs, targets = self.sets[2].tensors
        net.eval()
        with torch.no_grad():
            outputs = net(inputs)
            if self.in_percent:
                return 100 * float((outputs.argmax(1) != targets).float().mean())
            return float(self.loss(outputs, targets))


class Module(lightning.LightningModule):
    """A net as anybody would write it."""

    def __init__(self, kind: Kind) -> None:
        super().__init__()
        self.kind, self.lr = kind, 0.001
        self.net = kind.make()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """What the net says."""
        outputs: torch.Tensor = self.net(inputs)
        return outputs

    def training_step(self, batch: list[torch.Tensor]) -> torch.Tensor:
        """The loss."""
        return self.kind.loss(self(batch[0]), batch[1])

    def validation_step(self, batch: list[torch.Tensor]) -> None:
        """The loss."""
        self.log("val_loss", self.kind.loss(self(batch[0]), batch[1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The problem's own."""
        return self.kind.optimizer(self, self.lr)


class Characters(nn.Module):
    """A transformer of two layers that says the next character."""

    def __init__(self, count: int, width: int = 32, length: int = 32) -> None:
        super().__init__()
        self.letters, self.places = nn.Embedding(count, width), nn.Parameter(0.02 * torch.randn(length, width))
        layer = nn.TransformerEncoderLayer(width, 2, 2 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.out = nn.Linear(width, count)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(length))

    def forward(self, text: torch.Tensor) -> torch.Tensor:
        """Scores of (n, length) characters: (n, count, length)."""
        hidden = self.layers(self.letters(text) + self.places, mask=self.mask, is_causal=True)
        scores: torch.Tensor = self.out(hidden).transpose(1, 2)
        return scores


def kinds(root: Path, data: Path) -> Mapping[str, Kind]:
    """The problems. root: the checkout, whose documents are a text; data: where fashion_mnist.npz and cifar10.npz lie."""
    digits = _digits()
    fashion, small_cifar = (_images(data / f"{name}.npz", 2500) for name in ("fashion_mnist", "cifar10"))
    text, count = _text(root)
    return {
        "digits, perceptron": Kind(digits, lambda: _perceptron(64, 10), F.cross_entropy, 32, 360),
        "digits, CNN": Kind(_squares(digits), lambda: SmallCNN((1, 8, 8), 10, width=16), F.cross_entropy, 32, 240),
        "regression, AdamW": Kind(_regression(), lambda: _perceptron(6, 1), F.mse_loss, 32, 360, in_percent=False, adam=True),
        "Fashion-MNIST, perceptron": Kind(fashion, lambda: _perceptron(784, 10), F.cross_entropy, 50, 300),
        "CIFAR-10, small CNN": Kind(small_cifar, lambda: SmallCNN((3, 32, 32), 10, width=8), F.cross_entropy, 50, 120),
        "characters, transformer, AdamW": Kind(
            text, lambda: Characters(count), F.cross_entropy, 8, 240, in_percent=False, adam=True
        ),
    }


def _perceptron(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, 64), nn.ReLU(), nn.Linear(64, outputs))


def _parts(inputs: torch.Tensor, targets: torch.Tensor) -> tuple[TensorDataset, TensorDataset, TensorDataset]:
    """Shuffled: six tenths for training, two for validation, two for the result."""
    order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(_STUDY))
    cut, end = 6 * len(inputs) // 10, 8 * len(inputs) // 10
    first, second, third = (TensorDataset(inputs[at], targets[at]) for at in (order[:cut], order[cut:end], order[end:]))
    return first, second, third


def _standard(pixels: Any) -> torch.Tensor:
    values = torch.as_tensor(np.asarray(pixels), dtype=torch.float32)
    return (values - values.mean()) / values.std()


def _digits() -> tuple[TensorDataset, TensorDataset, TensorDataset]:
    from sklearn.datasets import load_digits

    found = load_digits()
    return _parts(_standard(found.data), torch.as_tensor(found.target))


def _squares(sets: tuple[TensorDataset, ...]) -> tuple[TensorDataset, TensorDataset, TensorDataset]:
    first, second, third = (TensorDataset(one.tensors[0].reshape(-1, 1, 8, 8), one.tensors[1]) for one in sets)
    return first, second, third


def _regression() -> tuple[TensorDataset, TensorDataset, TensorDataset]:
    generator = torch.Generator().manual_seed(_STUDY)
    inputs = torch.randn(3000, 6, generator=generator)
    targets = torch.sin(2 * inputs[:, 0]) + inputs[:, 1] * inputs[:, 2] + 0.1 * torch.randn(3000, generator=generator)
    return _parts(inputs, targets[:, None])


def _images(path: Path, count: int) -> tuple[TensorDataset, TensorDataset, TensorDataset]:
    with np.load(path) as found:
        pixels = torch.as_tensor(found["x_train"][:count])
        labels = torch.as_tensor(found["y_train"][:count].astype(int)).flatten()
    pixels = pixels[:, None] if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)
    return _parts(_standard(pixels), labels)


def _text(root: Path) -> tuple[tuple[TensorDataset, TensorDataset, TensorDataset], int]:
    text = "".join((root / "docs" / name).read_text(encoding="utf-8") for name in ("method.md", "guide.md", "faithful.md"))
    letters = sorted(set(text))
    coded = torch.tensor([letters.index(letter) for letter in text])
    windows = coded.unfold(0, 33, 16)
    return _parts(windows[:, :-1].contiguous(), windows[:, 1:].contiguous()), len(letters)
