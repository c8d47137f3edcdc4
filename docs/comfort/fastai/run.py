import torch
from fastai.basics import *
from fastai.callback.schedule import ParamScheduler
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import TensorDataset


def digits():
    x, y = load_digits(return_X_y=True)
    x = torch.tensor(x, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
    x_train, x_test, y_train, y_test = train_test_split(x, torch.tensor(y), test_size=0.2, stratify=y, random_state=0)
    return DataLoaders.from_dsets(TensorDataset(x_train, y_train), TensorDataset(x_test, y_test), bs=32)


def learner():
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(128, 10),
    )
    opt = partial(SGD, mom=0.9)
    return Learner(digits(), net, loss_func=nn.CrossEntropyLoss(), opt_func=opt, wd=0.0005, metrics=accuracy)


def triangular(cycles, base_lr=0.002, max_lr=0.03):
    return lambda pos: base_lr + (max_lr - base_lr) * (1 - abs(2 * (pos * cycles % 1) - 1))


if __name__ == "__main__":
    set_seed(1, reproducible=True)
    learn = learner()
    learn.fit(16, cbs=ParamScheduler({"lr": triangular(cycles=4)}))
    print(learn.validate())
