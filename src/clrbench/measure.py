"""What runs are compared by, and how its values and differences are said: in its own unit and direction."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from clrbench.stats import interval

PERCENT_SIGN = "%"


def with_unit(number: float, unit: str) -> str:
    """A value in words: two decimals of a percentage, four digits of anything else."""
    return f"{number:.2f}%" if unit == PERCENT_SIGN else f"{number:.4g} {unit}".rstrip()


@dataclass(frozen=True)
class Measure:
    """A metric. mode: `max` where more is better, else `min`; margin: the least difference that counts, in `unit`."""

    metric: str
    mode: str
    unit: str
    margin: float

    @property
    def sign(self) -> int:
        """1 where more is better, -1 where less is."""
        return 1 if self.mode == "max" else -1

    @property
    def is_percent(self) -> bool:
        """Whether it is a share, of which differences are in points."""
        return self.unit == PERCENT_SIGN

    @property
    def heading(self) -> str:
        """Its name with its unit."""
        return f"{self.metric.replace('_', ' ')}, {self.unit}" if self.unit else self.metric

    def value(self, number: float) -> str:
        """A value, in words."""
        return with_unit(number, self.unit)

    def differences(self, differences: Sequence[float]) -> str:
        """Their mean and its 95% interval, in words."""
        form, unit = ("+.2f", "points") if self.is_percent else ("+.4g", self.unit)
        bounds = interval(differences)
        spread = "" if bounds is None else f" [{bounds[0]:{form}}, {bounds[1]:{form}}]"
        return " ".join(filter(None, (f"{fmean(differences):{form}}", unit))) + spread


# Test accuracy, of which half a point is the least that counts.
PERCENT = Measure("test_accuracy", "max", PERCENT_SIGN, 0.5)
