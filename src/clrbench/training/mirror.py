"""Who else is shown a run: training knows this form alone, and tracking fills it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from clrbench.config import Tracking
from clrbench.store import Evaluation, Record, Result

Say = Callable[[str], None]


class Mirror(Protocol):
    """Follows one run under way; it never fails, and training never waits for it."""

    def evaluations(self, rows: Sequence[Evaluation]) -> None:
        """Take what is new in the run's evaluations so far."""

    def finish(self, result: Result | None) -> None:
        """The run ended so, or was interrupted."""


class Mirrors(Protocol):
    """Makes the mirror of each run; instances travel to other processes, so they hold nothing."""

    def begin(self, record: Record, tracking: Tracking, work: Path, say: Say, rate: Callable[[Any], Any]) -> Mirror:
        """Follow a run. work: its working folder; rate: of an iteration, or of an array of them."""

    def found_ended(self, record: Record, result: Result, tracking: Tracking, work: Path, say: Say) -> None:
        """A run was asked for that had ended before."""


class NoMirror:
    """Shows a run to nobody."""

    def begin(self, record: Record, tracking: Tracking, work: Path, say: Say, rate: Callable[[Any], Any]) -> Mirror:
        """Itself."""
        return self

    def found_ended(self, record: Record, result: Result, tracking: Tracking, work: Path, say: Say) -> None:
        """Nothing."""

    def evaluations(self, rows: Sequence[Evaluation]) -> None:
        """Nothing."""

    def finish(self, result: Result | None) -> None:
        """Nothing."""
