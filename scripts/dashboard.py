"""Show the record in Trackio, on this machine only and live while a sweep runs: `make dashboard`. Ctrl-C ends it."""

import argparse
import contextlib
import sys
from functools import partial
from pathlib import Path

from clrbench.errors import ClrbenchError
from clrbench.tracking.trackio_page import dashboard


def main() -> None:
    """Serve it until Ctrl-C; the process ends with 1 where that is not possible."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"), help="where records lie (results)")
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="where Trackio's own files go (outputs)")
    parser.add_argument("--port", type=int, default=7860, help="the port, or the first free one behind it (7860)")
    parser.add_argument("--no-browser", action="store_true", help="only say where it is")
    arguments = parser.parse_args()
    try:
        with contextlib.suppress(KeyboardInterrupt):
            say = partial(print, flush=True)
            dashboard(arguments.results, arguments.outputs, arguments.port, not arguments.no_browser, say)
    except ClrbenchError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
