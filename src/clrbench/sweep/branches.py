"""Runs that begin alike, trained once: the longest leaves a checkpoint where a shorter one parts from it.

With policy=wsd the shorter ones are cooldowns branched off one stable run; with policy=multiplicative, or any other whose rates
do not depend on the budget, they are its first part.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from clrbench.identity import digits
from clrbench.spec import RunSpec
from clrbench.sweep.cells import Cell


def parting(trunk: RunSpec, branch: RunSpec) -> int | None:
    """The last evaluation up to which both are one and the same run, and behind which the shorter goes on; None if none is."""
    now = np.arange(branch.iterations)
    differ = trunk.schedule(now) != branch.schedule(now)
    alike = min(int(differ.argmax()) if differ.any() else branch.iterations, branch.iterations - 1)
    points = [point for point in branch.evaluation_points if point <= alike]
    is_one_grid = points == [point for point in trunk.evaluation_points if point <= alike]
    return points[-1] if points and is_one_grid else None


def branched(cells: Sequence[Cell], specs: Sequence[RunSpec | None]) -> list[Cell]:
    """The cells, each of which knows the longer run that it begins like, and that run where to leave a checkpoint for it.

    specs: what each cell runs, None for one that cannot be run.
    """
    kin = defaultdict(list)
    for at, spec in enumerate(specs):
        if spec is not None:
            others = {key: value for key, value in spec.identity.items() if key not in ("iterations", "policy")}
            kin[spec.config.experiment, digits(others)].append((spec, at))
    made = list(cells)
    for runs in kin.values():
        runs.sort(key=lambda run: run[0].iterations)
        for place, (spec, at) in enumerate(runs):
            for longer, trunk in reversed(runs[place + 1 :]):
                point = parting(longer, spec)
                if point is not None and longer.iterations > spec.iterations and made[trunk].trunk is None:
                    made[at] = dataclasses.replace(made[at], trunk=made[trunk].work, begins=point)
                    made[trunk] = _with_branch(made[trunk], point, made[at])
                    break
    return made


def _with_branch(trunk: Cell, point: int, branch: Cell) -> Cell:
    assert trunk.job is not None
    job = dataclasses.replace(trunk.job, branches=[*trunk.job.branches, (point, str(branch.work))])
    return dataclasses.replace(trunk, job=job)


def saved(cells: Sequence[Cell]) -> str | None:
    """What branching saves, in one line."""
    points = [point for cell in cells if cell.job is not None for point, _ in cell.job.branches]
    if not points:
        return None
    return f"{len(points)} runs go on from checkpoints of longer ones that begin alike: {sum(points):,} iterations fewer"
