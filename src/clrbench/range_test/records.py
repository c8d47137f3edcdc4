"""From the records of ramps to curves and bounds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clrbench.range_test.curve import Curve
from clrbench.range_test.judge import Bounds, judge
from clrbench.runs import Run
from clrbench.store import DIVERGED

# The experiment of all ramps.
RANGE_TEST = "range_test"


@dataclass(frozen=True)
class Measured:
    """The runs of a range test, one a seed, and the bounds that they show."""

    runs: Sequence[Run]
    bounds: Bounds

    @property
    def curves(self) -> list[Curve]:
        """Accuracy and loss against the rate, a curve a seed."""
        return [curve_of(run) for run in self.runs]

    @property
    def subject(self) -> Sequence[str]:
        """The names of data set, model and optimizer."""
        config = self.runs[0].config
        return [str(config[choice]["name"]) for choice in ("data", "model", "optimizer")]


def judged(runs: Sequence[Run], rule: str) -> Measured:
    """The bounds that the ramps of one range test show, by a rule of `judge`."""
    classes: int = runs[0].config["images"]["classes"]
    return Measured(runs, judge([curve_of(run) for run in runs], classes, rule))


def curve_of(run: Run) -> Curve:
    """Accuracy and loss of a ramp against its rate."""
    rows = run.evaluations
    has_diverged = run.result.status == DIVERGED and run.schedule is not None
    return Curve(
        rates=np.array([row.lr for row in rows]),
        accuracies=np.array([accuracy for _, accuracy in run.course]),
        losses=np.array([row.metrics["test_loss"] for row in rows]),
        diverged_at=float(run.schedule(run.result.iterations)) if has_diverged and run.schedule else None,
    )
