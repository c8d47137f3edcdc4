"""The command `clrbench`: one run or a sweep in Hydra's way, or a subcommand."""

import importlib
import sys
from importlib.util import find_spec

from clrbench.interrupts import tell_in_one_line
from clrbench.streams import make_lasting
from clrbench.usage import introduction, wants_help

# Each with the function that carries it out, MODULE:FUNCTION, and what it does.
SUBCOMMANDS = {
    "plan": ("cli:plan", "list what a sweep would do, and the hours left; start nothing"),
    "decide": (
        "cli:decide",
        "decide which policy to take, at which rates: decide.hours=2 and more, docs/decide.md",
    ),
    "league": (
        "cli:league",
        "run every policy on every task, and rank them: league.tasks=[digits] and more, docs/league.md",
    ),
    "range-test": ("cli:range_test", "measure base_lr and max_lr"),
    "report": ("subcommands:report", "make outputs/report/index.html: verdicts, figures, every run"),
    "verify": ("subcommands:verify", "compute every number of the report anew from the records, and compare"),
    "dashboard": ("subcommands:dashboard", "show the runs in Trackio, in the browser, live while a sweep goes on"),
    "sync": ("subcommands:sync", "upload to Weights & Biases the runs that it lacks"),
    "publish": ("subcommands:publish", "copy an experiment's finished records to results/evidence"),
    "wandb": ("subcommands:wandb", "save the comparison of runs, and the verdicts, on Weights & Biases"),
}
# Without the extra `suite` only callback, schedules and range test work; one package of it tells whether it is there.
_OF_SUITE = ("hydra", "polars", "rich")


def main() -> None:
    """Carry out the command line."""
    if missing := [name for name in _OF_SUITE if find_spec(name) is None]:
        sys.exit(f"error: the command needs the whole suite, but {missing[0]} is not installed: pip install 'clrbench[suite]'")
    make_lasting()
    tell_in_one_line()
    first = sys.argv[1] if len(sys.argv) > 1 else ""
    if first in ("-h", "--help"):
        print(_help(), flush=True)
    where, words = SUBCOMMANDS.get(first, ("cli:run", ""))
    module, function = where.split(":")
    if first in SUBCOMMANDS:
        sys.argv[:2] = [f"clrbench {first}"]
        if module == "cli" and wants_help():
            print(introduction(first, words), flush=True)
            sys.argv.append("hydra.help.header=''")
    getattr(importlib.import_module(f"clrbench.{module}"), function)()


def _help() -> str:
    lines = [f"  clrbench {name:<11} {words}" for name, (_, words) in SUBCOMMANDS.items()]
    head = "Subcommands (the first four take the settings below; `clrbench NAME --help` lists the options of the others):"
    return "\n".join([head, *lines, ""])


if __name__ == "__main__":
    main()
