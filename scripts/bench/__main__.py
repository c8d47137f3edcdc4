"""Measure speed: `make bench`, half an hour or more of two idle cores. Each part has a record, and a table of it is printed."""

import argparse
import os
import sys
from pathlib import Path

from rich.console import Console

from bench import report, suite
from bench.peers import contestants
from bench.peers import suite as peers
from bench.sizes import Sizes
from clrbench.errors import ClrbenchError

CONF = Path(__file__).resolve().parents[2] / "conf"
PARTS = ("step", "peers")
CONSOLE = Console(highlight=False)


def main() -> None:
    """Measure what the command line asks for; the process ends with 1 where that is not possible."""
    arguments = parsed(sys.argv[1:])
    try:
        for part in [arguments.part] if arguments.part else PARTS:
            _measure(part, arguments.to / f"{part}.json")
    except ClrbenchError as error:
        sys.exit(f"error: {error}")


def parsed(arguments: list[str]) -> argparse.Namespace:
    """The part to measure, None for both, and the folder of the records."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument(
        "part", nargs="?", choices=PARTS, metavar="PART", help="step (the suite's own parts) or peers (the suite beside others)"
    )
    parser.add_argument("--to", type=Path, default=Path("outputs/bench"), help="where the records go (outputs/bench)")
    return parser.parse_args(arguments)


def _measure(part: str, record: Path) -> None:
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        if value := os.environ.get(variable):
            raise ClrbenchError(f"{variable}={value} takes threads away from what is measured: unset it")
    sizes, load = Sizes(), os.getloadavg()[0]
    if part == "step":
        versions: dict[str, str] = {}
        figures = suite.measure(CONF, sizes)
    else:
        versions = contestants.versions()
        figures = peers.measure(CONF, sizes, CONSOLE.print)
    report.write(record, figures, sizes, "make bench", load, versions)
    CONSOLE.print(report.table(figures, CONSOLE.width))
    if warning := report.busy(load):
        CONSOLE.print(warning)
    CONSOLE.print(f"{record}: every repetition, versions and machine")


if __name__ == "__main__":
    main()
