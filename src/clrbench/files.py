"""Writing files so that a kill at any moment leaves the old file or the new one, never half of one.

flush: wait until the disk has the file, so that it outlives a failure of the power as well.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path, *, flush: bool = True) -> Iterator[Path]:
    """Give a path beside `path` to write to; when the block ends well, it takes the place of `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield partial
        if flush:
            with partial.open("rb") as file:
                os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, flush: bool = True) -> None:
    """Write `text` to `path` at once or not at all."""
    with replacing(path, flush=flush) as partial:
        partial.write_text(text, encoding="utf-8")
