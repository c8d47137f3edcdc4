"""One image, decoded in the same way for sets in memory, for streamed ones, and for those of a DataModule."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import ExifTags, Image, ImageOps

from clrbench.errors import DataError

GREY, COLOUR = "L", "RGB"
_GREY_MODES = {"1", "L", "LA"}  # Pillow's names for black and white, grey, and grey with transparency
_PALETTE_MODES = {"P", "PA"}


@dataclass(frozen=True)
class ImageKind:
    """What an image is before it is decoded. mode: Pillow's name; is_turned: whether its EXIF data say how to turn it."""

    mode: str
    is_animated: bool
    is_turned: bool

    @property
    def target(self) -> str:
        """The one of the two forms that it becomes."""
        return GREY if self.mode in _GREY_MODES else COLOUR


@contextlib.contextmanager
def opened(path: Path | str) -> Iterator[Image.Image]:
    """An image file. Raises DataError in one line for one that cannot be read, is damaged, or has more than 8 bits."""
    try:
        with Image.open(path) as image:
            check_depth(image, str(path))
            yield image
    except DataError:
        raise
    except Exception as error:  # on a damaged file, decoders raise errors of every kind
        if isinstance(error, OSError) and error.strerror:
            raise DataError(f"{path}: cannot be read ({error.strerror}): make it readable, or remove it") from None
        reason = (" ".join(str(error).split()) or type(error).__name__)[:200]
        raise DataError(f"{path}: is not a readable image ({reason}): mend or remove it") from None


def check_depth(image: Image.Image, where: str) -> None:
    """Raise DataError for an image whose pixels would lose bits: Pillow opens some as if they had 8."""
    if image.mode.startswith(("I", "F")) or ";16" in str(getattr(image, "tile", "")):
        raise DataError(f"{where}: has more than 8 bits a pixel and channel (mode {image.mode}): store it with 8")


def kind_of(image: Image.Image) -> ImageKind:
    """The kind of an image that was opened but not decoded."""
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    return ImageKind(image.mode, getattr(image, "is_animated", False), orientation in range(2, 9))


def plain(image: Image.Image) -> Image.Image:
    """The first frame of an image, upright, in grey or in colour."""
    image.load()
    upright = ImageOps.exif_transpose(image)
    if upright.mode in _GREY_MODES:
        return upright.convert(GREY)
    # By way of RGBA: a palette's own transparency would else end in a warning.
    return (upright.convert("RGBA") if upright.mode in _PALETTE_MODES else upright).convert(COLOUR)
