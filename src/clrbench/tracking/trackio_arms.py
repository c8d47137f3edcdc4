"""A line an arm for Trackio, which takes no means itself: at each evaluation, the mean over the arm's seeds."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean
from typing import Any

from clrbench.store import FINISHED

# Behind the name of an experiment's project: that of its arms.
SUFFIX = "--arms"


@dataclass(frozen=True)
class Point:
    """The values at an evaluation, and when it was."""

    iteration: int
    time: datetime
    values: Mapping[str, float]


@dataclass(frozen=True)
class ShownCurve:
    """What Trackio shows of a run, or of an arm. `arm` is the same for runs that differ in nothing but the seed."""

    points: Sequence[Point]
    config: Mapping[str, Any]
    arm: str


def arm_of(name: str, identity: Mapping[str, Any]) -> str:
    """The name of the arm to which the run of this name and identity belongs: ARM-ITERATIONS-mean-DIGITS."""
    settings = {key: value for key, value in identity.items() if key != "seed"}
    digits = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:6]
    stem = name.rpartition("-s")[0] or name
    return f"{stem}-mean-{digits}"


def mean(curves: Sequence[ShownCurve]) -> ShownCurve:
    """The mean over the finished runs of an arm, or over all while none is; where each of them has been evaluated.

    What not all of them measured is left out. Seeds that come later would else bend the line where they join it.
    """
    taken = [curve for curve in curves if curve.config["status"] == FINISHED] or curves
    by_iteration = [{point.iteration: point for point in curve.points} for curve in taken if curve.points]
    shared = sorted(set.intersection(*map(set, by_iteration))) if by_iteration else []
    points = [_mean_point([points[iteration] for points in by_iteration]) for iteration in shared]
    config = {key: value for key, value in taken[0].config.items() if key != "seed"}
    return ShownCurve(points, {**config, "seeds": len(by_iteration)}, taken[0].arm)


def _mean_point(points: Sequence[Point]) -> Point:
    names = [name for name in points[0].values if all(name in point.values for point in points)]
    values = {name: fmean(point.values[name] for point in points) for name in names}
    return Point(points[0].iteration, max(point.time for point in points), values)
