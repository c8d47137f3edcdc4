"""Measure what steps, loop, evaluation, sweeps and a store of runs cost: `make bench`, some ten minutes on two idle cores."""

import os
import sys
from pathlib import Path

from rich.console import Console

from clrbench.bench import report, suite
from clrbench.bench.sizes import Sizes
from clrbench.errors import ClrbenchError

ROOT = Path(__file__).resolve().parents[1]
RECORD = Path("results/bench/step.json")


def main() -> None:
    """Print the table and write the record."""
    console, sizes, load = Console(highlight=False), Sizes(), os.getloadavg()[0]
    try:
        figures = suite.measure(ROOT / "conf", sizes)
    except ClrbenchError as error:
        sys.exit(f"error: {error}")
    report.write(ROOT / RECORD, figures, sizes, "make bench", load)
    console.print(report.table(figures))
    if warning := report.busy(load):
        console.print(warning)
    console.print(f"{RECORD}: every repetition, versions and machine")


if __name__ == "__main__":
    main()
