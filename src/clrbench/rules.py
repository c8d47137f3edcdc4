"""Which values the settings of a policy may have, by the names that all policies share."""

import functools
import itertools
import numbers
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

WINDOW_NAMES = ("triangular", "parabolic", "hann")
DECAYING = ("bounds", "amplitude")
RAMPS = ("linear", "exponential")


def check(settings: Mapping[str, Any]) -> None:
    """Raise ValueError for a value that no policy can mean; settings with names of their own are left to their policy."""
    for key, value in settings.items():
        rule = _RULES.get(key)
        if rule is not None and not rule.holds(value):
            raise ValueError(f"{key}={value} is impossible: it must be {rule.words}")
    for lower in ("base_lr", "min_lr"):
        if {lower, "max_lr"} <= settings.keys() and not settings["max_lr"] > settings[lower]:
            raise ValueError(
                f"max_lr={settings['max_lr']} is not above {lower}={settings[lower]}: raise max_lr or lower {lower}"
            )
    if settings.get("ramp") == "exponential" and not settings.get("min_lr", 0) > 0:
        raise ValueError("min_lr=0 is impossible for an exponential ramp: it must be above 0")


@dataclass(frozen=True)
class _Rule:
    words: str
    holds: Callable[[Any], bool]


def _number(test: Callable[[float], bool], value: Any) -> bool:
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return False
    number = float(value)
    return bool(np.isfinite(number)) and test(number)


def _are_stages(stages: Any) -> bool:
    if not _is_list(stages) or not all(
        isinstance(stage, Mapping) and {"start", "schedule"} <= stage.keys() for stage in stages
    ):
        return False
    starts = [stage["start"] for stage in stages]
    ascending = starts[:1] == [0] and all(a < b for a, b in itertools.pairwise(starts))
    return ascending and all(callable(stage["schedule"]) for stage in stages)


def _are_iterations(drops: Any) -> bool:
    return _is_list(drops) and all(_NOT_NEGATIVE.holds(drop) for drop in drops)


def _is_list(value: Any) -> bool:
    return isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, str)


def _is_one_of(names: Collection[str], value: Any) -> bool:
    return isinstance(value, str) and value in names


_NOT_NEGATIVE = _Rule("a number of at least 0", functools.partial(_number, lambda value: value >= 0))
_LENGTH = _Rule("at least 1 iteration", functools.partial(_number, lambda value: value >= 1))
_SHARE = _Rule("above 0 and at most 1", functools.partial(_number, lambda value: 0 < value <= 1))
_RULES = {
    "base_lr": _NOT_NEGATIVE,
    "max_lr": _NOT_NEGATIVE,
    "min_lr": _NOT_NEGATIVE,
    "step_size": _LENGTH,
    "decay_iterations": _LENGTH,
    "first_cycle": _LENGTH,
    "iterations": _LENGTH,
    "cycle_factor": _Rule("at least 1", functools.partial(_number, lambda value: value >= 1)),
    "gamma": _SHARE,
    "factor": _SHARE,
    "warmup": _Rule("above 0 and below 1", functools.partial(_number, lambda value: 0 < value < 1)),
    "final_division": _Rule("at least 1", functools.partial(_number, lambda value: value >= 1)),
    "window": _Rule(f"one of {', '.join(WINDOW_NAMES)}", functools.partial(_is_one_of, WINDOW_NAMES)),
    "decays": _Rule(f"one of {', '.join(DECAYING)}", functools.partial(_is_one_of, DECAYING)),
    "ramp": _Rule(f"one of {', '.join(RAMPS)}", functools.partial(_is_one_of, RAMPS)),
    "drops": _Rule("a list of iterations of at least 0", _are_iterations),
    "schedule": _Rule("a policy with its settings", callable),
    "stages": _Rule("a list of mappings with `start`, ascending from 0, and `schedule`", _are_stages),
}
