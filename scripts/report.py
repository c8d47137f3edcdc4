"""Make the report from the records, or with --verify compare it with them: `make report`, `make verify`."""

import argparse
import sys
from pathlib import Path

from clrbench.errors import ClrbenchError
from clrbench.report import build

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Write or compare the files; the process ends with 1 where they differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"), help="where records lie, and the report (results)")
    parser.add_argument("--verify", action="store_true", help="write nothing; fail where a number differs from the records")
    arguments = parser.parse_args()
    is_own = arguments.results.resolve() == ROOT / "results"
    try:
        files = build.built(arguments.results, ROOT / "conf", ROOT / "README.md" if is_own else None)
        (build.verify if arguments.verify else build.write)(files)
    except (ClrbenchError, OSError) as error:
        sys.exit(f"error: {error}")
    if arguments.verify:
        print(f"{len(files)} files are what the records make")
    else:
        print("\n".join(str(path) for path in files))


if __name__ == "__main__":
    main()
