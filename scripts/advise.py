"""Say which policy, bounds and step size the runs speak for: `make advise DATA=cifar10 MODEL=cifar10_full`."""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from clrbench.analysis.advice import advise
from clrbench.analysis.runs import arms_of, read_runs
from clrbench.errors import ClrbenchError
from clrbench.report.terminal import print_advice


def main() -> None:
    """Print an advice for each experiment that has runs of the data set and the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="the data set, as in data=NAME")
    parser.add_argument("model", help="the network, as in model=NAME")
    parser.add_argument("--results", type=Path, default=Path("results"), help="where records lie (results)")
    arguments = parser.parse_args()
    try:
        runs, faults = read_runs(arguments.results)
    except (ClrbenchError, OSError) as error:
        sys.exit(f"error: {error}")
    print_advice(Console(highlight=False, soft_wrap=True), advise(arms_of(runs), arguments.data, arguments.model), faults)


if __name__ == "__main__":
    main()
