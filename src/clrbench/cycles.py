"""Cyclical policies, and those that decline exponentially: the window of a cycle, its decay, and what decays.

Sections are those of Smith, "Cyclical Learning Rates for Training Neural Networks", arXiv:1506.01186.
"""

from typing import Annotated, Any

import numpy as np
from numpy.typing import ArrayLike

from clrbench.settings import (
    Length,
    OptionalLength,
    OptionalShare,
    Rate,
    Rates,
    above,
    declares,
    every_cycle,
    one_of,
)

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


@declares(check=above("base_lr"), cycle_ends=every_cycle)
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


@declares(check=above("base_lr"), cycle_ends=every_cycle)
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
    above("base_lr")(**settings)
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
