"""From curves to bounds, with a verdict on how far to trust them.

Section 3.3 of the paper finds bounds by eye: base_lr where accuracy starts to rise, max_lr where it first slows, gets
ragged or falls; or max_lr alone, and base_lr a third or a quarter of it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from clrbench.range_test import reasons
from clrbench.range_test.curve import Curve, Readings, mean, readings
from clrbench.range_test.estimate import Estimate, estimate
from clrbench.range_test.spread import Interval, intervals

CLEAR, WEAK, NONE = "clear", "weak", "none"


@dataclass(frozen=True)
class FoundBounds:
    """Two learning rates, base_lr below max_lr, each with its 95% interval; all None where the verdict is `none`.

    verdict: `clear`; `weak`, where they can be used but something is to be doubted; or `none`. reasons: sentences: what was
    seen, then what is doubtful or missing, and what to try. rule: by which they were chosen, one of RULES; not always the one
    that was asked for.
    """

    base_lr: float | None
    max_lr: float | None
    base_interval: Interval | None
    max_interval: Interval | None
    verdict: str
    reasons: tuple[str, ...]
    rule: str

    @property
    def found(self) -> list[tuple[str, float, Interval]]:
        """Name, rate and interval of each bound; nothing where the verdict is `none`."""
        bounds = (("base_lr", self.base_lr, self.base_interval), ("max_lr", self.max_lr, self.max_interval))
        return [(name, rate, interval) for name, rate, interval in bounds if rate is not None and interval is not None]


def _as_seen(found: Estimate) -> Estimate:
    return found


def _divided_by(divisor: float) -> Callable[[Estimate], Estimate]:
    """Max at the best reading, base a share of it: where the curve starts and slows is no longer asked."""
    return lambda found: replace(found, base=found.best - math.log(divisor), max=found.best, disagreement=0.0, early=0.0)


# Where it is not to be seen when a rise starts and slows, its best point still is: the second rule takes the first's place.
FIRST, SECOND = "rise_and_slow", "third"
_CHOICES = {FIRST: _as_seen, SECOND: _divided_by(3), "quarter": _divided_by(4)}
RULES = tuple(_CHOICES)


def judge(curves: Sequence[Curve], classes: int, rule: str = FIRST, is_given: bool = True) -> FoundBounds:
    """The bounds that range tests with one or several seeds show (section 3.3).

    curves: one a seed. classes: how many, so that 1/classes is the accuracy of guessing. rule: `rise_and_slow`, or max at the
    best point and base a `third` or a `quarter` of it; the third is taken, with the verdict `weak`, also where the first rule
    finds nothing on a curve that rises to a best point. is_given: whether the user chose the range, for the advice. Equal
    curves give equal bounds. Raises ValueError for a rule that does not exist.
    """
    if rule not in RULES:
        raise ValueError(f"rule={rule} is unknown: choose one of {', '.join(RULES)}")
    seeds = [readings(curve) for curve in curves]
    together = mean(seeds)
    if missing := reasons.unreadable(together, curves, is_given):
        return _refused(missing, rule)
    finding = _look(together, seeds, classes, rule, is_given)
    undecided = reasons.undecided(finding) if finding else []
    if undecided:
        rule, finding = SECOND, _look(together, seeds, classes, SECOND, is_given)
    if finding is None:
        return _refused(reasons.shapeless(together, classes, len(seeds), is_given), rule)
    if refusals := reasons.refusals(finding):
        return _refused([*undecided, *refusals], rule)
    return _bounds(finding, undecided, rule)


def _look(together: Readings, seeds: Sequence[Readings], classes: int, rule: str, is_given: bool) -> reasons.Finding | None:
    """What a rule sees in the mean curve and in each seed; None where the mean shows no rise."""

    def find(curve: Readings) -> Estimate | None:
        found = estimate(curve, classes)
        return None if found is None else _CHOICES[rule](found)

    found = find(together)
    if found is None:
        return None
    alone = [one for one in map(find, seeds) if one is not None]
    spans = intervals(together, found, alone, find)
    return reasons.Finding(together, classes, found, spans, len(seeds), len(alone), is_given)


def _bounds(finding: reasons.Finding, undecided: Sequence[str], rule: str) -> FoundBounds:
    found, (base_interval, max_interval) = finding.estimate, finding.intervals
    doubts = [*undecided, *reasons.doubts(finding)]
    return FoundBounds(
        math.exp(found.base),
        math.exp(found.max),
        _in_rates(base_interval),
        _in_rates(max_interval),
        WEAK if doubts else CLEAR,
        (*reasons.facts(finding), *doubts),
        rule,
    )


def _refused(sentences: Sequence[str], rule: str) -> FoundBounds:
    return FoundBounds(None, None, None, None, NONE, tuple(sentences), rule)


def _in_rates(interval: Interval) -> Interval:
    low, high = interval
    return math.exp(low), math.exp(high)
