"""Repetitions in turn, so that a machine which grows slower or faster does so for every contestant alike."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

Found = TypeVar("Found")


def alternate(title: str, measures: Mapping[str, Callable[[], Found]], repetitions: int) -> dict[str, list[Found]]:
    """Call every measure once a round, for `repetitions` rounds; returns what each found, round by round."""
    found: dict[str, list[Found]] = {name: [] for name in measures}
    with _bar() as bar:
        task = bar.add_task(title, total=repetitions * len(measures))
        for _ in range(repetitions):
            for name, measure in measures.items():
                bar.update(task, description=f"{title}: {name}", refresh=True)
                found[name].append(measure())
                bar.advance(task)
    return found


def _bar() -> Progress:
    console = Console(stderr=True)
    return Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
        # A thread that draws would be measured as well.
        auto_refresh=False,
        redirect_stdout=False,
        redirect_stderr=False,
    )
