"""Random images: the time of a step does not depend on what is on them, and so no data set is needed."""

from pathlib import Path

import numpy as np

from bench.sizes import CLASSES
from clrbench.data.images import Images

TEST_IMAGES = 10


def random_images(count: int, side: int) -> Images:
    """`count` colour images of `side` by `side` pixels, every class among their labels."""
    random = np.random.default_rng(0)
    return Images(random.integers(0, 256, (count, side, side, 3), dtype=np.uint8), np.arange(count) % CLASSES)


def save(images: Images, folder: Path, test: Images | None = None) -> Path:
    """Write an .npz file that `data=npz` reads: `images` for training; hardly any for tests where their time is not asked."""
    path = folder / f"random{images.pixels.shape[1]}.npz"
    if test is None:
        test = images.take(np.arange(TEST_IMAGES))
    np.savez(path, x_train=images.pixels, y_train=images.labels, x_test=test.pixels, y_test=test.labels)
    return path
