"""One run and the two folders that it writes to."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clrbench import environment, store
from clrbench.spec import Spec
from clrbench.store import CHECKPOINT, NOTES, PROGRESS, Record, Result


@dataclass(frozen=True)
class RunFolders:
    """One run and the two folders that it writes to: its record, and its working files (checkpoint, log, weights)."""

    spec: Spec
    record: Record
    work: Path
    # Taken at the start: the checkout may have moved on when a long run ends.
    environment: dict[str, Any]
    branches: Sequence[tuple[int, str]] = ()

    @classmethod
    def of(cls, spec: Spec) -> "RunFolders":
        """The run of `spec`, in the folders that its configuration names."""
        paths, experiment = spec.config.paths, spec.config.experiment
        return cls(
            spec,
            Record(store.run_folder(Path(paths.results), experiment, spec.name)),
            store.run_folder(Path(paths.outputs), experiment, spec.name),
            environment.describe(),
        )

    @property
    def checkpoint(self) -> Path:
        """Where an interrupted run goes on."""
        return self.work / CHECKPOINT

    @property
    def progress(self) -> Path:
        """The iteration that a run under way has reached."""
        return self.work / PROGRESS

    @property
    def notes(self) -> Path:
        """What the run has to say while a sweep watches it, a line each."""
        return self.work / NOTES

    def ended(self) -> Result | None:
        """How the run ended; None if it has not, or failed and may be tried again."""
        result = self.record.result()
        return None if result is None or result.status == store.FAILED else result

    @property
    def log(self) -> Path:
        """The traceback of a failure."""
        return self.work / "error.log"

    @property
    def weights(self) -> Path:
        """The weights at the end of the budget."""
        return self.work / "weights.pt"
