"""Compare range tests over seeds: ours, Lightning's, torch-lr-finder's. `python scripts/compare_finders.py`, two minutes."""

import argparse
import json
from pathlib import Path

from rich.progress import track

from bench import finders
from clrbench import environment
from clrbench.files import write_text
from clrbench.report.tables import to_markdown


def main() -> None:
    """Write all answers to outputs/bench/finders.json, and print how far they lie apart."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="how many (10)")
    parser.add_argument("--to", type=Path, default=Path("outputs/bench"), help="where the record goes (outputs/bench)")
    arguments = parser.parse_args()
    seeds = range(arguments.seeds)
    ticks = iter(track(range(len(seeds) * len(finders.FINDERS)), "finding", transient=True))
    answers = finders.compare(seeds, lambda: next(ticks, None))
    content = {
        "command": "python scripts/compare_finders.py",
        **environment.describe(),
        "answers": [{"finder": finder, "answer": name, "rates": rates} for (finder, name), rates in answers.items()],
    }
    write_text(arguments.to / "finders.json", json.dumps(content, indent=2) + "\n")
    print(to_markdown(finders.spread(answers)))


if __name__ == "__main__":
    main()
