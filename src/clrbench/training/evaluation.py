"""Loss and accuracy on a whole set of images."""

import torch
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
    was_training = module.training
    module.eval()
    with module.trainer.precision_plugin.forward_context():
        for pixels, labels in images.batches(BATCH_SIZE):
            scores = module(pixels).float()
            loss.update(F.cross_entropy(scores, labels), weight=len(labels))
            accuracy.update(scores, labels)
    module.train(was_training)
    # torchmetrics counts in whole numbers but divides in float32: beyond four digits a percentage is its rounding error.
    return {"test_loss": loss.compute().item(), METRIC: round(100 * accuracy.compute().item(), 4)}
