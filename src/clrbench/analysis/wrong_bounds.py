"""What it costs to be wrong about bounds: training at those that a range test found, halved and doubled (found_bounds)."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from clrbench.analysis.arms import Arm
from clrbench.analysis.decomposition import Step
from clrbench.analysis.pairs import paired
from clrbench.range_test.records import RANGE_TEST
from clrbench.stats import interval


@dataclass(frozen=True)
class Deviation:
    """An arm whose bounds are `times` those of the arm `found`: differences in percentage points, one a common seed."""

    times: float
    arm: Arm
    found: Arm
    differences: Sequence[float]

    @property
    def step(self) -> Step | None:
        """What the wrong bounds add; None where the arms have no seed in common."""
        if not self.differences:
            return None
        mean, span, seeds = fmean(self.differences), interval(self.differences), len(self.differences)
        return Step(f"the bounds found times {self.times:g}", self.found.label, self.arm.label, mean, span, seeds)


def deviations(arms: Sequence[Arm]) -> list[Deviation]:
    """Each arm with bounds beside those that a range test found; `arms` are those of one source, experiment and task."""
    found = {(arm.name, arm.iterations): arm for arm in arms if _times(arm) == 1 and arm.accuracies}
    made = [
        Deviation(times, arm, rival, paired(arm.accuracies, rival.accuracies))
        for arm in arms
        if (times := _times(arm)) not in (None, 1) and (rival := found.get((arm.name, arm.iterations)))
    ]
    return sorted(made, key=lambda deviation: deviation.times)


def _times(arm: Arm) -> float | None:
    """By what the bounds that a range test found were multiplied; None for bounds from elsewhere."""
    bounds = arm.runs[0].config.get("bounds", {})
    return float(bounds.get("times", 1)) if str(bounds.get("origin")).startswith(RANGE_TEST) else None
