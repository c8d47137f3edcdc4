import pytorch_lightning as pl
import torch
from pytorch_lightning.cli import LightningCLI
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics import Accuracy


class Digits(pl.LightningDataModule):
    def setup(self, stage):
        x, y = load_digits(return_X_y=True)
        x = torch.tensor(x, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
        y = torch.tensor(y)
        x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.2, stratify=y, random_state=0)
        self.train, self.test = TensorDataset(x_train, y_train), TensorDataset(x_test, y_test)

    def train_dataloader(self):
        return DataLoader(self.train, batch_size=32, shuffle=True, drop_last=True)

    def val_dataloader(self):
        return DataLoader(self.test, batch_size=256)


class Net(pl.LightningModule):
    def __init__(self, base_lr: float = 0.002, max_lr: float = 0.03, step_size: int = 88, mode: str = "triangular"):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(128, 10),
        )
        self.accuracy = Accuracy("multiclass", num_classes=10)

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch):
        x, y = batch
        loss = nn.functional.cross_entropy(self(x), y)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch):
        x, y = batch
        scores = self(x)
        self.accuracy(scores, y)
        self.log("val_loss", nn.functional.cross_entropy(scores, y))
        self.log("val_accuracy", self.accuracy, prog_bar=True)

    def configure_optimizers(self):
        h = self.hparams
        optimizer = torch.optim.SGD(self.parameters(), lr=h.base_lr, momentum=0.9, weight_decay=0.0005)
        scheduler = torch.optim.lr_scheduler.CyclicLR(
            optimizer, h.base_lr, h.max_lr, step_size_up=h.step_size, mode=h.mode, cycle_momentum=False
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


if __name__ == "__main__":
    LightningCLI(Net, Digits, trainer_defaults={"max_epochs": 16}, seed_everything_default=1, save_config_kwargs={"overwrite": True})
