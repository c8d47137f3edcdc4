"""Writing files so that a kill at any moment leaves the old file or the new one, never half of one.

flush: wait until the disk has the file, so that it outlives a failure of the power as well.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path, *, flush: bool = True) -> Iterator[Path]:
    """Give a path beside `path` to write to; when the block ends well, it takes the place of `path`.

    An OSError that names no file, or the one beside, is raised as one of `path`, which its reader knows.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield partial
        if flush:
            with partial.open("rb") as file:
                os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        of_whom = {error.filename, error.filename2}
        if error.errno is not None and (of_whom == {None} or str(partial) in of_whom):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, flush: bool = True) -> None:
    """Write `text` to `path` at once or not at all."""
    with replacing(path, flush=flush) as partial:
        partial.write_text(text, encoding="utf-8")
