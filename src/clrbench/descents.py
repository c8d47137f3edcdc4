"""Policies that descend from a peak, max_lr: a *shape*, how often it is gone through, and a warm-up in front of all of it.

A warm-up rises from 0 in equal steps, as in transformers; the descent begins behind it and still ends with the budget. A
`floor` is a share of max_lr, min_lr a rate.
"""

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
from numpy.typing import ArrayLike

from clrbench.settings import (
    Factor,
    Floor,
    Inner,
    InnerShare,
    Length,
    OptionalLength,
    Rate,
    Rates,
    Share,
    above,
    declares,
    one_of,
)

# The height 1..0 over progress 0..1.
SHAPES: dict[str, Callable[[Rates], Rates]] = {
    "linear": lambda progress: 1 - progress,
    "cosine": lambda progress: (1 + np.cos(np.pi * progress)) / 2,
    "sqrt": lambda progress: 1 - np.sqrt(progress),
    "rex": lambda progress: (1 - progress) / (1 - progress / 2),
}
COOLDOWNS = ("sqrt", "linear")


def _descent(shape: str, start: float, end: float, progress: ArrayLike) -> Rates:
    """From `start` (progress 0) to `end` (progress 1)."""
    return end + (start - end) * SHAPES[shape](np.asarray(progress, float))


def _warmed(iteration: ArrayLike, schedule: Callable[[Any], Rates], warmup: float | None) -> Rates:
    """`schedule`, counted from the end of a warm-up that rises to its first rate."""
    now = np.asarray(iteration, float)
    if warmup is None:
        return schedule(now)
    return np.where(now < warmup, schedule(0.0) * now / warmup, schedule(np.maximum(now - warmup, 0.0)))


def _warm(ends: Callable[..., list[float]]) -> Callable[..., list[float]]:
    """Ends of cycles behind a warm-up."""

    def warmed(budget: float, warmup: float | None = None, **settings: Any) -> list[float]:
        return [(warmup or 0) + end for end in ends(budget - (warmup or 0), **settings)]

    return warmed


def _cut_short(budget: float, schedule: Any, warmup: float) -> str | None:
    length = getattr(schedule, "settings", {}).get("iterations") or 0
    if warmup + length <= budget:
        return None
    return (
        f"the policy behind the warm-up lasts {length:,.0f} iterations, of which {budget - warmup:,.0f} are left: set its "
        "iterations, or use the setting warmup of its own"
    )


@declares(
    cycle_ends=_warm(lambda budget, schedule: schedule.cycle_ends(int(max(budget, 0)))),
    end=lambda schedule, warmup: None if (end := getattr(schedule, "end", None)) is None else warmup + end,
    warning=_cut_short,
)
def warmup(iteration: ArrayLike, schedule: Inner, warmup: Length) -> Rates:
    """A rise from 0 to the first rate of `schedule`, which begins behind it (Goyal et al., arXiv:1706.02677)."""
    return _warmed(iteration, schedule, warmup)


def _peak_check(**settings: Any) -> None:
    above("min_lr")(**settings)
    warmup = settings.get("warmup")
    if warmup is not None and not warmup < settings.get("iterations", np.inf):
        raise ValueError(f"warmup={warmup} is not below iterations={settings['iterations']}: lower it")


def _to_the_end(
    iteration: ArrayLike,
    max_lr: float,
    iterations: float,
    shape: str,
    floor: float,
    warmup: float | None,
    cooldown: float = 1.0,
) -> Rates:
    """max_lr, and over the last part `cooldown` of the run, but not before the warm-up is over, down to floor * max_lr."""
    since = warmup or 0.0
    begin = max(since, (1 - cooldown) * iterations)

    def behind(now: Any) -> Rates:
        progress = np.clip((np.asarray(now, float) + since - begin) / (iterations - begin), 0, 1)
        return max_lr * _descent(shape, 1, floor, progress)

    return _warmed(iteration, behind, warmup)


@declares(check=_peak_check)
def linear(iteration: ArrayLike, max_lr: Rate, iterations: Length, floor: Floor = 0.0, warmup: OptionalLength = None) -> Rates:
    """Straight down to 0, or to a share of max_lr, over the run (Bergsma et al., arXiv:2502.15938)."""
    return _to_the_end(iteration, max_lr, iterations, "linear", floor, warmup)


@declares(check=_peak_check)
def rex(iteration: ArrayLike, max_lr: Rate, iterations: Length, floor: Floor = 0.0, warmup: OptionalLength = None) -> Rates:
    """The reflected exponential, (1 - p) / (1/2 + (1 - p)/2) at the share p of the run (Chen et al., arXiv:2107.04197)."""
    return _to_the_end(iteration, max_lr, iterations, "rex", floor, warmup)


