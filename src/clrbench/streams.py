"""What a command prints: it goes on where nobody reads any more, and where a character cannot be shown."""

import contextlib
import io
import os
import sys
from typing import Any


class _Lasting(io.FileIO):
    """A file that drops what it can no longer write."""

    def write(self, data: Any, /) -> int:
        """Write what can be written; behind a first failure all goes to nowhere, for other writers of this file as well."""
        try:
            return super().write(data)
        except OSError as error:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            if not isinstance(error, BrokenPipeError):  # a reader that has gone away wants no more
                with contextlib.suppress(OSError):
                    os.write(2, f"warning: what follows cannot be printed: {error.strerror}\n".encode())
            return len(data)


def lasting(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    """A stream to the same file, and not to be closed, that raises for no lack of a reader, of room or of a character."""
    stream.flush()
    buffered = io.BufferedWriter(_Lasting(stream.fileno(), "w", closefd=False))
    # What is not buffered at all, by `python -u`, is written line by line.
    is_by_line = stream.line_buffering or stream.write_through
    return io.TextIOWrapper(buffered, stream.encoding, errors="backslashreplace", line_buffering=is_by_line)


def make_lasting() -> None:
    """Do so with the standard streams of this process, but for those that others have put in their place."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and stream is getattr(sys, f"__{name}__"):
            setattr(sys, name, lasting(stream))
