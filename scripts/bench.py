"""Measure speed: `make bench`, half an hour or more of two idle cores. Writes the records, and the tables made from them."""

import argparse
import os
import sys
from pathlib import Path

from rich.console import Console

from clrbench.bench import report, suite, tables
from clrbench.bench.peers import contestants
from clrbench.bench.peers import suite as peers
from clrbench.bench.sizes import Sizes
from clrbench.errors import ClrbenchError
from clrbench.files import write_text

ROOT = Path(__file__).resolve().parents[1]
CONSOLE = Console(highlight=False)


def main() -> None:
    """Measure what is asked for; the tables are made anew in any case."""
    try:
        for part in parts(sys.argv[1:]):
            if part != "tables":
                _measure(part)
        for path, text in tables.documents(ROOT).items():
            write_text(path, text)
    except ClrbenchError as error:
        sys.exit(f"error: {error}")


def parts(arguments: list[str]) -> list[str]:
    """What the command line asks for: both measurements where it names nothing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "part",
        nargs="?",
        choices=("step", "peers", "tables"),
        metavar="PART",
        help="step (the suite's own parts), peers (the suite beside others), tables (no measurement); else step and peers",
    )
    part = parser.parse_args(arguments).part
    return [part] if part else ["step", "peers"]


def _measure(part: str) -> None:
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        if value := os.environ.get(variable):
            raise ClrbenchError(f"{variable}={value} takes threads away from what is measured: unset it")
    sizes, load = Sizes(), os.getloadavg()[0]
    if part == "step":
        record, versions = tables.STEP, {}
        figures = suite.measure(ROOT / "conf", sizes)
    else:
        record, versions = tables.PEER, contestants.versions()
        figures = peers.measure(ROOT / "conf", sizes, CONSOLE.print)
    report.write(ROOT / record, figures, sizes, "make bench", load, versions)
    CONSOLE.print(report.table(figures))
    if warning := report.busy(load):
        CONSOLE.print(warning)
    CONSOLE.print(f"{record}: every repetition, versions and machine")


if __name__ == "__main__":
    main()
