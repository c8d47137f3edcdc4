"""What a list of seeds must be, wherever one is given."""

import numbers
from collections.abc import Sequence
from typing import Any


def fault_of_seeds(seeds: Any, key: str) -> str | None:
    """One line on a list of seeds called `key`; None for one of whole numbers from 0 on, each named once."""
    if isinstance(seeds, str) or not isinstance(seeds, Sequence):
        return f"{key}={seeds!r} is no list: write one, as {key}=[1,2,3]"
    if not seeds:
        return f"{key}={seeds} is empty: name at least one, as in {key}=[1,2,3]"
    for seed in seeds:
        if not isinstance(seed, numbers.Integral) or isinstance(seed, bool) or seed < 0:
            return f"{key}={seeds} holds {seed!r}: a seed is a whole number of at least 0"
        if seeds.count(seed) > 1:
            return f"{key}={seeds} names {seed} more than once: name each seed once"
    return None
