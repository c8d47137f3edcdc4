"""Upload to W&B what it lacks: runs that were offline, or whose server went away. `make sync`."""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from clrbench.errors import ClrbenchError
from clrbench.tracking.sync import sync


def main() -> None:
    """Upload them; the process ends with 1 where that is not possible."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="where the runs' working files lie (outputs)")
    parser.add_argument("--project", help="the W&B project (that of each run)")
    parser.add_argument("--entity", help="the W&B user or team (that of each run, else the account's own)")
    arguments = parser.parse_args()
    try:
        sync(arguments.outputs, arguments.project, arguments.entity, Console(highlight=False, soft_wrap=True))
    except ClrbenchError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("error: interrupted; the same command uploads the rest")


if __name__ == "__main__":
    main()
