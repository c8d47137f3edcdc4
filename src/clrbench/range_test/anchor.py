"""Bounds around the point at which a ramp did best, whatever the metric: the rule of a range test that chose its own range."""

import math
from collections.abc import Sequence

import numpy as np

from clrbench.range_test.advice import LENGTH, more_seeds, range_found, sentence
from clrbench.range_test.curve import Curve, Values
from clrbench.range_test.judge import CLEAR, NONE, WEAK, FoundBounds
from clrbench.range_test.smooth import noise
from clrbench.range_test.spread import by_t

RULE = "best"
# max_lr is so much of the best rate of a ramp, and base_lr so much of max_lr: chosen on the first three problems of
# docs/range_test.md, as is the factor by which half and twice the length and the end of a ramp move the best rate.
_SHARE, _BASE = 0.5, 0.25
FORM = 1.5
_WINDOW, _NOISE, _NARROW = 5, 5.0, 6.0


def place_of_best(curve: Curve) -> tuple[float, int, int] | None:
    """The rate around which the curve, smoothed over five readings, is best, its place and the number of readings.

    None for fewer than five readings.
    """
    rates, scores = _usable(curve)
    if len(rates) < _WINDOW:
        return None
    level = np.convolve(np.pad(scores, _WINDOW // 2, mode="edge"), np.ones(_WINDOW) / _WINDOW, "valid")
    place = int(np.argmax(level))
    return float(rates[place]), place, len(rates)


def anchored(curves: Sequence[Curve], told: Sequence[str] = (), is_given: bool = False) -> FoundBounds:
    """max_lr at half of the rate at which the ramps did best; base_lr a quarter of that.

    curves: one a seed. told: what was found before, for the reasons. is_given: whether the user chose the range. The interval
    is Student's t over the seeds, with half the way to the neighbouring readings and a factor of 1.5, by which another length
    or end of the ramp moves the best rate.
    """
    if never := [curve for curve in curves if curve.monitor and curve.diverged_at is not None and not len(curve.rates)]:
        return refused([*told, _never_finite(never, len(curves), is_given)])
    found = [best for best in map(place_of_best, curves) if best is not None]
    if not found or len(found) < len(curves):
        broken = f"Training broke before {_WINDOW} readings in {len(curves) - len(found)} of {len(curves)} ramps"
        return refused([*told, sentence(broken, range_found(is_given), "check the data and the loss")])
    flat = sum(not rises(curve, place) for curve, (_, place, _) in zip(curves, found, strict=True))
    if 2 * flat > len(curves):
        return refused([*told, _flat(curves[0], is_given)])
    logs = [math.log(rate) for rate, _, _ in found]
    best = float(np.mean(logs))
    spacing = float(np.median([math.log1p(1 / (place + 1)) for _, place, _ in found])) / 2
    low, high = by_t(logs)
    low, high = min(low, *logs) - spacing - math.log(FORM), max(high, *logs) + spacing + math.log(FORM)
    max_lr, ends = _SHARE * math.exp(best), (_SHARE * math.exp(low), _SHARE * math.exp(high))
    doubts = list(_doubts(curves, found, ends, flat, is_given))
    name = curves[0].monitor or ("loss" if np.isfinite(curves[0].losses).any() else "accuracy")
    facts = [
        f"The {name} is best at {math.exp(best):.2g}: max_lr is half of that, base_lr a quarter of max_lr.",
        f"Assumed: a linear ramp from 0. Half or twice its length or end may move max_lr by {FORM:g}: the interval has that.",
    ]
    return FoundBounds(
        _BASE * max_lr,
        max_lr,
        (_BASE * ends[0], _BASE * ends[1]),
        ends,
        WEAK if doubts else CLEAR,
        (*told, *facts, *doubts),
        RULE,
    )


def refused(sentences: Sequence[str]) -> FoundBounds:
    """No bounds, and why."""
    return FoundBounds(None, None, None, None, NONE, tuple(sentences), RULE)


def _usable(curve: Curve) -> tuple[Values, Values]:
    """Rates, and scores of which more is better: the loss where it is known, as it is far less noisy than accuracy."""
    scores = curve.accuracies if curve.mode == "max" else -curve.accuracies
    if curve.monitor is None and np.isfinite(curve.losses).any():
        scores = -curve.losses
    usable = (curve.rates > 0) & np.isfinite(scores)
    return curve.rates[usable], scores[usable]


def rises(curve: Curve, place: int) -> bool:
    """Whether the best reading stands out of the noise of those before it."""
    rates, scores = _usable(curve)
    gain = float(np.median(scores[max(0, place - 1) : place + 2]) - scores[0])
    return gain > _NOISE * noise(np.log(rates[: place + 1]), scores[: place + 1]) / math.sqrt(_WINDOW) and gain > 0


def _never_finite(curves: Sequence[Curve], ramps: int, is_given: bool) -> str:
    """What to say where the first reading of a metric was no number. curves: those without a reading, of so many ramps."""
    rate = min(curve.diverged_at or 0.0 for curve in curves)
    fact = f"In {len(curves)} of {ramps} ramps {curves[0].monitor} was never finite, from the first reading on, at {rate:.2g}"
    return sentence(fact, range_found(is_given), "check the data and what validation_step logs")


def _flat(curve: Curve, is_given: bool) -> str:
    first = _usable(curve)[1][0]
    fact = f"The score hardly improves from where it starts ({abs(first):.3g})"
    return sentence(fact, "give a module that is trained already fresh weights", range_found(is_given) or LENGTH)


def _doubts(
    curves: Sequence[Curve], found: Sequence[tuple[float, int, int]], ends: tuple[float, float], flat: int, is_given: bool
) -> list[str]:
    doubts = []
    if any(place >= number - 1 and curve.diverged_at is None for curve, (_, place, number) in zip(curves, found, strict=True)):
        doubts.append(sentence("A ramp is best at its end; max_lr may be a lower limit", range_found(is_given)))
    if ends[1] / ends[0] > _NARROW * FORM:
        fact = f"The interval of max_lr spans a factor of {ends[1] / ends[0]:.0f}"
        doubts.append(sentence(fact, more_seeds(len(curves))))
    if flat:
        doubts.append(sentence(f"In {flat} of {len(curves)} ramps the score hardly improves", LENGTH))
    return doubts
