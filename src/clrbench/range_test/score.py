"""How well a module does on the way up a ramp: by its own metric, by accuracy where that is safe, or by a function."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F

# Accuracy in percent, mean loss, number of classes.
Evaluation = tuple[float, float, int]
Evaluate = Callable[[Any], Evaluation]


@dataclass(frozen=True)
class Metric:
    """A metric that validation_step logs, and whether less of it is better (`min`) or more (`max`)."""

    monitor: str
    mode: str = "min"

    def __post_init__(self) -> None:
        if self.mode not in ("min", "max"):
            raise ValueError(f"mode={self.mode} is impossible: it must be min or max")

    def read(self, trainer: Any) -> float:
        """Its value after a validation. Raises ValueError where the module does not log it."""
        metrics = trainer.callback_metrics
        if self.monitor not in metrics:
            known = ", ".join(sorted(metrics)) or "nothing"
            raise ValueError(f"monitor={self.monitor} is not logged: validation_step logs {known}")
        return float(metrics[self.monitor])


def accuracy_on(loader: Iterable[Any]) -> Evaluate:
    """Accuracy and cross-entropy of `module(inputs)` as scores (n, classes), on batches (inputs, labels) of `loader`.

    Raises ValueError for anything else: scores of one column, dense ones, targets that are no class numbers; and for no batch.
    """

    def evaluate(module: Any) -> Evaluation:
        correct, total, loss, classes = 0, 0, 0.0, 2
        for batch in loader:
            moved = module.transfer_batch_to_device(batch, module.device, 0)
            if not isinstance(moved, (list, tuple)) or len(moved) != 2:
                raise ValueError(f"a batch is a {type(moved).__name__}, not (inputs, labels): {_INSTEAD}")
            inputs, labels = moved
            scores = module(inputs)
            _check(scores, labels)
            correct += int((scores.argmax(1) == labels).sum())
            loss += float(F.cross_entropy(scores.float(), labels, reduction="sum"))
            total, classes = total + len(labels), scores.shape[1]
        if not total:
            raise ValueError("the validation loader gives no batch: give it images, or monitor= a metric of validation_step")
        return 100 * correct / total, loss / total, classes

    return evaluate


_INSTEAD = (
    "pass monitor= a metric that validation_step logs, or evaluate=, a function of the module to accuracy, loss and classes"
)


def _check(scores: Any, labels: Any) -> None:
    are_tensors = isinstance(scores, torch.Tensor) and isinstance(labels, torch.Tensor)
    if not are_tensors:
        raise ValueError(f"module(inputs) is a {type(scores).__name__}, labels a {type(labels).__name__}: {_INSTEAD}")
    is_safe = scores.ndim == 2 and scores.shape[1] > 1 and labels.shape == scores.shape[:1]
    if not is_safe or labels.is_floating_point() or labels.dtype == torch.bool:
        raise ValueError(
            f"module(inputs) is {tuple(scores.shape)} and labels are {tuple(labels.shape)} of {labels.dtype}, not scores "
            f"(n, classes) and class numbers (n,): {_INSTEAD}"
        )
