"""A policy with its settings: what a policy declares of them, and the schedule that both make.

A policy names the domain of a setting beside it, in its signature; a parameter without one takes any value, whatever its name.

    @declares(check=..., cycle_ends=...)
    def triangular(iteration: ArrayLike, base_lr: Rate, max_lr: Rate, step_size: Length) -> Rates: ...
"""

import inspect
import itertools
import math
import numbers
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Rates = NDArray[np.float64]
Policy = Callable[..., Rates]
Made = TypeVar("Made")

EPOCHS = re.compile(r"(\d+(?:\.\d+)?) epochs?")  # a length that is not in iterations
# Numbers of iterations that an epoch may have, the first for all that is shown.
_SOME_EPOCHS = (1000, *(2**power for power in range(31)))
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def iterations_of(length: Any, per_epoch: float) -> int | None:
    """A length in iterations: a whole number of them, or a text like `4 epochs`, rounded; None for what is below 1 or none."""
    if isinstance(length, str) and (match := EPOCHS.fullmatch(length.strip())):
        length = round(float(match[1]) * per_epoch)
    return int(length) if COUNT.holds(length) else None


def for_some_epoch(make: Callable[[int], Made], refusal: type[Exception]) -> Made:
    """`make` of a number of iterations in an epoch that it takes: 1,000, or any that makes its settings possible.

    Raises the `refusal` of 1,000 where it refuses all, so that no data could help.
    """
    refused: list[Exception] = []
    for per_epoch in _SOME_EPOCHS:
        try:
            return make(per_epoch)
        except refusal as error:
            refused.append(error)
    raise refused[0]


class SettingError(ValueError):
    """A value that its setting cannot have; the line begins with the setting's name."""


@dataclass(frozen=True)
class Domain:
    """The values that a setting may have; `words` end the sentence "it must be ..."."""

    words: str
    holds: Callable[[Any], bool]


def _check(policy: Policy, settings: Mapping[str, Any]) -> None:
    """Raise SettingError in one line for a value outside the domain that `policy` names for its setting."""
    parameters = inspect.signature(policy).parameters
    for key, value in settings.items():
        for domain in getattr(parameters[key].annotation, "__metadata__", ()) if key in parameters else ():
            if isinstance(domain, Domain) and not domain.holds(value):
                raise SettingError(f"{key}={_shown(value)} is impossible: it must be {domain.words}")


def one_of(names: Collection[str]) -> Domain:
    """One of these names."""
    return Domain(f"one of {', '.join(names)}", lambda value: isinstance(value, str) and value in names)


def _number(words: str, test: Callable[[float], bool]) -> Domain:
    def holds(value: Any) -> bool:
        if not isinstance(value, numbers.Real) or isinstance(value, bool):
            return False
        number = float(value)
        return bool(np.isfinite(number)) and test(number)

    return Domain(words, holds)


def _optional(domain: Domain) -> Domain:
    return Domain(domain.words, lambda value: value is None or domain.holds(value))


