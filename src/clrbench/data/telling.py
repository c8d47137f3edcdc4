"""Naming many files in one line: the first few, and how many more there are."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from clrbench.errors import DataError

Item = TypeVar("Item")
Read = TypeVar("Read")
Say = Callable[[str], None]
_SHOWN = 3


def some(names: Sequence[object]) -> str:
    """The first names, and the number of the others."""
    shown = ", ".join(map(str, names[:_SHOWN]))
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


def not_used(what: str, names: Sequence[object]) -> str:
    """That what is called `what`, with these names, is not used."""
    return f"its {what} {some(names)} is not used" if len(names) == 1 else f"its {what}s {some(names)} are not used"


def each(items: Sequence[Item], read: Callable[[Item], Read]) -> list[Read]:
    """`read` of every item. Raises one DataError about all bad items: the fault of the first, and which others there are."""
    found, faults = [], []
    for item in items:
        try:
            found.append(read(item))
        except DataError as error:
            faults.append((item, error))
    if not faults:
        return found
    (_, first), *others = faults
    if not others:
        raise first
    raise DataError(f"{first}; {len(faults)} of {len(items)} are bad, also {some([item for item, _ in others])}")
