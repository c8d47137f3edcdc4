"""Upload to W&B, from the records, what it lacks: runs that were offline, or whose server went away. `make sync`."""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from clrbench.errors import ClrbenchError
from clrbench.tracking.sync import Destination, sync


def main() -> None:
    """Upload them; the process ends with 1 where that is not possible."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="where the runs' working files lie (outputs)")
    parser.add_argument("--results", type=Path, help="where their records lie (`results` beside those)")
    parser.add_argument(
        "--every", action="store_true", help="every run that has a record, tracked or not; also without outputs"
    )
    parser.add_argument("--project", help="the W&B project (that of each run)")
    parser.add_argument("--entity", help="the W&B user or team (that of each run, else the account's own)")
    arguments = parser.parse_args()
    results = arguments.results or arguments.outputs.parent / "results"
    destination = Destination(arguments.project, arguments.entity)
    console = Console(highlight=False, soft_wrap=True, markup=False)
    try:
        sync(arguments.outputs, results, destination, console, every=arguments.every)
    except ClrbenchError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("error: interrupted; the same command uploads the rest")


if __name__ == "__main__":
    main()
