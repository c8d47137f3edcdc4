"""The picture of a decision: a panel a family, the metric against the peak on held-out data, and finalists on fresh seeds."""

import math
from collections.abc import Iterator, Sequence

from clrbench.decision.trials import CYCLICAL, FIXED, OTHER, Candidate, Family
from clrbench.report import svg
from clrbench.report.decision import Decided

_COLUMNS, _LEFT, _WIDTH, _HEIGHT, _GAP, _TOP = 3, 62, 190, 110, 78, 70
# The colour of each kind, by a policy of it.
_COLOURS = {FIXED: "fixed", OTHER: "cosine", CYCLICAL: "triangular2"}
# Of the values, from the best down, that the axis shows: a peak at which training fails would flatten all others.
_SHOWN = 0.7


def picture(decided: Decided) -> str:
    """An SVG, three panels in a row."""
    families = [family for family in decided.conclusion.price if decided.peaks(family)]
    span = _span(decided, families)
    rates = [math.log2(peak) for family in families for peak in decided.peaks(family)]
    x = (min(rates) - 0.3, max(rates) + 0.3)
    parts = [svg.words(4, 18, f"{decided.measure.heading}, against the peak, on held-out data, seed 1")]
    parts.append(svg.words(4, 36, "diamonds: the finalists, on fresh seeds", kind="soft"))
    for place, family in enumerate(families):
        row, column = divmod(place, _COLUMNS)
        left, top = _LEFT + column * (_WIDTH + _LEFT), _TOP + row * (_HEIGHT + _GAP)
        parts += _panel(decided, family, svg.Axes(left, top, _WIDTH, _HEIGHT, x, span))
    rows = math.ceil(len(families) / _COLUMNS)
    title = f"Which policy for {decided.task[1]} on {decided.task[0]}, {decided.iterations:,} iterations"
    said = f"The answer: {decided.conclusion.verdict}, {decided.named(decided.conclusion.chosen)}."
    width = _COLUMNS * (_WIDTH + _LEFT) + 12
    return svg.document(width, _TOP + rows * (_HEIGHT + _GAP) - 30, title, said, parts)


def _panel(decided: Decided, family: Family, axes: svg.Axes) -> Iterator[str]:
    peaks, colour, clip = decided.peaks(family), _COLOURS[family.kind], f"panel-{axes.left:.0f}-{axes.top:.0f}"
    chosen = " (the answer)" if family == decided.conclusion.chosen.family else ""
    yield svg.words(axes.left, axes.top - 8, f"{family.name}{chosen}")
    yield axes.clip(clip)
    for value in _ticks(axes.y):
        yield axes.rule(value, f"{value:.4g}")
    for place, peak in enumerate(peaks):
        if place % 2 == 0:
            yield axes.tick(math.log2(peak), f"{peak:.2g}")
    yield axes.line([math.log2(peak) for peak in peaks], list(peaks.values()), colour, 2, clip)
    for one, value in _ends(decided):
        if one.family == family:
            yield axes.mark(math.log2(decided.bounds[one][1]), value, colour)


def _span(decided: Decided, families: Sequence[Family]) -> tuple[float, float]:
    values = [value for family in families for value in decided.peaks(family).values()]
    values.sort(key=lambda value: decided.measure.sign * value)
    shown = [*values[-max(2, round(_SHOWN * len(values))) :], *(value for _, value in _ends(decided))]
    edge = max(0.05 * (max(shown) - min(shown)), 1e-9)
    return min(shown) - edge, max(shown) + edge


def _ends(decided: Decided) -> list[tuple[Candidate, float]]:
    """The mean value of each finalist over its fresh seeds, without those that diverged."""
    final = decided.state.final
    assert final is not None
    means = [(one, final.worths(one, final.seeds[one])) for one in final.finalists]
    return [(one, decided.measure.sign * sum(worths) / len(worths)) for one, worths in means if -math.inf not in worths]


def _ticks(span: tuple[float, float]) -> list[float]:
    """Round values, about three."""
    low, high = span
    step = 10 ** math.floor(math.log10((high - low) / 2))
    step *= 5 if (high - low) / step > 10 else 2 if (high - low) / step > 4 else 1
    return [step * number for number in range(math.ceil(low / step), math.floor(high / step) + 1)]
