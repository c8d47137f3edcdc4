"""From the rows of the league to its scores, for each budget by itself."""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from statistics import fmean

import numpy as np

from clrbench.league.rows import Row
from clrbench.league.scores import (
    Array,
    Score,
    TaskGain,
    behind_best,
    gains,
    leaving_one_out,
    mean_ranks,
    speeds,
    winners_everywhere,
    with_interval,
    within,
)

# What every entry is held against, as its family is called.
REFERENCE = "fixed"
WITHIN = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
_AS_GOOD = WITHIN.index(1.0)


@dataclass(frozen=True)
class Standing:
    """The league with one budget, from rows of finals that are whole. part: of the tasks' budgets, as 3 of a third.

    tasks, policies: in the order of the arrays. left_out: which others are not among them, and why.
    """

    part: int
    tasks: Sequence[str]
    policies: Sequence[str]
    rows: Mapping[tuple[str, str], Sequence[Row]]
    left_out: Sequence[str] = ()

    def of(self, task: str, policy: str) -> Sequence[Row]:
        """The final's rows, by seed."""
        return self.rows[task, policy]

    @property
    def reference(self) -> int:
        """Where the fixed rate stands among the policies."""
        return list(self.policies).index(REFERENCE)

    @property
    def seeds(self) -> int:
        """Those of the final."""
        return len(next(iter(self.rows.values())))

    @cached_property
    def worths(self) -> Array:
        """(tasks, policies, seeds), in margins: see scores."""
        return np.array([[[_worth(row) for row in self.of(task, policy)] for policy in self.policies] for task in self.tasks])

    @cached_property
    def shares(self) -> Array:
        """(tasks, policies, seeds): the share of the budget at which a run reaches the fixed rate's end; infinity if never."""
        goals = {task: _goal(self.of(task, REFERENCE)) for task in self.tasks}
        return np.array(
            [[[_share(row, goals[task]) for row in self.of(task, policy)] for policy in self.policies] for task in self.tasks]
        )

    @cached_property
    def gains(self) -> Sequence[Sequence[TaskGain | None]]:
        """Of each task and policy beside the fixed rate."""
        return gains(self.worths, self.reference)

    @cached_property
    def ranks(self) -> Sequence[Score]:
        """The mean rank of each policy."""
        return with_interval(self.worths, mean_ranks)

    @cached_property
    def profiles(self) -> Sequence[Sequence[Score]]:
        """Of each policy the share of tasks WITHIN so many margins of the best."""
        columns = [with_interval(self.worths, partial(within, margins=margins)) for margins in WITHIN]
        return list(zip(*columns, strict=True))

    @property
    def as_good(self) -> Sequence[Score]:
        """Of each policy the share of tasks on which it is within the margin of the best."""
        return [shares[_AS_GOOD] for shares in self.profiles]

    @cached_property
    def speeds(self) -> Sequence[Score]:
        """Of each policy the share of the budget to the fixed rate's end."""
        return with_interval(self.shares, speeds)

    @cached_property
    def without_each(self) -> Array | None:
        """(tasks, policies): mean ranks without each task; None where there is but one."""
        return leaving_one_out(self.worths) if len(self.tasks) > 1 else None

    @property
    def winners(self) -> Sequence[str]:
        """The policies that no other beats by more than the margin on any task."""
        return [self.policies[at] for at in winners_everywhere(self.worths)]

    def tasks_as_good(self, policy: str) -> int:
        """On how many tasks a policy is within the margin of the best."""
        return int((behind_best(self.worths)[:, list(self.policies).index(policy)] <= 1).sum())

    def kind(self, policy: str) -> str:
        """The kind of a policy's family."""
        return self.of(self.tasks[0], policy)[0].kind

    def places_of(self, kind: str) -> Sequence[int]:
        """Where the policies of a kind stand among all."""
        return [at for at, policy in enumerate(self.policies) if self.kind(policy) == kind]

    def tasks_where(self, verdict: str, kind: str) -> Sequence[str]:
        """The tasks on which some policy of a kind has a verdict."""
        places = self.places_of(kind)
        return [
            task
            for task, cells in zip(self.tasks, self.gains, strict=True)
            if any((gain := cells[at]) is not None and gain.verdict == verdict for at in places)
        ]


