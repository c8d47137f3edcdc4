"""Copy the finished records of an experiment from results/runs to results/evidence: `python scripts/publish.py table1`."""

import argparse
import sys
from pathlib import Path

from clrbench import store
from clrbench.errors import ClrbenchError


def main() -> None:
    """Publish the experiment that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiment", help="the name of a folder in results/runs")
    parser.add_argument("--results", type=Path, default=Path("results"), help="where records lie (results)")
    arguments = parser.parse_args()
    try:
        published = store.publish(arguments.results, arguments.experiment)
    except ClrbenchError as error:
        sys.exit(f"error: {error}")
    for folder in published:
        print(folder)
    print(f"{len(published)} new records; commit {arguments.results / 'evidence' / arguments.experiment} to ship them")


if __name__ == "__main__":
    main()
