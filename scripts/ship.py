"""For maintainers: make what ships anew from the records that ship, `make ship`, or with --verify compare, `make verify`.

results/report and the tables of README and docs/speed.md come from results/evidence and results/bench alone, whatever runs of
your own there are.
"""

import argparse
import sys
from pathlib import Path

from bench import tables
from clrbench.checkout import configurations
from clrbench.errors import ClrbenchError
from clrbench.report import outputs

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Write or compare the files; the process ends with 1 where they differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--verify", action="store_true", help="write nothing; fail where a number differs from the records")
    verifies = parser.parse_args().verify
    try:
        files = shipped()
        if verifies:
            outputs.verify(files, "make ship")
        else:
            outputs.write(files)
    except (ClrbenchError, OSError) as error:
        sys.exit(f"error: {error}")
    print(f"{len(files)} files are what the shipped records make")


def shipped() -> dict[Path, str]:
    """The files that ship, and what belongs into each."""
    files = outputs.shipped(ROOT, configurations())
    return files | tables.documents(ROOT, files)


if __name__ == "__main__":
    main()