def standings(rows: Sequence[Row]) -> list[Standing]:
    """One a budget, the whole first; of each the tasks and policies that make most cells without a gap."""
    return [made for part in sorted({row.part for row in rows}) if (made := _standing(rows, part)) is not None]


def _standing(rows: Sequence[Row], part: int) -> Standing | None:
    found = _whole_finals(rows, part)
    tasks, policies = _without_gaps(found)
    if REFERENCE not in policies or not tasks:
        return None
    lacking = {task: [policy for policy in _policies_of(found) if (task, policy) not in found] for task in _tasks_of(found)}
    left_out = [
        *(f"{task} lacks {' and '.join(lacking[task])}" for task in _tasks_of(found) if task not in tasks),
        *(f"{policy} is not on every task" for policy in _policies_of(found) if policy not in policies),
    ]
    of_tasks = {(task, policy): found[task, policy] for task in tasks for policy in policies}
    return Standing(part, tasks, policies, of_tasks, left_out)


def _whole_finals(rows: Sequence[Row], part: int) -> dict[tuple[str, str], list[Row]]:
    """{(task, policy): rows by seed}, of those with the seeds that most have."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.is_final and row.part == part:
            found.setdefault((row.task, row.policy), []).append(row)
    by_seed = {cell: sorted(members, key=lambda row: row.seed) for cell, members in found.items()}
    seeds = Counter(tuple(row.seed for row in members) for members in by_seed.values()).most_common(1)
    return {cell: members for cell, members in by_seed.items() if tuple(row.seed for row in members) == seeds[0][0]}


def _tasks_of(cells: Iterable[tuple[str, str]]) -> list[str]:
    return list(dict.fromkeys(task for task, _ in cells))


def _policies_of(cells: Iterable[tuple[str, str]]) -> list[str]:
    return list(dict.fromkeys(policy for _, policy in cells))


def _without_gaps(cells: Collection[tuple[str, str]]) -> tuple[list[str], list[str]]:
    """Tasks and policies, the reference among them, of which every cell is there, as many as make most cells."""
    counts = Counter(policy for _, policy in cells)
    blocks = []
    for least in sorted(set(counts.values())):
        policies = [policy for policy in _policies_of(cells) if counts[policy] >= least or policy == REFERENCE]
        tasks = [task for task in _tasks_of(cells) if all((task, policy) in cells for policy in policies)]
        blocks.append((tasks, policies))
    return max(blocks, key=lambda block: (len(block[0]) * len(block[1]), len(block[0])), default=([], []))


def _worth(row: Row) -> float:
    return -math.inf if row.value is None else row.measure.sign * row.value / row.margin


def _goal(reference: Sequence[Row]) -> float:
    """The fixed rate's mean at the end on validation data; where it diverged, nothing reaches it."""
    ends = [row.held_out for row in reference if row.held_out is not None]
    return fmean(ends) if ends else math.inf * reference[0].measure.sign


def _share(row: Row, goal: float) -> float:
    reached = (iteration for iteration, value in row.course if row.measure.sign * value >= row.measure.sign * goal)
    return next(reached, math.inf) / row.iterations


def edges(rows: Sequence[Row], part: int) -> list[tuple[str, str, float]]:
    """(task, policy, peak) of finals whose peak lies at the edge of the grid that was tried."""
    tried: dict[tuple[str, str], set[float]] = {}
    finals: dict[tuple[str, str], float] = {}
    for row in rows:
        if row.part == part:
            key = (row.task, row.policy)
            tried.setdefault(key, set()).add(row.max_lr)
            if row.is_final:
                finals[key] = row.max_lr
    ends = {key: (min(peaks), max(peaks)) for key, peaks in tried.items() if len(peaks) > 1}
    return [(*key, peak) for key, peak in finals.items() if peak in ends.get(key, ())]
