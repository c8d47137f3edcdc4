"""Single images on their way to a set in memory: this gives them one form and one size, and says so."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from clrbench.data.decode import COLOUR, GREY, ImageKind, kind_of, opened, plain
from clrbench.data.images import Array
from clrbench.data.telling import Say, some
from clrbench.errors import DataError


@dataclass(frozen=True)
class Picture:
    """Pixels (height, width) or (height, width, 3) of bytes. kind: what they were; None for arrays, which stay as they are."""

    pixels: Array
    kind: ImageKind | None = None


def picture_of(image: Image.Image) -> Picture:
    """An opened image, decoded."""
    kind = kind_of(image)
    return Picture(np.asarray(plain(image)), kind)


def picture_in(path: Path) -> Picture:
    """An image file, decoded. Raises DataError in one line."""
    with opened(path) as image:
        return picture_of(image)


def alike(pictures: Mapping[str, Picture], size: int | None, where: str, say: Say) -> Array:
    """Pictures by name as pixels (n, height, width, channels): grey if all are grey, else in colour, all of one size.

    size: the height and width that all get; None: they must have one already. Raises DataError in one line.
    """
    is_grey = all(picture.pixels.ndim == 2 for picture in pictures.values())
    kinds = {name: picture.kind for name, picture in pictures.items() if picture.kind is not None}
    for note in notes_of(kinds, GREY if is_grey else COLOUR):
        say(f"{where}: {note}")
    pixels = [picture.pixels if is_grey else in_colour(picture.pixels) for picture in pictures.values()]
    if size is not None:
        pixels = resized(pixels, size, where, say)
    _check_sizes(list(pictures), pixels, where)
    stacked = np.stack(pixels)
    return stacked[..., np.newaxis] if is_grey else stacked


def notes_of(kinds: Mapping[str, ImageKind], target: str) -> list[str]:
    """What is done to images, by name, so that all have the form `target`: a line a conversion."""
    converted = [name for name, kind in kinds.items() if kind.mode != target]
    animated = [name for name, kind in kinds.items() if kind.is_animated]
    turned = [name for name, kind in kinds.items() if kind.is_turned]
    modes = ", ".join(sorted({kinds[name].mode for name in converted}))
    lines = [
        (converted, f"({modes}) are converted to {target}"),
        (animated, "are animated, and only their first frames are used"),
        (turned, "are turned upright, as their EXIF data say"),
    ]
    return [f"{len(names)} of {len(kinds)} images {what}: {some(names)}" for names, what in lines if names]


def in_colour(pixels: Array) -> Array:
    """Pixels (height, width, 3), also of grey ones (height, width)."""
    return np.repeat(pixels[..., np.newaxis], 3, axis=2) if pixels.ndim == 2 else pixels


def resized(pixels: Sequence[Array], size: int, where: str, say: Say) -> list[Array]:
    """Pixels (height, width) or (height, width, 3), each resized to `size` by `size`; `say` gets a line with their number."""
    others = [each for each in pixels if each.shape[:2] != (size, size)]
    if others:
        sizes = sorted({(each.shape[0] * each.shape[1], size_of(each)) for each in others})
        span = sizes[0][1] if len(sizes) == 1 else f"{sizes[0][1]} to {sizes[-1][1]}"
        say(f"{where}: {len(others)} of {len(pixels)} images ({span}) are resized to {size}x{size}")
    return [_resized(each, size) for each in pixels]


def _resized(pixels: Array, size: int) -> Array:
    return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR))


def size_of(pixels: Array) -> str:
    """WIDTHxHEIGHT."""
    return f"{pixels.shape[1]}x{pixels.shape[0]}"


def _check_sizes(names: Sequence[str], pixels: Sequence[Array], where: str) -> None:
    sizes = [size_of(each) for each in pixels]
    usual = Counter(sizes).most_common(1)[0][0]
    if odd := [f"{name} ({size})" for name, size in zip(names, sizes, strict=True) if size != usual]:
        raise DataError(
            f"{where}: {len(odd)} of {len(names)} images are not {usual} as the others: {some(odd)}: make all images one "
            "size, or take data.size=64 to have them resized"
        )
