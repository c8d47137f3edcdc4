"""LightningModules and their data as a user might write them, for tests."""

from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, random_split

SEEN: list[Any] = []  # the batches and losses of training, where a test looks


class Noisy(Dataset[Any]):
    """Draws from numpy and torch at each item, as an augmentation does."""

    def __init__(self, items: Dataset[Any]) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> Any:
        x, y = self._items[index]
        return x + 0.01 * torch.randn(x.shape) + 0.01 * float(np.random.randn()), y


class Lines(pl.LightningDataModule):
    """A noisy linear relation, split and augmented at random."""

    def __init__(self, workers: int = 0, test: bool = True) -> None:
        super().__init__()
        self.workers, self.test = workers, test

    def setup(self, stage: str) -> None:
        drawn = torch.Generator().manual_seed(0)
        x = torch.randn(96, 4, generator=drawn)
        y = x @ torch.tensor([1.0, -2.0, 3.0, 0.5]) + 0.1 * torch.randn(96, generator=drawn)
        self.train, self.val = random_split(TensorDataset(x, y), [64, 32])

    def train_dataloader(self) -> Any:
        return DataLoader(Noisy(self.train), batch_size=10, shuffle=True, num_workers=self.workers)

    def val_dataloader(self) -> Any:
        return DataLoader(self.val, batch_size=16)

    def test_dataloader(self) -> Any:
        return DataLoader(self.val, batch_size=8)


class Drawn(Lines):
    """Draws from a generator that nobody else can seed."""

    def setup(self, stage: str) -> None:
        super().setup(stage)
        x = torch.from_numpy(np.random.default_rng().normal(size=(64, 4))).float()
        self.train = TensorDataset(x, x.sum(1))  # type: ignore[assignment]
        self._random = np.random.default_rng()

    def train_dataloader(self) -> Any:
        return DataLoader(self.train, batch_size=10, collate_fn=self._shaken)

    def _shaken(self, items: Any) -> Any:
        x, y = (torch.stack(part) for part in zip(*items, strict=True))
        return x + float(self._random.normal()), y


class Items(IterableDataset[Any]):
    """Items without a number of them."""

    def __init__(self, items: Dataset[Any]) -> None:
        self._items = items

    def __iter__(self) -> Any:
        return (self._items[place] for place in range(len(self._items)))  # type: ignore[arg-type]


class StreamedVal(Lines):
    def val_dataloader(self) -> Any:
        return DataLoader(Items(self.val), batch_size=16)


class Streamed(Lines):
    def train_dataloader(self) -> Any:
        return DataLoader(Items(self.train), batch_size=10)


class Several(Lines):
    def train_dataloader(self) -> Any:
        return {"one": super().train_dataloader(), "other": super().train_dataloader()}


class Gappy(Lines):
    """Has values that are missing."""

    def setup(self, stage: str) -> None:
        super().setup(stage)
        x, y = self.train[:]
        x[:, 0] = float("nan")
        self.train = TensorDataset(x, y)  # type: ignore[assignment]

    def train_dataloader(self) -> Any:
        return DataLoader(self.train, batch_size=10)


class Shared(Lines):
    """Gives half of its batches where it is trained on, as data that share themselves between devices do."""

    def train_dataloader(self) -> Any:
        items = TensorDataset(*self.train[:])
        return DataLoader(items, batch_size=20 if self.trainer else 10)


class WithoutVal(pl.LightningDataModule):
    def train_dataloader(self) -> Any:
        return DataLoader(TensorDataset(torch.zeros(8, 4), torch.zeros(8)))


class Regression(pl.LightningModule):
    """With dropout, a schedule of its own, and a metric that is less where it is better."""

    def __init__(self, width: int = 8, lr: float = 0.01) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Dropout(0.1), nn.Linear(width, 1))
        self.lr = lr

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss = F.mse_loss(self.net(batch[0])[:, 0], batch[1])
        self.log("train_loss", loss)
        SEEN.append((self.current_epoch, batch[0].clone(), loss.item()))
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        torch.rand(3)
        self.log_dict({"val_mse": F.mse_loss(self.net(batch[0])[:, 0], batch[1]), "val_size": float(len(batch[0]))})

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.log("test_mse", F.mse_loss(self.net(batch[0])[:, 0], batch[1]))

    def configure_optimizers(self) -> Any:
        slow = {"params": self.net[0].parameters(), "lr": self.lr / 10}
        optimizer = torch.optim.Adam([slow, {"params": self.net[3].parameters()}], lr=self.lr)
        return [optimizer], [torch.optim.lr_scheduler.LinearLR(optimizer, 0.1)]


class Needy(Regression):
    def __init__(self, vocabulary: int) -> None:
        super().__init__()


class Blind(Regression):
    """Logs nothing in validation but its size."""

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_size", float(len(batch[0])))


class Homonym(Regression):
    """Logs metrics by names that every record has, in every validation."""

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        super().validation_step(batch, batch_idx)
        self.log_dict({"lr": 7.0, "epoch": 8.0, "seconds": 9.0})


class Stopping(Regression):
    """Stops itself, as early stopping does."""

    def on_train_batch_end(self, *_: Any) -> None:
        if self.global_step == 9:
            self.trainer.should_stop = True


class Exiting(Regression):
    """Ends its process, as a library does that finds something amiss."""

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        raise SystemExit(3)


class Watched(Regression):
    """Brings a callback that asks for a logger, and logs by it itself."""

    def configure_callbacks(self) -> Any:
        return [pl.callbacks.LearningRateMonitor()]

    def on_train_epoch_end(self) -> None:
        self.logger.experiment.add_scalar("epoch", self.current_epoch)  # type: ignore[union-attr]


class Seldom(Regression):
    """Steps every second batch, as one that gathers gradients itself."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        loss = super().training_step(batch, batch_idx)
        self.manual_backward(loss)
        if batch_idx % 2:
            self.optimizers().step()  # type: ignore[union-attr]
        return loss


class Unmeasurable(Regression):
    """Whose test metric is no number."""

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.log("test_mse", float("nan"))


class Listing(Regression):
    """Takes a list and nothing like one; logs one thing more from the second epoch on."""

    def __init__(self, widths: Any) -> None:
        assert type(widths) is list
        super().__init__(*widths)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        super().validation_step(batch, batch_idx)
        if self.current_epoch:
            self.log("late", 1.0)


class Gan(pl.LightningModule):
    """Two optimizers under manual optimization, and a schedule that it steps itself."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.generator, self.critic = nn.Linear(2, 4), nn.Linear(4, 1)

    def training_step(self, batch: Any, batch_idx: int) -> None:
        first, second = self.optimizers()  # type: ignore[misc]
        real, made = batch[0], self.generator(torch.randn(len(batch[0]), 2))
        self._step(second, self.critic(made.detach()).mean() - self.critic(real).mean())
        self._step(first, -self.critic(made).mean())
        self.lr_schedulers().step()  # type: ignore[union-attr]

    def _step(self, optimizer: Any, loss: Tensor) -> None:
        optimizer.zero_grad()
        self.manual_backward(loss + 0.1 * self.critic.weight.square().sum())
        optimizer.step()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        made = self.generator(torch.randn(len(batch[0]), 2))
        self.log("distance", (made.mean(0) - batch[0].mean(0)).norm())

    def configure_optimizers(self) -> Any:
        first, second = (torch.optim.SGD(net.parameters(), lr=0.01) for net in (self.generator, self.critic))
        return [first, second], [torch.optim.lr_scheduler.StepLR(first, 1)]
