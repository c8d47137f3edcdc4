"""The range test under both of Lightning's packages, where these are installed."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from clrbench import LRRangeTest
from clrbench.packages import package_of


@pytest.fixture(params=["pytorch_lightning", "lightning.pytorch"])
def package(request):
    """Lightning, under each of its names that is installed."""
    return pytest.importorskip(request.param, reason=f"{request.param} is not installed")


def loader():
    inputs = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
    return DataLoader(TensorDataset(inputs, (inputs[:, 0] > 0).long()), batch_size=8)


def make_module(package):
    class Module(package.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = nn.Linear(4, 2)

        def forward(self, inputs):
            return self.net(inputs)

        def training_step(self, batch, _):
            return nn.functional.cross_entropy(self(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    return Module()


def test_a_module_of_either_package_is_trained_by_its_own(package):
    module = make_module(package)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    assert package_of(module) is package
    found = LRRangeTest(high=1.0, iterations=20, points=5, seeds=(1,)).run(module, loader(), loader())
    assert len(found.curves[0].rates) == 5
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_what_is_no_lightningmodule_is_refused_in_one_line():
    with pytest.raises(TypeError, match=r"Linear is no LightningModule: derive it from lightning\.pytorch\.LightningModule"):
        LRRangeTest(high=1.0, iterations=20, points=5, seeds=(1,)).run(nn.Linear(4, 2), loader(), loader())
