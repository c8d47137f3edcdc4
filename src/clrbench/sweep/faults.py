"""Why cells cannot be run, said once for all that share the reason."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from clrbench.sweep.cells import Cell


@dataclass(frozen=True)
class Fault:
    """One reason, and the cells that it keeps from running."""

    reason: str
    cells: tuple[Cell, ...]

    @property
    def label(self) -> str:
        """The first of the cells, and how many more there are."""
        more = len(self.cells) - 1
        return self.cells[0].label + (f" and {more} more" if more else "")


def faults(reasons: Mapping[Cell, str]) -> list[Fault]:
    """The cells grouped by their reasons, which count as equal where only the cells' own folders differ."""
    groups: dict[str, list[Cell]] = defaultdict(list)
    for cell, reason in reasons.items():
        groups[_shared(cell, reason)].append(cell)
    return [Fault(reasons[cells[0]], tuple(cells)) for cells in groups.values()]


def _shared(cell: Cell, reason: str) -> str:
    """A reason without the folders of its cell; one that cannot be run has none."""
    for folder in () if cell.error else (cell.work, cell.record.folder):
        reason = reason.replace(str(folder), "")
    return reason
