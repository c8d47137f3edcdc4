"""The subcommands that read records, as `clrbench report`: each parses its options and says an error in one line.

The scripts are the same commands in a checkout. What a subcommand needs is imported there, for no other needs all of it.
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path

from clrbench.checkout import configurations
from clrbench.errors import ClrbenchError, worded
from clrbench.streams import make_lasting

_FOLDERS = {"results": "where records lie", "outputs": "where working files, your report among them, lie"}


def _subcommand(carry_out: Callable[[], None], after_interrupt: str = "the same command starts anew") -> Callable[[], None]:
    """End the process with 1 and one line after an error and after a Ctrl-C, even one that comes while modules are imported."""

    @wraps(carry_out)
    def subcommand() -> None:
        make_lasting()
        try:
            carry_out()
        except (ClrbenchError, OSError) as error:
            sys.exit(f"error: {worded(error, '--results DIR or --outputs DIR')}")
        except KeyboardInterrupt:
            sys.exit(f"error: interrupted; {after_interrupt}")

    return subcommand


@_subcommand
def report() -> None:
    """Make your own report, in OUTPUTS/report, and print the answer that stands on top of it."""
    from clrbench.report import outputs
    from clrbench.report.contents import gather
    from clrbench.report.terminal import print_answer
    from clrbench.screen import screen

    arguments = _parser(report, "results", "outputs").parse_args()
    contents = gather(arguments.results, configurations(), outputs=arguments.outputs)
    files = outputs.files(contents, arguments.outputs / "report", configurations())
    outputs.write(files)
    print_answer(screen(), contents.answer)
    print("\n".join(map(str, files)))


@_subcommand
def verify() -> None:
    """Compute every number of your own report anew from the records, and compare; the process ends with 1 where one differs."""
    from clrbench.report import outputs

    arguments = _parser(verify, "results", "outputs").parse_args()
    files = outputs.own(arguments.results, arguments.outputs, configurations())
    outputs.verify(files, "clrbench report")
    print(f"{len(files)} files are what the records make")


@_subcommand
def dashboard() -> None:
    """Show the runs in Trackio, on this machine only and live while a sweep goes on. Ctrl-C ends it."""
    from clrbench.tracking.trackio_page import dashboard as serve

    parser = _parser(dashboard, "results", "outputs")
    parser.add_argument("--port", type=int, default=7860, help="the port, or the first free one after it (7860)")
    parser.add_argument("--no-browser", action="store_true", help="print the address, open no browser")
    arguments = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        serve(arguments.results, arguments.outputs, arguments.port, not arguments.no_browser, partial(print, flush=True))


@partial(_subcommand, after_interrupt="the same command uploads the rest")
def sync() -> None:
    """Upload to W&B, from the records, what it lacks: runs that were offline, or whose server went away."""
    from clrbench.screen import screen
    from clrbench.tracking.sync import Destination
    from clrbench.tracking.sync import sync as upload

    parser = _parser(sync, "results", "outputs")
    parser.add_argument("--every", action="store_true", help="every run with a record, tracked or not, even if OUTPUTS is gone")
    parser.add_argument("--project", help="the W&B project (default: the project of each run)")
    parser.add_argument("--entity", help="the W&B user or team (default: that of each run, else of your account)")
    arguments = parser.parse_args()
    destination = Destination(arguments.project, arguments.entity)
    upload(arguments.outputs, arguments.results, destination, screen(), every=arguments.every)


@_subcommand
def publish() -> None:
    """Copy the finished records of an experiment from RESULTS/runs to RESULTS/evidence, which ships; of the league its rows."""
    from clrbench import store
    from clrbench.league.rows import LEAGUE, read_rows, write_rows

    parser = _parser(publish, "results", "outputs")
    parser.add_argument("experiment", help="the name of a folder in RESULTS/runs")
    arguments = parser.parse_args()
    if arguments.experiment == LEAGUE:
        print(*write_rows(arguments.results / LEAGUE, read_rows(arguments.outputs / LEAGUE)), sep="\n")
        return
    published = store.publish(arguments.results, arguments.experiment)
    folder = arguments.results / "evidence" / arguments.experiment
    if not published:
        print(f"no new records: {folder} has all that have finished")
        return
    print(*published, sep="\n")
    print(f"{len(published)} new records; commit {folder} to ship them")


@partial(_subcommand, after_interrupt="the same command saves the rest")
def wandb() -> None:
    """Save the comparison of runs on Weights & Biases: a workspace for each experiment, and a report with the answer."""
    from clrbench.report.contents import gather
    from clrbench.tracking.wandb_comparison import save, selected

    parser = _parser(wandb, "results")
    project = os.environ.get("WANDB_PROJECT") or "clrbench"
    parser.add_argument("--project", default=project, help="the W&B project (default: $WANDB_PROJECT, else clrbench)")
    parser.add_argument("--entity", help="the W&B user or team (default: your account)")
    parser.add_argument("--experiment", help="only this experiment (default: all that you have runs of)")
    arguments = parser.parse_args()
    title = f"clrbench: {arguments.experiment or 'the claims of the paper'}"
    contents = gather(arguments.results, configurations())
    for fault in contents.faults:
        print(f"left out: {fault}", file=sys.stderr)
    for saved in save(arguments.project, arguments.entity, title, selected(contents, arguments.experiment)):
        print(f"{saved.name}: {saved.url}")


def _parser(subcommand: Callable[[], None], *folders: str) -> argparse.ArgumentParser:
    """With an option for each of the folders that the subcommand uses. Results that are named have to be there."""
    parser = argparse.ArgumentParser(description=subcommand.__doc__)
    for folder in folders:
        kind = _existing if folder == "results" else Path
        parser.add_argument(f"--{folder}", type=kind, default=Path(folder), help=f"{_FOLDERS[folder]} ({folder})")
    return parser


def _existing(text: str) -> Path:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is no folder: name the one that has runs/ or evidence/")
    return Path(text)
