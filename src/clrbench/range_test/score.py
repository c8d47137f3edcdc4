"""How well a module does on the way up a ramp: by its own metric, by accuracy where that is safe, or by a function."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F

# Accuracy in percent, mean loss, number of classes.
Evaluation = tuple[float, float, int]
Evaluate = Callable[[Any], Evaluation]
# A class so many times as large as classes of equal size is told of.
_IMBALANCED = 1.5


@dataclass(frozen=True)
class Metric:
    """A metric that validation_step logs, and whether less of it is better (`min`) or more (`max`)."""

    monitor: str
    mode: str = "min"

    def __post_init__(self) -> None:
        if self.mode not in ("min", "max"):
            raise ValueError(f"mode={self.mode} is impossible: it must be min or max")

    def read(self, trainer: Any, before: Mapping[str, Any]) -> float:
        """Its value after a validation, before which `before` was logged. Raises ValueError where none is logged there."""
        metrics = {name: value for name, value in trainer.callback_metrics.items() if before.get(name) is not value}
        if self.monitor not in metrics:
            known = ", ".join(sorted(metrics)) or "nothing"
            raise ValueError(f"monitor={self.monitor} is not logged: validation_step logs {known}")
        return float(metrics[self.monitor])


class Accuracy:
    """Accuracy and cross-entropy of `module(inputs)` as scores (n, classes), on batches (inputs, labels) of a loader.

    Raises ValueError for anything else: scores of one column, dense ones, targets that are no class numbers; and for no batch.
    """

    def __init__(self, loader: Iterable[Any]) -> None:
        self._loader = loader
        self._counts = torch.zeros(2, dtype=torch.long)

    def __call__(self, module: Any) -> Evaluation:
        """See Evaluation."""
        correct, loss, seen, classes = 0, 0.0, [], 2
        for batch in self._loader:
            moved = module.transfer_batch_to_device(batch, module.device, 0)
            if not isinstance(moved, (list, tuple)) or len(moved) != 2:
                raise ValueError(f"a batch is a {type(moved).__name__}, not (inputs, labels): {_INSTEAD}")
            inputs, labels = moved
            scores = module(inputs)
            _check(scores, labels)
            correct += int((scores.argmax(1) == labels).sum())
            loss += float(F.cross_entropy(scores.float(), labels, reduction="sum"))
            seen.append(labels.cpu())
            classes = scores.shape[1]
        if not (total := sum(map(len, seen))):
            raise ValueError("the validation loader gives no batch: give it images, or monitor= a metric of validation_step")
        self._counts = torch.bincount(torch.cat(seen), minlength=classes)
        return 100 * correct / total, loss / total, classes

    @property
    def imbalance(self) -> list[str]:
        """A sentence on the largest class, where it is far larger than classes of equal size would be; after an evaluation."""
        total = max(1, int(self._counts.sum()))
        share, chance = 100 * int(self._counts.max()) / total, 100 / len(self._counts)
        if share < _IMBALANCED * chance:
            return []
        return [
            f"The largest class has {share:.0f}% of the validation labels (of equal ones: {chance:.0f}%): guessing it gets "
            "that accuracy, so pass monitor= a metric that counts all classes alike, if that matters."
        ]


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
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < scores.shape[1]:
        raise ValueError(
            f"labels are from {int(labels.min())} to {int(labels.max())}, and module(inputs) scores the classes 0 to "
            f"{scores.shape[1] - 1}: {_INSTEAD}"
        )
