"""Why bounds are to be trusted, doubted or refused, in sentences that say what to try: see advice."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from clrbench.range_test.advice import LENGTH, more_seeds, range_found, sentence
from clrbench.range_test.curve import Curve, Readings
from clrbench.range_test.estimate import LEAST_RISE, RISE_TO_NOISE, Estimate, shape_of
from clrbench.range_test.spread import Interval

LEAST_POINTS = 5
# Detectors that differ by a larger factor do not agree, and an interval that spans a larger one is wide; by a factor of
# _FAR, or for an interval to either side, a bound is not known at all.
_AGREE, _NARROW, _FAR = math.log(3), math.log(4), math.log(10)
# So much of the rise before the lowest reading: base is in doubt, or not to be seen.
_SOME, _MOST = 0.25, 0.5
# A rise of fewer times the noise lets chance move a bound by a factor of three.
_DISTINCT = 12.0
# The share of the seeds that must show bounds by themselves.
_ENOUGH = 0.8
_LEAST_STEPS, _LEAST_CYCLE = 3, math.log(1.5)
_CHECK = "check the data"


@dataclass(frozen=True)
class Finding:
    """What there is to judge: the mean curve with its estimate, the intervals, and how many seeds show bounds by themselves.

    is_given: whether the user chose the range.
    """

    curve: Readings
    classes: int
    estimate: Estimate
    intervals: tuple[Interval, Interval]
    seeds: int
    alone: int
    is_given: bool = True

    @property
    def chance(self) -> float:
        """The accuracy of guessing, in percent."""
        return 100 / self.classes


def unreadable(seen: Readings, curves: Sequence[Curve], is_given: bool) -> list[str]:
    """Why there is too little to look at; empty where there is enough."""
    if len(seen.x) >= LEAST_POINTS:
        return []
    ends = [curve.diverged_at for curve in curves if curve.diverged_at is not None]
    if ends:
        fact = f"Training diverged at {_rate(min(ends))} after {len(seen.x)} readings, of which {LEAST_POINTS} are needed"
        return [sentence(fact, range_found(is_given) or LENGTH, _CHECK)]
    return [sentence(f"There are {len(seen.x)} readings at rates above 0, of which {LEAST_POINTS} are needed", LENGTH)]


def shapeless(seen: Readings, classes: int, seeds: int, is_given: bool) -> list[str]:
    """Why a curve shows no bounds at all."""
    chance = 100 / classes
    shape = shape_of(seen, chance)
    rise, start = shape.top - shape.floor, math.exp(seen.x[0])
    if shape.rises:
        fact = f"Accuracy is best at {_rate(math.exp(seen.x[shape.best]))}, by reading {shape.best + 1}: too early"
        return [sentence(fact, range_found(is_given) or LENGTH)]
    if shape.floor - chance >= max(LEAST_RISE, RISE_TO_NOISE * shape.noise):
        return [
            f"Accuracy is {shape.floor:.0f}% from the lowest rate, {_rate(start)}, and hardly rises (guessing: {chance:.0f}%).",
            "Either the weights are trained already, or a class has that share, or the rates are far too low or too high.",
            sentence("If neither weights nor classes explain it", range_found(is_given) or LENGTH),
        ]
    if rise >= LEAST_RISE <= shape.top - chance:
        return [
            f"Accuracy rises by {rise:.1f} points, which does not stand out of a noise of {shape.noise:.1f} points a reading.",
            sentence("The noise hides it", more_seeds(seeds), "evaluate on more images"),
        ]
    never = f"Accuracy never rises: it stays near {shape.top:.0f}% (guessing: {chance:.0f}%)."
    breaks = f"breaks after {_rate(math.exp(seen.x[shape.best]))}"
    fate = breaks if shape.breaks_after is not None or seen.diverged else f"does not break up to {_rate(math.exp(seen.x[-1]))}"
    return [never, sentence(f"Training {fate}", range_found(is_given) or LENGTH, _CHECK)]


def undecided(finding: Finding) -> list[str]:
    """Why it is not to be seen where a rise to a best point starts or slows, and what is done about it; empty where it is."""
    found, low = finding.estimate, math.exp(finding.curve.x[0])
    if found.early >= _MOST:
        why = f"At the lowest rate, {_rate(low)}, accuracy has made {found.early:.0%} of its rise: where it starts is not seen."
        attempt = range_found(finding.is_given) or LENGTH
    elif found.disagreement > _FAR:
        why = f"The detectors of where the rise starts and slows differ by a factor of {math.exp(found.disagreement):.0f}."
        attempt = more_seeds(finding.seeds)
    else:
        return []
    first = f"; for the first, {attempt}" if attempt else ""
    return [why, f"So the paper's second rule: max_lr at the best point, base_lr a third of it{first}."]


def refusals(finding: Finding) -> list[str]:
    """Why bounds that were found are not to be used at all; empty where they can be."""
    found = finding.estimate
    if found.max <= found.base:
        return [
            f"Accuracy breaks at {_rate(math.exp(found.max))}, before the rise that starts at {_rate(math.exp(found.base))}.",
            sentence("To see both", range_found(finding.is_given) or LENGTH),
        ]
    if _width(finding.intervals) > 2 * _FAR:
        return [
            sentence(
                f"Other seeds may put a bound elsewhere by a factor of {math.exp(_width(finding.intervals) / 2):.0f}",
                more_seeds(finding.seeds),
            )
        ]
    return []


def doubts(finding: Finding) -> list[str]:
    """What is doubtful about bounds that can be used; empty where nothing is."""
    return list(_doubts(finding))


def _doubts(finding: Finding) -> Iterable[str]:
    found, shape, x = finding.estimate, finding.estimate.shape, finding.curve.x
    low, high = math.exp(x[0]), math.exp(x[-1])
    above = shape.floor - finding.chance
    other_range, seeds = range_found(finding.is_given), more_seeds(finding.seeds)
    if not found.slowed:
        yield sentence(f"Accuracy still rises at the end of the range, {_rate(high)}; max_lr is a lower limit", other_range)
    elif shape.breaks_after is None and (found.max < found.best or shape.best == len(x) - 1):
        yield sentence(f"Accuracy slows but does not break up to {_rate(high)}; higher rates may do", other_range)
    if found.early >= _SOME:
        yield sentence(
            f"At the lowest rate, {_rate(low)}, accuracy has made {found.early:.0%} of its rise; base_lr is an upper limit",
            other_range or LENGTH,
        )
    if above > 0 and above >= _SOME * (shape.top - finding.chance):
        yield (
            f"Before it rises accuracy is {shape.floor:.0f}% already (guessing: {finding.chance:.0f}%): either classes differ "
            "in size, or lower rates learn too."
        )
    if shape.top - shape.floor < _DISTINCT * shape.noise:
        fact = f"The noise of a reading, {shape.noise:.1f} points, is large for a rise of {shape.top - shape.floor:.0f}"
        yield sentence(fact, seeds, "evaluate on more images")
    if found.disagreement > _AGREE:
        yield sentence(f"The detectors differ by a factor of {math.exp(found.disagreement):.1f}", seeds)
    if finding.alone < _ENOUGH * finding.seeds:
        yield sentence(f"Only {finding.alone} of {finding.seeds} seeds show bounds by themselves", seeds)
    if _width(finding.intervals) > _NARROW:
        yield sentence(f"The interval of a bound spans a factor of {math.exp(_width(finding.intervals)):.1f}", seeds)
    if found.steps < _LEAST_STEPS:
        yield sentence(f"Few readings, {found.steps}, lie from base_lr to max_lr", LENGTH)
    if found.max - found.base < _LEAST_CYCLE:
        yield "The bounds are so close that a cycle hardly differs from a fixed rate."


def facts(finding: Finding) -> list[str]:
    """What the curve shows."""
    found, shape = finding.estimate, finding.estimate.shape
    best, last = _rate(math.exp(found.best)), shape.breaks_after
    fate = "does not break" if last is None else f"breaks after {_rate(math.exp(finding.curve.x[last]))}"
    agreement = f"; the detectors agree within a factor of {math.exp(found.disagreement):.1f}" if found.disagreement else ""
    return [
        f"Accuracy rises from {shape.floor:.0f}% to {shape.top:.0f}%, is best at {best} and {fate}.",
        f"Noise: {shape.noise:.1f} points a reading{agreement}.",
    ]


def _width(intervals: tuple[Interval, Interval]) -> float:
    return float(np.max([high - low for low, high in intervals]))


def _rate(rate: float) -> str:
    return f"{rate:.2g}"
