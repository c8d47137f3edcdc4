"""Learning-rate policies: pure functions of the iteration.

The iteration counts optimizer steps from 0 and may be a number or an array; the result has its shape. `step_size` is half a
cycle, in iterations. A cyclical policy is three independent choices: the *window* (the shape of one cycle), the *decay* (how
cycles shrink) and *what decays* (the amplitude, or both bounds): `clrbench.cycles`. Those that descend from a peak are in
`clrbench.descents`; here are the others, and all by their names. Sections and tables named here are those of Smith,
"Cyclical Learning Rates for Training Neural Networks", arXiv:1506.01186.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any

import numpy as np
from numpy.typing import ArrayLike

from clrbench.cycles import WINDOWS, exp, exp_range, triangular, triangular2
from clrbench.descents import cosine, cosine_restarts, inverse_sqrt, linear, multiplicative, one_cycle, rex, warmup, wsd
from clrbench.settings import Inner, Iterations, Length, Rate, Rates, Schedule, Share, Stages, above, declares, one_of

__all__ = ["POLICIES", "RAMPS", "WINDOWS", "Rates", "Schedule", "named", "triangular"]

RAMPS = ("linear", "exponential")


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


@declares(check=above("base_lr"))
def decay(iteration: ArrayLike, base_lr: Rate, max_lr: Rate, decay_iterations: Length) -> Rates:
    """Linearly from max_lr down to base_lr over `decay_iterations`, then flat (section 4.1.1)."""
    remaining: Rates = np.maximum(0.0, 1 - np.asarray(iteration, float) / decay_iterations)
    return base_lr + (max_lr - base_lr) * remaining


def _ramp_check(**settings: Any) -> None:
    above("min_lr")(**settings)
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


def _stage_parts(budget: float, stages: Sequence[Mapping[str, Any]]) -> list[tuple[Any, float]]:
    following = [stage["start"] for stage in stages[1:]] + [budget]
    return [(stage["schedule"], min(stop, budget) - stage["start"]) for stage, stop in zip(stages, following, strict=True)]


@declares(cycle_ends=_stage_ends, end=_stages_end, within=_stage_parts)
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
    fixed, dropping, step, exp, decay, triangular, triangular2, exp_range, staged, one_cycle, cosine, cosine_restarts, ramp,
    warmup, linear, wsd, rex, inverse_sqrt, multiplicative
)  # fmt: skip
POLICIES: dict[str, Callable[..., Rates]] = {policy.__name__: policy for policy in _ALL}


def named(policy: str, **settings: Any) -> Schedule:
    """The schedule of a policy of this module, by name: `named("triangular2", base_lr=0.001, max_lr=0.006, step_size=2000)`."""
    if policy in WINDOWS.keys() - POLICIES.keys():
        raise ValueError(f"policy {policy!r} is a window: take policy triangular, or one like it, with window={policy}")
    if policy not in POLICIES:
        raise ValueError(f"policy {policy!r} is unknown: choose one of {', '.join(POLICIES)}")
    return Schedule(POLICIES[policy], settings)
