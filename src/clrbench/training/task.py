"""What a run asks of its task: images, or a module of a user's own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import pytorch_lightning as pl

from clrbench.training.recorder import OnEvaluation


class Task(Protocol):
    """What a run trains, and how; without its record, which `train` keeps."""

    def build(self) -> Any:
        """The untrained LightningModule, by the seed alone. Raises ConfigError."""

    def saved_iteration(self, checkpoint: Path) -> int:
        """The iteration at which a checkpoint was saved. Raises what torch.load does for one that cannot be read."""

    def plan(self, module: Any) -> Sequence[tuple[str, str]]:
        """What will be trained, a line a choice."""

    def recorder(self, module: Any, on_evaluation: OnEvaluation, checkpoint: Path) -> Any:
        """The callback with the evaluations."""

    def fit(self, module: Any, recorder: Any, checkpoint: Path | None, others: Sequence[pl.Callback]) -> None:
        """Train, from `checkpoint` on where there is one."""

    def outcome(self, recorder: Any, is_finished: bool) -> dict[str, Any]:
        """What the result says of the run's value, which is None unless the end of the budget was reached."""
