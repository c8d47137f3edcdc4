"""Three nets for MNIST-1D: one that sees no order, one that sees neighbours, one that reads from left to right."""

from torch import Tensor, nn
from torch.optim import SGD, AdamW

from clrbench.problems.steps import Accuracy


class Perceptron(Accuracy):
    """Two hidden layers of ReLUs: sequences (n, 40) to scores (n, 10). SGD with momentum."""

    def __init__(self, width: int = 100) -> None:
        hidden = nn.Linear(40, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        super().__init__(nn.Sequential(*hidden, nn.Linear(width, 10)))

    def configure_optimizers(self) -> SGD:
        """SGD, momentum 0.9, weight decay 0.0005."""
        return SGD(self.parameters(), momentum=0.9, weight_decay=0.0005)


class ConvNet(Accuracy):
    """Three strided convolutions of ReLUs and a linear layer: sequences (n, 40) to scores (n, 10). SGD with momentum."""

    def __init__(self, channels: int = 25) -> None:
        convolutions = [
            layer
            for inputs, kernel in ((1, 5), (channels, 3), (channels, 3))
            for layer in (nn.Conv1d(inputs, channels, kernel, stride=2, padding=1), nn.ReLU())
        ]
        super().__init__(nn.Sequential(nn.Unflatten(1, (1, 40)), *convolutions, nn.Flatten(), nn.Linear(5 * channels, 10)))

    def configure_optimizers(self) -> SGD:
        """SGD, momentum 0.9, weight decay 0.0005."""
        return SGD(self.parameters(), momentum=0.9, weight_decay=0.0005)


class GRU(Accuracy):
    """A gated recurrent unit, which reads two values a step, and a linear layer on its last state. AdamW.

    Sequences (n, 40) to scores (n, 10).
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__(nn.ModuleDict({"reads": nn.GRU(2, width, batch_first=True), "out": nn.Linear(width, 10)}))

    def forward(self, x: Tensor) -> Tensor:
        """Scores (n, 10) of sequences (n, 40)."""
        _, last = self.net["reads"](x.view(-1, 20, 2))  # type: ignore[index]
        scores: Tensor = self.net["out"](last[0])  # type: ignore[index]
        return scores

    def configure_optimizers(self) -> AdamW:
        """AdamW, weight decay 0.01."""
        return AdamW(self.parameters(), weight_decay=0.01)
