"""Learning-rate policies: pure functions of the iteration.

The iteration counts optimizer steps from 0 and may be a number or an array; the result has its shape. `step_size` is half a
cycle, in iterations. A cyclical policy is three independent choices: the *window* (the shape of one cycle), the *decay* (how
cycles shrink) and *what decays* (the amplitude, or both bounds). Sections and tables named here are those of Smith,
"Cyclical Learning Rates for Training Neural Networks", arXiv:1506.01186.
"""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clrbench import rules

Rates = NDArray[np.float64]


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


WINDOWS = dict(zip(rules.WINDOW_NAMES, (triangular_window, parabolic_window, hann_window), strict=True))


def _cycle(
    iteration: ArrayLike, base_lr: float, max_lr: float, step_size: float, window: str, amplitude: ArrayLike = 1.0
) -> Rates:
    """base_lr plus the window of the current cycle, its height scaled by `amplitude`."""
    phase = np.asarray(iteration, float) / (2 * step_size) % 1
    return base_lr + (max_lr - base_lr) * np.asarray(amplitude, float) * WINDOWS[window](phase)


def triangular(iteration: ArrayLike, base_lr: float, max_lr: float, step_size: float, window: str = "triangular") -> Rates:
    """Cycles between two fixed bounds; `window` gives their shape (section 3.1)."""
    return _cycle(iteration, base_lr, max_lr, step_size, window)


def triangular2(iteration: ArrayLike, base_lr: float, max_lr: float, step_size: float, window: str = "triangular") -> Rates:
    """Cycles whose amplitude is halved after each one (section 3.1)."""
    finished_cycles = np.floor(np.asarray(iteration, float) / (2 * step_size))
    return _cycle(iteration, base_lr, max_lr, step_size, window, amplitude=0.5**finished_cycles)


def exp_range(
    iteration: ArrayLike,
    base_lr: float,
    max_lr: float,
    step_size: float,
    gamma: float,
    decays: str = "bounds",
    window: str = "triangular",
) -> Rates:
    """Cycles that decline by gamma^iteration (section 3.1).

    decays: `bounds` lets each bound decline, the paper's words; `amplitude` keeps base_lr, as bckenstler/CLR and torch do.
    """
    decline = gamma ** np.asarray(iteration, float)
    if decays == "bounds":
        return decline * _cycle(iteration, base_lr, max_lr, step_size, window)
    return _cycle(iteration, base_lr, max_lr, step_size, window, amplitude=decline)


def fixed(iteration: ArrayLike, base_lr: float) -> Rates:
    """One rate for the whole run."""
    return np.full_like(np.asarray(iteration, float), base_lr)


def dropping(
    iteration: ArrayLike, schedule: Callable[[ArrayLike], Rates], drops: Sequence[float], factor: float = 0.1
) -> Rates:
    """The rates of `schedule`, multiplied by `factor` from each iteration of `drops` on, while its cycles go on (4.1.2)."""
    drops_so_far = np.searchsorted(np.sort(np.asarray(drops, float)), np.asarray(iteration, float), side="right")
    # Of a table, as numpy's powers of single numbers and of arrays differ in the last bit.
    return np.asarray(schedule(iteration) * (factor ** np.arange(len(drops) + 1))[drops_so_far], float)


def step(iteration: ArrayLike, base_lr: float, drops: Sequence[float], factor: float = 0.1) -> Rates:
    """base_lr, multiplied by `factor` from each iteration of `drops` on (Caffe's multistep; the paper's fixed rate)."""
    return dropping(iteration, partial(fixed, base_lr=base_lr), drops, factor)


def exp(iteration: ArrayLike, base_lr: float, gamma: float) -> Rates:
    """base_lr * gamma^iteration (section 4.1.1)."""
    return base_lr * gamma ** np.asarray(iteration, float)


def decay(iteration: ArrayLike, base_lr: float, max_lr: float, decay_iterations: float) -> Rates:
    """Linearly from max_lr down to base_lr over `decay_iterations`, then flat (section 4.1.1)."""
    remaining: Rates = np.maximum(0.0, 1 - np.asarray(iteration, float) / decay_iterations)
    return base_lr + (max_lr - base_lr) * remaining


def _cosine_descent(start: float, end: float, progress: ArrayLike) -> Rates:
    """Half a cosine from `start` (progress 0) to `end` (progress 1)."""
    remaining: Rates = (1 + np.cos(np.pi * np.asarray(progress, float))) / 2
    return end + (start - end) * remaining


def one_cycle(
    iteration: ArrayLike,
    base_lr: float,
    max_lr: float,
    iterations: float,
    warmup: float = 0.3,
    final_division: float = 1e4,
) -> Rates:
    """One cosine rise to max_lr over the share `warmup` of the run, one cosine fall to base_lr / final_division.

    torch's OneCycleLR with div_factor = max_lr / base_lr (Smith and Topin, arXiv:1708.07120).
    """
    peak, last = warmup * iterations - 1, iterations - 1
    now = np.asarray(iteration, float)
    rise = _cosine_descent(base_lr, max_lr, now / max(peak, 1e-9))
    fall = _cosine_descent(max_lr, base_lr / final_division, (now - peak) / (last - peak))
    return np.where(now <= peak, rise, fall)


