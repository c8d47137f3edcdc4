"""A look at every image of a streamed set before it is trained on: at what the file says of itself, without decoding it."""

from collections.abc import Sequence

from clrbench.data.decode import COLOUR, ImageKind, kind_of, opened
from clrbench.data.images import ImageFiles
from clrbench.data.pictures import notes_of
from clrbench.data.telling import each


def notes_on(parts: Sequence[ImageFiles]) -> list[str]:
    """What is done to the images as they are decoded, a line a conversion. Raises a DataError about all that are no images."""
    root = parts[0].root
    names = [name for part in parts for name in part.names]

    def look(name: str) -> ImageKind:
        with opened(root / name) as image:
            return kind_of(image)

    return notes_of(dict(zip(names, each(names, look), strict=True)), COLOUR)
