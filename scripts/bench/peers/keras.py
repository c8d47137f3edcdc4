"""Keras with a cyclical-rate callback of the kind that people copy: it sets the optimizer's rate behind every batch.

The same arithmetic as the suite's, but that Keras gives no parameter a rate of its own. Weight decay is a penalty in the loss,
whose gradient is the same.
"""

from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from bench.clock import Clock
from bench.peers.job import BASE_LR, BFLOAT16, LINEAR, MOMENTUM, WEIGHT_DECAY, Centred, Job, Weights, triangular2
from bench.sizes import BATCH_SIZE, CLASSES

_BACKEND = keras.backend.backend()


def enter(job: Job) -> "Keras":
    """The contestant."""
    return Keras(job)


class WithinChannelLRN(layers.Layer):
    """The normalisation within a channel."""

    def call(self, x: Any) -> Any:
        """Normalise; the zeros around an image count."""
        return x / ops.power(1 + 5e-5 * ops.average_pool(_padded(ops.square(x), 1, 1), 3, 1, "valid"), 0.75)


class CeilAveragePooling(layers.Layer):
    """3x3 with stride 2 over an even side, the last window cut off by the edge."""

    def build(self, shape: Any) -> None:
        """How many values each window has."""
        first = 1 if _channels_last() else 2
        rows, columns = (np.minimum(3, side - np.arange(0, side, 2)) for side in shape[first : first + 2])
        share = (9 / np.outer(rows, columns)).astype(np.float32)
        self._correction = ops.convert_to_tensor(share[None, :, :, None] if _channels_last() else share)

    def call(self, x: Any) -> Any:
        """Pool."""
        return ops.average_pool(_padded(x, 0, 1), 3, 2, "valid") * ops.cast(self._correction, x.dtype)


def _padded(x: Any, before: int, behind: int) -> Any:
    around = [[before, behind]] * 2
    return ops.pad(x, [[0, 0], *around, [0, 0]] if _channels_last() else [[0, 0], [0, 0], *around])


def _channels_last() -> bool:
    return bool(keras.config.image_data_format() == "channels_last")


def _average_pooling() -> layers.Layer:
    # Padding `same` means this pooling, but that Keras on torch repeats the edge instead of cutting the window off.
    return CeilAveragePooling() if _BACKEND == "torch" else layers.AveragePooling2D(3, 2, "same")


def _penalty(decay: float) -> keras.Regularizer:
    return keras.regularizers.L2(decay / 2)


def _convolution(name: str, filters: int, std: float) -> layers.Layer:
    return layers.Conv2D(
        filters,
        5,
        padding="same",
        kernel_initializer=keras.initializers.RandomNormal(stddev=std),
        kernel_regularizer=_penalty(WEIGHT_DECAY),
        bias_regularizer=_penalty(WEIGHT_DECAY),
        name=name,
    )


def _cifar10_full() -> keras.Model:
    dense = layers.Dense(
        CLASSES,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        kernel_regularizer=_penalty(250 * WEIGHT_DECAY),
        dtype="float32",
        name="ip1",
    )
    return keras.Sequential(
        [
            keras.Input((32, 32, 3) if _channels_last() else (3, 32, 32)),
            _convolution("conv1", 32, 1e-4),
            layers.MaxPooling2D(3, 2, "same"),
            layers.ReLU(),
            WithinChannelLRN(),
            _convolution("conv2", 32, 0.01),
            layers.ReLU(),
            _average_pooling(),
            WithinChannelLRN(),
            _convolution("conv3", 64, 0.01),
            layers.ReLU(),
            _average_pooling(),
            layers.Flatten(),
            dense,
        ]
    )


def _linear() -> keras.Model:
    penalties = {"kernel_regularizer": _penalty(WEIGHT_DECAY), "bias_regularizer": _penalty(WEIGHT_DECAY)}
    return keras.Sequential(
        [keras.Input((8, 8, 3) if _channels_last() else (3, 8, 8)), layers.Flatten(), layers.Dense(CLASSES, **penalties)]
    )


class CyclicLR(keras.callbacks.Callback):
    """Sets the rate of the next step."""

    def __init__(self) -> None:
        super().__init__()
        self._iteration = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Count and set."""
        self._iteration += 1
        self.model.optimizer.learning_rate = triangular2(self._iteration)


class _Ticker(keras.callbacks.Callback):
    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._clock.tick()


class Keras:
    """Arrays in memory, `fit` and `evaluate`."""

    def __init__(self, job: Job) -> None:
        if job.threads:
            _use_threads(job.threads)
        if job.precision == BFLOAT16:
            keras.mixed_precision.set_global_policy("mixed_bfloat16")
        if _BACKEND == "torch":
            # Else it would turn every image about before every layer and back behind it.
            keras.config.set_image_data_format("channels_first")
        self._job = job
        self._train, self._test = Centred.read(job)
        self._model = _linear() if job.net == LINEAR else _cifar10_full()
        self._model.compile(
            keras.optimizers.SGD(BASE_LR, momentum=MOMENTUM), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        )
        self.parameters = self._model.count_params()

    def train(self, clock: Clock) -> None:
        """Fit."""
        epochs = -(-self._job.steps // self._train.batches)
        self._model.fit(
            *_arrays(self._train),
            BATCH_SIZE,
            epochs=epochs,
            steps_per_epoch=self._job.steps // epochs,
            verbose=0,
            callbacks=[CyclicLR(), _Ticker(clock)],
        )

    def load(self, weights: Weights) -> None:
        """Take the weights, in Keras' order of dimensions."""
        for name in ("conv1", "conv2", "conv3"):
            self._model.get_layer(name).set_weights([weights[f"{name}.weight"].transpose(2, 3, 1, 0), weights[f"{name}.bias"]])
        # Its Flatten puts the channels last in any case.
        dense = weights["ip1.weight"].reshape(CLASSES, 64, 4, 4).transpose(0, 2, 3, 1).reshape(CLASSES, -1)
        self._model.get_layer("ip1").set_weights([dense.T, weights["ip1.bias"]])

    def evaluate(self) -> float:
        """The loss without the penalties."""
        total = self._model.evaluate(*_arrays(self._test), self._job.evaluation_batch, verbose=0)
        return float(total) - sum(float(penalty) for penalty in self._model.losses)


def _arrays(part: Centred) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    return (part.images if _channels_last() else np.ascontiguousarray(part.images.transpose(0, 3, 1, 2))), part.labels


def _use_threads(threads: int) -> None:
    if _BACKEND == "torch":
        import torch

        torch.set_num_threads(threads)
    else:
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