def ramp(iteration: ArrayLike, max_lr: float, iterations: float, min_lr: float = 0.0, ramp: str = "linear") -> Rates:
    """From min_lr up to max_lr over the run, in equal steps or (`exponential`) in equal ratios: for the range test (3.3)."""
    progress = np.asarray(iteration, float) / iterations
    if ramp == "exponential":
        return np.asarray(min_lr * (max_lr / min_lr) ** progress, float)
    return min_lr + (max_lr - min_lr) * progress


def cosine(iteration: ArrayLike, max_lr: float, iterations: float, min_lr: float = 0.0) -> Rates:
    """Half a cosine from max_lr to min_lr over the run (torch's CosineAnnealingLR)."""
    return _cosine_descent(max_lr, min_lr, np.asarray(iteration, float) / iterations)


def _restarts(first_cycle: float, cycle_factor: float, until: float) -> Rates:
    """The iterations at which cosine_restarts starts a cycle, from 0 to the first one beyond `until`."""
    starts, length = [0.0], first_cycle
    while starts[-1] <= until:
        starts.append(starts[-1] + length)
        length *= cycle_factor
    return np.array(starts)


def cosine_restarts(
    iteration: ArrayLike, max_lr: float, first_cycle: float, cycle_factor: float = 1.0, min_lr: float = 0.0
) -> Rates:
    """Cosine descents that restart at max_lr, each `cycle_factor` times as long as the one before.

    SGDR, torch's CosineAnnealingWarmRestarts (Loshchilov and Hutter, arXiv:1608.03983).
    """
    now = np.asarray(iteration, float)
    starts = _restarts(first_cycle, cycle_factor, float(np.max(now, initial=0.0)))
    current = np.searchsorted(starts, now, side="right") - 1
    length = starts[current + 1] - starts[current]
    return _cosine_descent(max_lr, min_lr, (now - starts[current]) / length)


@dataclass(frozen=True)
class Schedule:
    """A policy with its settings: the learning rate of every iteration.

    scale stretches time: with 0.2, all that the settings lay at iteration 1,000 happens at 200.
    Raises ValueError when the policy lacks a setting, does not know one, or a value is impossible.
    """

    policy: Callable[..., Rates]
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
        rules.check(self.settings)

    def __call__(self, iteration: ArrayLike) -> Rates:
        """The learning rate at `iteration`, a number or an array, counted from 0."""
        return self.policy(np.asarray(iteration, float) / self.scale, **self.settings)

    def cycle_ends(self, iterations: int) -> list[int]:
        """The iterations in 1..`iterations` at which a cycle ends; empty for a policy without cycles."""
        ends = (round(end * self.scale) for end in _cycle_ends(self.settings, math.ceil(iterations / self.scale)))
        return sorted({end for end in ends if 0 < end <= iterations})


def staged(iteration: ArrayLike, stages: Sequence[Mapping[str, Any]]) -> Rates:
    """Policies one after another; each counts its iterations, and so its cycles, from its own start (Table 2).

    stages: mappings with `start` (iteration, ascending from 0) and `schedule` (a Schedule).
    """
    now = np.asarray(iteration, float)
    rates = np.zeros_like(now)
    for stage in stages:
        since = now - stage["start"]
        rates = np.where(since >= 0, stage["schedule"](np.maximum(since, 0)), rates)
    return rates


POLICIES: dict[str, Callable[..., Rates]] = {
    function.__name__: function
    for function in (
        fixed,
        dropping,
        step,
        exp,
        decay,
        triangular,
        triangular2,
        exp_range,
        staged,
        one_cycle,
        cosine,
        cosine_restarts,
        ramp,
    )
}


def named(policy: str, **settings: Any) -> Schedule:
    """The schedule of a policy of this module, by name: `named("triangular2", base_lr=0.001, max_lr=0.006, step_size=2000)`."""
    if policy not in POLICIES:
        raise ValueError(f"policy {policy!r} is unknown: choose one of {', '.join(POLICIES)}")
    return Schedule(POLICIES[policy], settings)


def _cycle_ends(settings: Mapping[str, Any], iterations: int) -> list[float]:
    """Where cycles end, read off the settings that give their length, so that it works for policies from outside too."""
    if "schedule" in settings:
        return list(settings["schedule"].cycle_ends(iterations))
    if "stages" in settings:
        return _stage_ends(settings["stages"], iterations)
    if "step_size" in settings:
        length = 2 * settings["step_size"]
        return [length * number for number in range(1, int(iterations // length) + 1)]
    if "first_cycle" in settings:
        return list(_restarts(settings["first_cycle"], settings.get("cycle_factor", 1.0), iterations)[1:])
    return []


def _stage_ends(stages: Sequence[Mapping[str, Any]], iterations: int) -> list[float]:
    following = [stage["start"] for stage in stages[1:]] + [iterations]
    return [
        stage["start"] + end
        for stage, stop in zip(stages, following, strict=True)
        for end in stage["schedule"].cycle_ends(int(min(stop, iterations) - stage["start"]))
    ]


def _name(policy: Callable[..., Rates]) -> str:
    return getattr(policy, "__name__", repr(policy))