@declares(check=_peak_check)
def wsd(
    iteration: ArrayLike,
    max_lr: Rate,
    iterations: Length,
    cooldown: Share = 0.2,
    shape: Annotated[str, one_of(COOLDOWNS)] = "sqrt",
    floor: Floor = 0.0,
    warmup: OptionalLength = None,
) -> Rates:
    """Warm-up, stable, decay: flat at max_lr but for the last part `cooldown` of the run (Hägele et al., arXiv:2405.18392).

    shape: of the cooldown: `sqrt`, 1 minus the root of its progress, the paper's best; or `linear`.
    """
    return _to_the_end(iteration, max_lr, iterations, shape, floor, warmup, cooldown)


@declares(check=_peak_check)
def cosine(iteration: ArrayLike, max_lr: Rate, iterations: Length, min_lr: Rate = 0.0, warmup: OptionalLength = None) -> Rates:
    """Half a cosine from max_lr to min_lr over the run (torch's CosineAnnealingLR)."""
    length = iterations - (warmup or 0)
    return _warmed(iteration, lambda now: _descent("cosine", max_lr, min_lr, now / length), warmup)


def inverse_sqrt(iteration: ArrayLike, max_lr: Rate, warmup: Length) -> Rates:
    """max_lr at the end of a warm-up, and from there on times sqrt(warmup / iteration) (Vaswani et al., arXiv:1706.03762)."""
    return _warmed(iteration, lambda now: max_lr / np.sqrt(1 + now / warmup), warmup)


@declares(check=above("base_lr"), end=lambda iterations, **_: iterations)
def one_cycle(
    iteration: ArrayLike,
    base_lr: Rate,
    max_lr: Rate,
    iterations: Length,
    warmup: InnerShare = 0.3,
    final_division: Factor = 1e4,
) -> Rates:
    """One cosine rise to max_lr over the share `warmup` of the run, one cosine fall to base_lr / final_division.

    torch's OneCycleLR with div_factor = max_lr / base_lr (Smith and Topin, arXiv:1708.07120). It has `iterations` rates; what
    follows them means nothing, and `CyclicLR` refuses to make a step at it.
    """
    peak, last = warmup * iterations - 1, iterations - 1
    now = np.asarray(iteration, float)
    rise = _descent("cosine", base_lr, max_lr, now / max(peak, 1e-9))
    fall = _descent("cosine", max_lr, base_lr / final_division, (now - peak) / (last - peak))
    return np.where(now <= peak, rise, fall)


def _restarts(first_cycle: float, cycle_factor: float, until: float) -> Rates:
    """The iterations at which a cycle starts, each `cycle_factor` times as long as the one before, from 0 to beyond `until`."""
    starts, length = [0.0], first_cycle
    while starts[-1] <= until:
        starts.append(starts[-1] + length)
        length *= cycle_factor
    return np.array(starts)


def _restarting(now: Any, shape: str, max_lr: float, min_lr: float, first_cycle: float, cycle_factor: float) -> Rates:
    starts = _restarts(first_cycle, cycle_factor, float(np.max(now, initial=0.0)))
    current = np.searchsorted(starts, now, side="right") - 1
    length = starts[current + 1] - starts[current]
    return _descent(shape, max_lr, min_lr, (now - starts[current]) / length)


def _ends_of_restarts(factor: float) -> Callable[..., list[float]]:
    """cycle_factor is `factor` unless it is set."""

    def ends(budget: float, first_cycle: float, cycle_factor: float = factor, **_: Any) -> list[float]:
        return list(_restarts(first_cycle, cycle_factor, budget)[1:])

    return _warm(ends)


@declares(check=_peak_check, cycle_ends=_ends_of_restarts(1.0))
def cosine_restarts(
    iteration: ArrayLike,
    max_lr: Rate,
    first_cycle: Length,
    cycle_factor: Factor = 1.0,
    min_lr: Rate = 0.0,
    warmup: OptionalLength = None,
) -> Rates:
    """Cosine descents that restart at max_lr, each `cycle_factor` times as long as the one before.

    SGDR, torch's CosineAnnealingWarmRestarts (Loshchilov and Hutter, arXiv:1608.03983).
    """
    return _warmed(iteration, lambda now: _restarting(now, "cosine", max_lr, min_lr, first_cycle, cycle_factor), warmup)


@declares(check=_peak_check, cycle_ends=_ends_of_restarts(2.0))
def multiplicative(
    iteration: ArrayLike,
    max_lr: Rate,
    first_cycle: Length,
    cycle_factor: Factor = 2.0,
    min_lr: Rate = 0.0,
    warmup: OptionalLength = None,
) -> Rates:
    """Straight descents that restart at max_lr, each `cycle_factor` times as long as the one before.

    Their ends read accuracy against training time off one run (Portes et al., arXiv:2206.00832).
    """
    return _warmed(iteration, lambda now: _restarting(now, "linear", max_lr, min_lr, first_cycle, cycle_factor), warmup)
