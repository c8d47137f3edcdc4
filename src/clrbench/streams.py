"""What a command prints: it goes on where nobody reads any more, and where a character cannot be shown."""

import contextlib
import io
import os
import sys


class _Lasting(io.TextIOWrapper):
    """A stream that drops what it can no longer write.

    Its raw file is Python's own: a Ctrl-C within a raw write of ours would leave what is written in the buffer, to be written
    once more.
    """

    def write(self, text: str, /) -> int:
        """Write what can be written."""
        try:
            return super().write(text)
        except OSError as error:
            self._give_up(error)
            return len(text)

    def flush(self) -> None:
        """Write what is buffered, where it can be written."""
        try:
            super().flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        """From here on all goes to nowhere, what is buffered included, for other writers of this file as well."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)
        super().flush()
        if not isinstance(error, BrokenPipeError):  # a reader that has gone away wants no more
            with contextlib.suppress(OSError):
                os.write(2, f"warning: what follows cannot be printed: {error.strerror}\n".encode())


def lasting(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    """A stream to the same file, and not to be closed, that raises for no lack of a reader, of room or of a character."""
    stream.flush()
    buffered = io.BufferedWriter(io.FileIO(stream.fileno(), "w", closefd=False))
    # What is not buffered at all, by `python -u`, is written line by line.
    is_by_line = stream.line_buffering or stream.write_through
    return _Lasting(buffered, stream.encoding, errors="backslashreplace", line_buffering=is_by_line)


def make_lasting() -> None:
    """Do so with the standard streams of this process, but for those that others have put in their place."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and stream is getattr(sys, f"__{name}__"):
            setattr(sys, name, lasting(stream))
