"""Loss and accuracy on a whole set of images."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.aggregation import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

from clrbench.training.feed import Batched
from clrbench.training.module import Classifier

# The metric by which runs are compared.
METRIC = "test_accuracy"
# Large enough that a step's fixed costs vanish, small enough that activations stay in the processor's cache.
BATCH_SIZE = 250


@torch.inference_mode()
def evaluate(module: Classifier, images: Batched, classes: int) -> dict[str, float]:
    """test_loss, the mean cross-entropy, and test_accuracy in percent; the module comes back in the mode in which it was.

    Of several processes, each brings its part of the images, and all get the figures of the whole (torchmetrics sums them).
    """
    loss, accuracy = MeanMetric(), MulticlassAccuracy(classes, average="micro")
    loss.to(module.device)
    accuracy.to(module.device)
    for scores, labels in _scores(module, images):
        loss.update(F.cross_entropy(scores, labels), weight=len(labels))
        accuracy.update(scores, labels)
    # torchmetrics counts in whole numbers but divides in float32: beyond four digits a percentage is its rounding error.
    return {"test_loss": loss.compute().item(), METRIC: round(100 * accuracy.compute().item(), 4)}


@torch.inference_mode()
def probabilities(module: Classifier, images: Batched) -> tuple[Tensor, Tensor]:
    """What the module predicts, (n, classes), and the labels (n,)."""
    scored = list(_scores(module, images))
    return torch.cat([scores.softmax(1) for scores, _ in scored]), torch.cat([labels for _, labels in scored])


def _scores(module: Classifier, images: Batched) -> Iterator[tuple[Tensor, Tensor]]:
    was_training = module.training
    module.eval()
    with module.trainer.precision_plugin.forward_context():
        for pixels, labels in images.batches(BATCH_SIZE):
            yield module(pixels).float(), labels
    module.train(was_training)