def _shown(value: Any) -> str:
    """The value; a number that came as text shows its quotes, as YAML reads 1e-3 as text without a word."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return f"{value!r}, a text and not a number (in YAML, write 1.0e-3 and not 1e-3),"
    return str(value)


def _are_iterations(drops: Any) -> bool:
    return _is_list(drops) and all(_NOT_NEGATIVE.holds(drop) for drop in drops)


def _are_stages(stages: Any) -> bool:
    if not _is_list(stages) or not all(
        isinstance(stage, Mapping) and {"start", "schedule"} <= stage.keys() for stage in stages
    ):
        return False
    starts = [stage["start"] for stage in stages]
    ascending = starts[:1] == [0] and all(a < b for a, b in itertools.pairwise(starts))
    return ascending and all(callable(stage["schedule"]) for stage in stages)


def _is_list(value: Any) -> bool:
    return isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, str)


COUNT = Domain(
    "a whole number of at least 1",
    lambda value: isinstance(value, numbers.Integral) and not isinstance(value, bool) and int(value) >= 1,
)
POSITIVE = _number("a number above 0", lambda value: value > 0)
_NOT_NEGATIVE = _number("a number of at least 0", lambda value: value >= 0)
_LENGTH = _number("at least 1 iteration", lambda value: value >= 1)
_SHARE = _number("above 0 and at most 1", lambda value: 0 < value <= 1)

Rate = Annotated[float, _NOT_NEGATIVE]
Length = Annotated[float, _LENGTH]
OptionalLength = Annotated[float | None, _optional(_LENGTH)]
Share = Annotated[float, _SHARE]
OptionalShare = Annotated[float | None, _optional(_SHARE)]
InnerShare = Annotated[float, _number("above 0 and below 1", lambda value: 0 < value < 1)]
Floor = Annotated[float, _number("at least 0 and at most 1", lambda value: 0 <= value <= 1)]
Factor = Annotated[float, _number("at least 1", lambda value: value >= 1)]
Iterations = Annotated[Sequence[float], Domain("a list of iterations of at least 0", _are_iterations)]
Inner = Annotated[Callable[..., Any], Domain("a policy with its settings", callable)]
Stages = Annotated[
    Sequence[Mapping[str, Any]], Domain("a list of mappings with `start`, ascending from 0, and `schedule`", _are_stages)
]


def above(lower: str) -> Callable[..., None]:
    """The check that max_lr is above the setting `lower`."""

    def check(**settings: Any) -> None:
        if lower in settings and not settings["max_lr"] > settings[lower]:
            raise ValueError(
                f"max_lr={settings['max_lr']} is not above {lower}={settings[lower]}: raise max_lr or lower {lower}"
            )

    return check


def declares(
    check: Callable[..., None] | None = None,
    cycle_ends: Callable[..., Sequence[float]] | None = None,
    end: Callable[..., float | None] | None = None,
    warning: Callable[..., str | None] | None = None,
    within: Callable[..., Sequence[tuple[Any, float]]] | None = None,
) -> Callable[[Policy], Policy]:
    """Say of a policy what its signature leaves open. All five are called with its settings, and become its attributes.

    check: raises ValueError where settings contradict each other. cycle_ends: from a number of iterations, before the
    settings, to those up to it at which a cycle ends. end: the number of iterations that have a rate, None for no end.
    warning: from a budget in iterations, before the settings, to a line on what they hardly can be meant to do over it.
    within: from a budget, before the settings, to the schedules that the policy is made of, each with its part of that; by
    default those among its settings, with all of it.
    """

    def declare(policy: Policy) -> Policy:
        vars(policy).update(check=check, cycle_ends=cycle_ends, end=end, warning=warning, within=within)
        return policy

    return declare


def every_cycle(budget: int, /, step_size: float, step_size_down: float | None = None, **_: Any) -> list[float]:
    """The ends of cycles of equal length, up to `budget`."""
    length = step_size + (step_size_down or step_size)
    return [length * number for number in range(1, int(budget // length) + 1)]


@dataclass(frozen=True)
class Schedule:
    """A policy with its settings: the learning rate of every iteration.

    scale stretches time: with 0.2, all that the settings lay at iteration 1,000 happens at 200.
    Raises ValueError when the policy lacks a setting, does not know one, or a value is impossible.
    """

    policy: Policy
    settings: Mapping[str, Any]
    scale: float = 1.0

    def __post_init__(self) -> None:
        known = list(inspect.signature(self.policy).parameters)[1:]
        unknown = [key for key in self.settings if key not in known]
        if unknown:
            raise ValueError(f"{unknown[0]} is not a setting of {_name(self.policy)}: it has {', '.join(known)}")
        try:
            inspect.signature(self.policy).bind(0, **self.settings)
        except TypeError as error:
            raise ValueError(f"{_name(self.policy)}: {error}") from None
        _check(self.policy, self.settings)
        check = getattr(self.policy, "check", None)
        if check is not None:
            check(**self.settings)

    def __call__(self, iteration: ArrayLike) -> Rates:
        """The learning rate at `iteration`, a number or an array, counted from 0."""
        return self.policy(np.asarray(iteration, float) / self.scale, **self.settings)

    @property
    def end(self) -> float | None:
        """The number of iterations that have a rate; None where the policy has no end."""
        declared = getattr(self.policy, "end", None)
        end = declared(**self.settings) if declared is not None else None
        return None if end is None else end * self.scale

    def warnings(self, iterations: int) -> list[str]:
        """What the settings hardly can be meant to do over a budget of `iterations`, a line each; so of policies within."""
        declared = getattr(self.policy, "warning", None)
        own = declared(iterations / self.scale, **self.settings) if declared is not None else None
        within = [
            line for schedule, budget in self._within(iterations / self.scale) for line in schedule.warnings(math.ceil(budget))
        ]
        return [*([own] if own else []), *within]

    def _within(self, budget: float) -> Iterator[tuple["Schedule", float]]:
        """The schedules that this one is made of, each with its part of a budget in iterations."""
        declared = getattr(self.policy, "within", None)
        parts = [(value, budget) for value in self.settings.values()] if declared is None else declared(budget, **self.settings)
        return ((schedule, part) for schedule, part in parts if isinstance(schedule, Schedule) and part > 0)

    def cycle_ends(self, iterations: int) -> list[int]:
        """The iterations in 1..`iterations` at which a cycle ends; empty for a policy without cycles."""
        ends = (round(end * self.scale) for end in self._cycle_ends(math.ceil(iterations / self.scale)))
        return sorted({end for end in ends if 0 < end <= iterations})

    def _cycle_ends(self, iterations: int) -> Sequence[float]:
        declared = getattr(self.policy, "cycle_ends", None)
        if declared is None and _LENGTH.holds(self.settings.get("step_size")):
            declared = every_cycle  # the field's word for half a cycle, in a policy from outside too
        return declared(iterations, **self.settings) if declared is not None else []


def _name(policy: Policy) -> str:
    return getattr(policy, "__name__", repr(policy))
