"""The league on the page: a heat map of gains, profiles, ranks and the peaks that were found."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl

from clrbench.league.rows import Row
from clrbench.league.scores import TaskGain
from clrbench.league.standing import REFERENCE, WITHIN, Standing, edges, standings
from clrbench.measure import Measure
from clrbench.report import svg
from clrbench.report.league import budget, count, main_sentences, score_text, sentences
from clrbench.report.palette import COLOURS, OTHER
from clrbench.stats import BETTER, WORSE

# From how many margins on a cell of the heat map has the next darker colour.
_SHADES = (1.0, 2.0, 4.0)


@dataclass(frozen=True)
class EndedLeague:
    """A league whose runs have ended. source: `shipped` or `yours`."""

    source: str
    rows: Sequence[Row]

    @cached_property
    def standings(self) -> list[Standing]:
        """One a budget."""
        return standings(self.rows)


def section(league: EndedLeague, anchor: str) -> dict[str, Any]:
    """What the page shows of a league."""
    return {
        "anchor": anchor,
        "origin": league.source,
        "budgets": [_budget(standing, league.rows, anchor) for standing in league.standings],
        "hours": sum(row.seconds for row in league.rows) / 3600,
        "runs": len(league.rows),
    }


def in_short(league: EndedLeague) -> list[str]:
    """What a league says of the whole budget, for an answer of a few sentences."""
    standing = league.standings[0]
    length = (
        f"{len(standing.policies)} policies on {len(standing.tasks)} small tasks of several kinds, each at its own tuned peak"
    )
    return [f"The league ({length}, {standing.seeds} seeds, {budget(standing.part)}) says:", *main_sentences(standing)]


def gains_frame(standing: Standing) -> pl.DataFrame:
    """A row a task: what the fixed rate reaches, and the gain of every other policy, as text."""
    rows = []
    for task in (_task(standing, at) for at in range(len(standing.tasks))):
        cells = [f"{cell['text']} ({cell['interval']})" if cell["interval"] else cell["text"] for cell in task["cells"]]
        rows.append([f"{task['name']} ({task['metric']})", task["fixed"], *cells])
    names = ["task", REFERENCE, *(policy for policy in standing.policies if policy != REFERENCE)]
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")


def ranks_frame(standing: Standing) -> pl.DataFrame:
    """A row a policy, the best first, as text."""
    rows = [list(row.values()) for row in _ranks(standing)]
    names = ["policy", "mean rank", "a task left out", "as good as the best", "time to fixed", "better", "worse"]
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")


def _budget(standing: Standing, rows: Sequence[Row], anchor: str) -> dict[str, Any]:
    far = {(task, policy) for task, policy, _ in edges(rows, standing.part)}
    return {
        "title": budget(standing.part).capitalize(),
        "sentences": list(sentences(standing)),
        "policies": [policy for policy in standing.policies if policy != REFERENCE],
        "tasks": [_task(standing, at) for at in range(len(standing.tasks))],
        "standing": list(_ranks(standing)),
        "profile": profile(standing, f"{anchor}-profile-{standing.part}"),
        "entries": list(standing.policies),
        "peaks": [
            {"task": task, "cells": [_peak(standing, task, policy, far) for policy in standing.policies]}
            for task in standing.tasks
        ],
    }


def _task(standing: Standing, at: int) -> dict[str, Any]:
    task = standing.tasks[at]
    reference = standing.of(task, REFERENCE)
    measure = reference[0].measure
    values = [row.value for row in reference if row.value is not None]
    return {
        "name": task,
        "metric": measure.heading,
        "fixed": measure.value(sum(values) / len(values)) if values else "diverged",
        "cells": [_cell(gain, measure) for gain in standing.gains[at] if gain is not None],
    }


def _cell(gain: TaskGain, measure: Measure) -> dict[str, str]:
    if math.isnan(gain.mean):
        return {"text": "diverged", "interval": "", "shade": "", "verdict": gain.verdict}
    shade = sum(abs(gain.mean) >= edge for edge in _SHADES)
    digits = max(0, 1 - math.floor(math.log10(measure.margin)))  # two of the margin's
    low, mean, high = (f"{value * measure.margin:+.{digits}f}" for value in (gain.low, gain.mean, gain.high))
    kind = f"{'up' if gain.mean > 0 else 'down'}{shade}" if shade else ""
    return {"text": mean, "interval": f"{low} to {high}", "shade": kind, "verdict": gain.verdict}


def _ranks(standing: Standing) -> Iterator[dict[str, str]]:
    for at in sorted(range(len(standing.policies)), key=lambda place: standing.ranks[place].value):
        policy = standing.policies[at]
        out = [] if standing.without_each is None else standing.without_each[:, at].tolist()
        yield {
            "policy": policy,
            "rank": score_text(standing.ranks[at], ".1f"),
            "left_out": f"{min(out):.1f} to {max(out):.1f}" if len(out) else "",
            "as_good": score_text(standing.as_good[at], ".0%"),
            "speed": score_text(standing.speeds[at], ".0%"),
            "better": "" if policy == REFERENCE else str(count(standing, policy, BETTER)),
            "worse": "" if policy == REFERENCE else str(count(standing, policy, WORSE)),
        }


def _peak(standing: Standing, task: str, policy: str, far: set[tuple[str, str]]) -> dict[str, Any]:
    return {"text": f"{standing.of(task, policy)[0].max_lr:.2g}", "is_edge": (task, policy) in far}


def profile(standing: Standing, anchor: str) -> str:
    """An SVG: the share of tasks on which each policy is within so many margins of the best."""
    axes = svg.Axes(46, 40, 430, 230, (0, WITHIN[-1]), (0, 100))
    title = "Share of tasks (%) by how far below the best policy"
    parts = [svg.words(4, 18, title), axes.clip(anchor)]
    parts += [axes.rule(value, f"{value}") for value in (0, 25, 50, 75, 100)]
    parts += [axes.tick(value, f"{value:g}") for value in (0, 1, 2, 4, 6, 8)]
    parts.append(svg.words(axes.left + axes.width, axes.bottom + 35, "margins below the best", "end", "soft"))
    ends: list[tuple[float, str, str, str]] = []
    for policy, shares in zip(standing.policies, standing.profiles, strict=True):
        colour = _colour(policy)
        dash = svg.DASHES[[COLOURS[end[2]] for end in ends].count(COLOURS[colour]) % len(svg.DASHES)]
        parts.append(axes.line(WITHIN, [100 * share.value for share in shares], colour, 2, anchor, dash))
        ends.append((100 * shares[WITHIN.index(1.0)].value, policy, colour, dash))
    ends.sort(reverse=True)
    for place, (share, policy, colour, dash) in enumerate(ends):
        y = axes.top + 12 + place * 22
        key = svg.sample(axes.left + 446, y - 4, 24, colour, 3, dash)
        parts += [key, svg.words(axes.left + 478, y, f"{policy} {share:.0f}% at 1")]
    said = "; ".join(f"{policy} {share:.0f}%" for share, policy, *_ in ends)
    return svg.document(700, 316, title, f"Within one margin: {said}.", parts)


def _colour(policy: str) -> str:
    name = {"fixed_drops": "step"}.get(policy, policy)
    return name if name in COLOURS else OTHER
