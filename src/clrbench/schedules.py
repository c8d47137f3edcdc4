"""Learning-rate policies: pure functions of the iteration.

The iteration counts optimizer steps from 0 and may be a number or an array; the result has its shape. `step_size` is half a
cycle, in iterations. A cyclical policy is three independent choices: the *window* (the shape of one cycle), the *decay* (how
cycles shrink) and *what decays* (the amplitude, or both bounds). Sections and tables named here are those of Smith,
"Cyclical Learning Rates for Training Neural Networks", arXiv:1506.01186.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any

import numpy as np
from numpy.typing import ArrayLike

from clrbench.settings import (
    Factor,
    Inner,
    InnerShare,
    Iterations,
    Length,
    OptionalLength,
    OptionalShare,
    Rate,
    Rates,
    Schedule,
    Share,
    Stages,
    declares,
    every_cycle,
    one_of,
)

__all__ = ["POLICIES", "RAMPS", "WINDOWS", "Rates", "Schedule", "named"]

RAMPS = ("linear", "exponential")
DECAYING = ("bounds", "amplitude")


def triangular_window(phase: ArrayLike) -> Rates:
    """Height 0..1 over one cycle, phase 0..1: straight up in the first half, straight down in the second (section 3.1)."""
    height: Rates = np.maximum(0.0, 1 - np.abs(2 * np.asarray(phase, float) - 1))
    return height


def parabolic_window(phase: ArrayLike) -> Rates:
    """The Welch window, height 0..1 over phase 0..1 (section 3.1)."""
    return 1 - (2 * np.asarray(phase, float) - 1) ** 2


def hann_window(phase: ArrayLike) -> Rates:
    """The sinusoidal window, height 0..1 over phase 0..1 (section 3.1)."""
    return (1 - np.cos(2 * np.pi * np.asarray(phase, float))) / 2


WINDOWS = {"triangular": triangular_window, "parabolic": parabolic_window, "hann": hann_window}
Window = Annotated[str, one_of(WINDOWS)]


def _above(lower: str) -> Callable[..., None]:
    """The check that max_lr is above the setting `lower`."""

    def check(**settings: Any) -> None:
        if lower in settings and not settings["max_lr"] > settings[lower]:
            raise ValueError(
                f"max_lr={settings['max_lr']} is not above {lower}={settings[lower]}: raise max_lr or lower {lower}"
            )

    return check


def _cycles(iteration: ArrayLike, step_size: float, step_size_down: float | None) -> Rates:
    """The time in cycles: 0 where the first begins, 1 where it ends; a half where its rise of `step_size` iterations does."""
    now = np.asarray(iteration, float)
    if step_size_down is None or step_size_down == step_size:
        return np.asarray(now / (2 * step_size), float)
    finished, since = np.divmod(now, step_size + step_size_down)
    return finished + np.where(since <= step_size, since / step_size, 1 + (since - step_size) / step_size_down) / 2


def _cycle(base_lr: float, max_lr: float, cycles: Rates, window: str, amplitude: ArrayLike = 1.0) -> Rates:
    """base_lr plus the window of the current cycle, its height scaled by `amplitude`."""
    return base_lr + (max_lr - base_lr) * np.asarray(amplitude, float) * WINDOWS[window](cycles % 1)


@declares(check=_above("base_lr"), cycle_ends=every_cycle)
def triangular(
    iteration: ArrayLike,
    base_lr: Rate,
    max_lr: Rate,
    step_size: Length,
    window: Window = "triangular",
    step_size_down: OptionalLength = None,
) -> Rates:
    """Cycles between two fixed bounds; `window` gives their shape (section 3.1).

    step_size_down: the iterations from max_lr down to base_lr, `step_size` unless given, as in torch's CyclicLR.
    """
    return _cycle(base_lr, max_lr, _cycles(iteration, step_size, step_size_down), window)


@declares(check=_above("base_lr"), cycle_ends=every_cycle)
def triangular2(
    iteration: ArrayLike,
    base_lr: Rate,
    max_lr: Rate,
    step_size: Length,
    window: Window = "triangular",
    step_size_down: OptionalLength = None,
) -> Rates:
    """Cycles whose amplitude is halved after each one (section 3.1). step_size_down: see `triangular`."""
    cycles = _cycles(iteration, step_size, step_size_down)
    return _cycle(base_lr, max_lr, cycles, window, amplitude=0.5 ** np.floor(cycles))


def _one_decline(**settings: Any) -> None:
    gamma, decline = settings.get("gamma"), settings.get("decline")
    if (gamma is None) == (decline is None):
        raise ValueError(
            f"gamma={gamma} and decline={decline}: give one of them: gamma, what each iteration leaves of the rate, or "
            "decline, what is left of it after `iterations`"
        )
    if gamma is None and settings.get("iterations") is None:
        raise ValueError(f"decline={decline} lacks iterations, after which so much is left: the budget")


def _range_check(**settings: Any) -> None:
    _above("base_lr")(**settings)
    _one_decline(**settings)


def _vain_gamma(budget: float, gamma: float | None = None, **_: Any) -> str | None:
    left = 1 if gamma is None else gamma**budget
    does = "nothing" if left > 0.9 else "everything" if left < 1e-4 else None
    if gamma is None or gamma == 1 or does is None:
        return None
    return (
        f"gamma={gamma:g} does next to {does}: it leaves {100 * left:.2g}% of the rate after {budget:,.0f} iterations; "
        "decline, in the place of gamma, is the share that shall be left there"
    )


def _left(iteration: ArrayLike, gamma: Any, decline: Any, iterations: Any) -> Rates:
    """The share of the rate that is left: gamma^iteration, or `decline` after `iterations`."""
    base, length = (gamma, 1) if gamma is not None else (decline, iterations)
    return np.asarray(base ** (np.asarray(iteration, float) / length), float)


@declares(check=_range_check, cycle_ends=every_cycle, warning=_vain_gamma)
def exp_range(
    iteration: ArrayLike,
    base_lr: Rate,
    max_lr: Rate,
    step_size: Length,
    gamma: OptionalShare = None,
    decays: Annotated[str, one_of(DECAYING)] = "bounds",
    window: Window = "triangular",
    step_size_down: OptionalLength = None,
    decline: OptionalShare = None,
    iterations: OptionalLength = None,
) -> Rates:
    """Cycles that decline by gamma^iteration (section 3.1), or to the share `decline` after `iterations`.

    decays: `bounds` lets each bound decline, the paper's words; `amplitude` keeps base_lr, as bckenstler/CLR and torch do.
    step_size_down: see `triangular`.
    """
    left = _left(iteration, gamma, decline, iterations)
    cycles = _cycles(iteration, step_size, step_size_down)
    if decays == "bounds":
        return left * _cycle(base_lr, max_lr, cycles, window)
    return _cycle(base_lr, max_lr, cycles, window, amplitude=left)


def fixed(iteration: ArrayLike, base_lr: Rate) -> Rates:
    """One rate for the whole run."""
    return np.full_like(np.asarray(iteration, float), base_lr)


@declares(
    cycle_ends=lambda iterations, schedule, **_: schedule.cycle_ends(iterations),
    end=lambda schedule, **_: getattr(schedule, "end", None),
)
def dropping(iteration: ArrayLike, schedule: Inner, drops: Iterations, factor: Share = 0.1) -> Rates:
    """The rates of `schedule`, multiplied by `factor` from each iteration of `drops` on, while its cycles go on (4.1.2)."""
    drops_so_far = np.searchsorted(np.sort(np.asarray(drops, float)), np.asarray(iteration, float), side="right")
    # Of a table, as numpy's powers of single numbers and of arrays differ in the last bit.
    return np.asarray(schedule(iteration) * (factor ** np.arange(len(drops) + 1))[drops_so_far], float)


def step(iteration: ArrayLike, base_lr: Rate, drops: Iterations, factor: Share = 0.1) -> Rates:
    """base_lr, multiplied by `factor` from each iteration of `drops` on (Caffe's multistep; the paper's fixed rate)."""
    return dropping(iteration, partial(fixed, base_lr=base_lr), drops, factor)


@declares(check=_one_decline, warning=_vain_gamma)
def exp(
    iteration: ArrayLike,
    base_lr: Rate,
    gamma: OptionalShare = None,
    decline: OptionalShare = None,
    iterations: OptionalLength = None,
) -> Rates:
    """base_lr * gamma^iteration (section 4.1.1); or an exponential decline to the share `decline` after `iterations`."""
    return base_lr * _left(iteration, gamma, decline, iterations)


@declares(check=_above("base_lr"))
def decay(iteration: ArrayLike, base_lr: Rate, max_lr: Rate, decay_iterations: Length) -> Rates:
    """Linearly from max_lr down to base_lr over `decay_iterations`, then flat (section 4.1.1)."""
    remaining: Rates = np.maximum(0.0, 1 - np.asarray(iteration, float) / decay_iterations)
    return base_lr + (max_lr - base_lr) * remaining


def _cosine_descent(start: float, end: float, progress: ArrayLike) -> Rates:
    """Half a cosine from `start` (progress 0) to `end` (progress 1)."""
    remaining: Rates = (1 + np.cos(np.pi * np.asarray(progress, float))) / 2
    return end + (start - end) * remaining


@declares(check=_above("base_lr"), end=lambda iterations, **_: iterations)
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
    rise = _cosine_descent(base_lr, max_lr, now / max(peak, 1e-9))
    fall = _cosine_descent(max_lr, base_lr / final_division, (now - peak) / (last - peak))
    return np.where(now <= peak, rise, fall)


def _ramp_check(**settings: Any) -> None:
    _above("min_lr")(**settings)
    if settings.get("ramp") == "exponential" and not settings.get("min_lr", 0) > 0:
        raise ValueError("min_lr=0 is impossible for an exponential ramp: it must be above 0")


@declares(check=_ramp_check)
def ramp(
    iteration: ArrayLike,
    max_lr: Rate,
    iterations: Length,
    min_lr: Rate = 0.0,
    ramp: Annotated[str, one_of(RAMPS)] = "linear",
) -> Rates:
    """From min_lr up to max_lr over the run, in equal steps or (`exponential`) in equal ratios: for the range test (3.3)."""
    progress = np.asarray(iteration, float) / iterations
    if ramp == "exponential":
        return np.asarray(min_lr * (max_lr / min_lr) ** progress, float)
    return min_lr + (max_lr - min_lr) * progress


@declares(check=_above("min_lr"))
def cosine(iteration: ArrayLike, max_lr: Rate, iterations: Length, min_lr: Rate = 0.0) -> Rates:
    """Half a cosine from max_lr to min_lr over the run (torch's CosineAnnealingLR)."""
    return _cosine_descent(max_lr, min_lr, np.asarray(iteration, float) / iterations)


def _restarts(first_cycle: float, cycle_factor: float, until: float) -> Rates:
    """The iterations at which cosine_restarts starts a cycle, from 0 to the first one beyond `until`."""
    starts, length = [0.0], first_cycle
    while starts[-1] <= until:
        starts.append(starts[-1] + length)
        length *= cycle_factor
    return np.array(starts)


def _restart_ends(iterations: int, first_cycle: float, cycle_factor: float = 1.0, **_: Any) -> list[float]:
    return list(_restarts(first_cycle, cycle_factor, iterations)[1:])


@declares(check=_above("min_lr"), cycle_ends=_restart_ends)
def cosine_restarts(
    iteration: ArrayLike, max_lr: Rate, first_cycle: Length, cycle_factor: Factor = 1.0, min_lr: Rate = 0.0
) -> Rates:
    """Cosine descents that restart at max_lr, each `cycle_factor` times as long as the one before.

    SGDR, torch's CosineAnnealingWarmRestarts (Loshchilov and Hutter, arXiv:1608.03983).
    """
    now = np.asarray(iteration, float)
    starts = _restarts(first_cycle, cycle_factor, float(np.max(now, initial=0.0)))
    current = np.searchsorted(starts, now, side="right") - 1
    length = starts[current + 1] - starts[current]
    return _cosine_descent(max_lr, min_lr, (now - starts[current]) / length)


def _stage_ends(iterations: int, stages: Sequence[Mapping[str, Any]]) -> list[float]:
    following = [stage["start"] for stage in stages[1:]] + [iterations]
    return [
        stage["start"] + end
        for stage, stop in zip(stages, following, strict=True)
        for end in stage["schedule"].cycle_ends(int(min(stop, iterations) - stage["start"]))
    ]


def _stages_end(stages: Sequence[Mapping[str, Any]]) -> float | None:
    """Where the first schedule that does not last until the next stage ends."""
    following = [stage["start"] for stage in stages[1:]] + [math.inf]
    for stage, stop in zip(stages, following, strict=True):
        end = getattr(stage["schedule"], "end", None)
        if end is not None and stage["start"] + end < stop:
            return float(stage["start"] + end)
    return None


@declares(cycle_ends=_stage_ends, end=_stages_end)
def staged(iteration: ArrayLike, stages: Stages) -> Rates:
    """Policies one after another; each counts its iterations, and so its cycles, from its own start (Table 2).

    stages: mappings with `start` (iteration, ascending from 0) and `schedule` (a Schedule).
    """
    now = np.asarray(iteration, float)
    rates = np.zeros_like(now)
    for stage in stages:
        since = now - stage["start"]
        rates = np.where(since >= 0, stage["schedule"](np.maximum(since, 0)), rates)
    return rates


_ALL = (
    fixed, dropping, step, exp, decay, triangular, triangular2, exp_range, staged, one_cycle, cosine, cosine_restarts, ramp
)  # fmt: skip
POLICIES: dict[str, Callable[..., Rates]] = {policy.__name__: policy for policy in _ALL}


def named(policy: str, **settings: Any) -> Schedule:
    """The schedule of a policy of this module, by name: `named("triangular2", base_lr=0.001, max_lr=0.006, step_size=2000)`."""
    if policy in WINDOWS.keys() - POLICIES.keys():
        raise ValueError(f"policy {policy!r} is a window: take policy triangular, or one like it, with window={policy}")
    if policy not in POLICIES:
        raise ValueError(f"policy {policy!r} is unknown: choose one of {', '.join(POLICIES)}")
    return Schedule(POLICIES[policy], settings)
