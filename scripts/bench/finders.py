"""How far the answers of range tests lie apart over seeds: ours beside Lightning's finder and torch-lr-finder's.

One problem, the digits with the suite's small net, its loss noisy for want of images. Each finder has the same steps and
the same ends of the range, uses them in its own usual way, and starts from the same weights and batches for a seed.
"""

import contextlib
import io
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pytorch_lightning as lightning
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from clrbench.data.images import Images, training_indices, validation_indices
from clrbench.data.sources import read_digits
from clrbench.models import SmallCNN
from clrbench.quiet import quiet
from clrbench.range_test.standalone import LRRangeTest

LOW, HIGH, STEPS, BATCH_SIZE = 1e-4, 0.3, 320, 32
Answers = Mapping[str, float | None]


class Classifier(lightning.LightningModule):
    """A net as anybody would write it."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.net = SmallCNN((1, 8, 8), 10, width=16)
        self.lr = 0.01

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Scores (n, classes)."""
        scores: torch.Tensor = self.net(images)
        return scores

    def training_step(self, batch: Sequence[torch.Tensor]) -> torch.Tensor:
        """Cross-entropy."""
        return F.cross_entropy(self(batch[0]), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """SGD with momentum."""
        return torch.optim.SGD(self.parameters(), lr=self.lr, momentum=0.9)


@dataclass(frozen=True)
class Problem:
    """Training and validation images, standardized."""

    train: TensorDataset
    validation: TensorDataset

    @classmethod
    def digits(cls) -> "Problem":
        """The digits, a tenth of the training images aside."""
        images = read_digits().train
        assert isinstance(images, Images)
        parts = [images.take(chosen(images.labels, "holdout")) for chosen in (training_indices, validation_indices)]
        mean, spread = parts[0].pixels.astype(float).mean(), parts[0].pixels.astype(float).std()
        sets = [
            TensorDataset(
                torch.from_numpy((part.pixels.astype(np.float32) - mean) / spread).permute(0, 3, 1, 2).float(),
                torch.from_numpy(part.labels),
            )
            for part in parts
        ]
        return cls(*sets)

    def loaders(self, seed: int) -> tuple[DataLoader[Any], DataLoader[Any]]:
        """Training batches in an order of the seed's, and validation batches."""
        generator = torch.Generator().manual_seed(seed)
        train = DataLoader(self.train, BATCH_SIZE, shuffle=True, generator=generator, drop_last=True)
        return train, DataLoader(self.validation, 250)


def ours(problem: Problem, seed: int, ramps: int) -> Answers:
    """Both bounds, from so many ramps."""
    test = LRRangeTest(HIGH, iterations=STEPS, seeds=range(seed * ramps, (seed + 1) * ramps))
    bounds = test.run(Classifier(seed), *problem.loaders(seed)).bounds
    return {"base_lr": bounds.base_lr, "max_lr": bounds.max_lr}


def lightnings(problem: Problem, seed: int) -> Answers:
    """Lightning's suggestion: the steepest fall of the smoothed training loss."""
    from pytorch_lightning.tuner.tuning import Tuner

    with tempfile.TemporaryDirectory() as folder, quiet(), contextlib.redirect_stderr(io.StringIO()):
        trainer = lightning.Trainer(
            default_root_dir=folder, logger=False, enable_progress_bar=False, enable_model_summary=False, max_epochs=99
        )
        found = Tuner(trainer).lr_find(
            Classifier(seed), problem.loaders(seed)[0], min_lr=LOW, max_lr=HIGH, num_training=STEPS, update_attr=False
        )
    return {"rate": found.suggestion() if found else None}


def torch_lr_finders(problem: Problem, seed: int) -> Answers:
    """torch-lr-finder's suggestion: the steepest fall of the smoothed training loss."""
    from matplotlib.figure import Figure
    from torch_lr_finder import LRFinder

    module = Classifier(seed)
    optimizer = torch.optim.SGD(module.parameters(), lr=LOW, momentum=0.9)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        finder = LRFinder(module.net, optimizer, torch.nn.CrossEntropyLoss(), device="cpu")
        finder.range_test(problem.loaders(seed)[0], end_lr=HIGH, num_iter=STEPS)
        answer = finder.plot(ax=Figure().subplots())
    return {"rate": float(answer[1]) if isinstance(answer, tuple) and answer[1] is not None else None}


FINDERS: Mapping[str, Callable[[Problem, int], Answers]] = {
    "clrbench, one ramp": lambda problem, seed: ours(problem, seed, 1),
    "clrbench, three ramps": lambda problem, seed: ours(problem, seed, 3),
    "Lightning lr_find": lightnings,
    "torch-lr-finder": torch_lr_finders,
}


def spread(answers: Mapping[tuple[str, str], Sequence[float | None]]) -> pl.DataFrame:
    """A row an answer of a finder: median, lowest and highest over seeds, highest over lowest, and how often it had none."""
    rows = []
    for (finder, name), found in answers.items():
        rates = [rate for rate in found if rate is not None]
        low, high = (min(rates), max(rates)) if rates else (None, None)
        factor = high / low if low and high else None
        rows.append((finder, name, float(np.median(rates)) if rates else None, low, high, factor, len(found) - len(rates)))
    columns = ("finder", "answer", "median_rate", "lowest", "highest", "factor", "without")
    return pl.DataFrame(rows, schema=list(columns), orient="row")


def compare(seeds: Sequence[int], tick: Callable[[], object]) -> dict[tuple[str, str], list[float | None]]:
    """All answers, seed by seed; `tick` is called after each."""
    torch.set_num_threads(1)  # so small a net is trained sooner by one
    problem = Problem.digits()
    answers: dict[tuple[str, str], list[float | None]] = {}
    for seed in seeds:
        for finder, ask in FINDERS.items():
            for name, rate in ask(problem, seed).items():
                answers.setdefault((finder, name), []).append(rate)
            tick()
    return answers
