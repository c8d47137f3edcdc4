"""A measured quantity, its repetitions, and the goal that it is held against."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Goal:
    """A bound on a median."""

    bound: float
    is_minimum: bool

    def met_by(self, median: float) -> bool:
        """Whether a median keeps to the bound."""
        return median >= self.bound if self.is_minimum else median <= self.bound

    def __str__(self) -> str:
        return f"at {'least' if self.is_minimum else 'most'} {self.bound:g}"


@dataclass(frozen=True)
class Figure:
    """One quantity in `unit`, measured as often as it has `values`."""

    name: str
    unit: str
    values: Sequence[float]
    goal: Goal | None = None

    @property
    def median(self) -> float:
        """The figure that counts."""
        return statistics.median(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None without one."""
        return self.goal.met_by(self.median) if self.goal else None

    def as_json(self) -> dict[str, Any]:
        """The figure for a JSON file, with every repetition."""
        return {
            "name": self.name,
            "unit": self.unit,
            "median": self.median,
            "lowest": min(self.values),
            "highest": max(self.values),
            "values": list(self.values),
            "goal": str(self.goal) if self.goal else None,
            "met": self.met,
        }
