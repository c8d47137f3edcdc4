"""What a run is called for ever: public names instead of import paths, contents instead of places, and a hash of both."""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from clrbench.schedules import POLICIES

# Records outlive the code: identities have the names on the right, so that what is on the left may move. A name that has
# moved keeps its old path here, beside the new one.
PUBLIC_NAMES = {
    **{f"clrbench.schedules.{name}": name for name in POLICIES},
    "clrbench.schedules.linear": "linear_descent",  # linear is the network's
    "clrbench.models.Cifar10Full": "cifar10_full",
    "clrbench.models.Cifar10FullSigmoidBN": "cifar10_full_sigmoid_bn",
    "clrbench.models.Cifar10Quick": "cifar10_quick",
    "clrbench.models.DenseNet": "densenet",
    "clrbench.models.Linear": "linear",
    "clrbench.models.SmallCNN": "small_cnn",
    "clrbench.models.imagenet.AlexNet": "alexnet",
    "clrbench.models.imagenet.GoogLeNet": "googlenet",
    "clrbench.models.resnet.ResNet": "resnet",
    "clrbench.models.resnet.StochasticDepth": "stochastic_depth",
    "clrbench.problems.autoencoder.Autoencoder": "autoencoder",
    "clrbench.problems.autoencoder.Pixels": "digits_pixels",
    "clrbench.problems.characters.CharacterTransformer": "character_transformer",
    "clrbench.problems.characters.Descriptions": "descriptions",
    "clrbench.problems.friedman.Friedman": "friedman",
    "clrbench.problems.friedman.Regressor": "friedman_regressor",
    "clrbench.problems.mnist1d.MNIST1D": "mnist1d",
    "clrbench.problems.modular.ModularAddition": "modular_addition",
    "clrbench.problems.modular.PairPerceptron": "pair_perceptron",
    "clrbench.problems.sequences.ConvNet": "mnist1d_cnn",
    "clrbench.problems.sequences.GRU": "mnist1d_gru",
    "clrbench.problems.sequences.Perceptron": "mnist1d_perceptron",
    "clrbench.problems.tabular.BreastCancer": "breast_cancer",
    "clrbench.problems.tabular.TabularPerceptron": "tabular_perceptron",
    "clrbench.optim.CaffeSGD": "caffe_sgd",
    "clrbench.optim.schedule_free": "schedule_free",
}
TARGET = "_target_"


def digits(content: Any) -> str:
    """Ten hexadecimal digits that stand for `content`, anything that JSON can hold."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:10]


def public(node: Any) -> Any:
    """Nested settings in which every `_target_` of the package has its public name."""
    if isinstance(node, Mapping):
        return {key: PUBLIC_NAMES.get(value, value) if key == TARGET else public(value) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return [public(item) for item in node]
    return node


def by_contents(node: Any) -> Any:
    """Nested settings in which every name of a file, such as one of weights, is the SHA-256 of what the file holds.

    A text names a file where one lies there and the text looks like a path: it has a folder or an ending.
    """
    if isinstance(node, Mapping):
        return {key: value if key == TARGET else by_contents(value) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return [by_contents(item) for item in node]
    return _contents(node) if isinstance(node, str) else node


def _contents(text: str) -> str:
    path = Path(text).expanduser()
    looks_like_a_path = len(path.parts) > 1 or bool(path.suffix)
    try:
        if not (looks_like_a_path and path.is_file()):
            return text
        status = path.stat()
    except (OSError, ValueError):  # too long for a path, or with a zero byte
        return text
    return f"sha256:{_digest(path, status.st_size, status.st_mtime_ns)}"


@cache
def _digest(path: Path, size: int, time: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
