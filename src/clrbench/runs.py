"""The runs below a results folder that have ended: those that ship with the project, and a user's own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from clrbench import schedules
from clrbench.errors import ClrbenchError
from clrbench.measure import PERCENT, Measure
from clrbench.schedules import Schedule
from clrbench.schema import SCHEMA
from clrbench.store import FINISHED, Evaluation, Record, Result, records

# The two folders below results/: never mixed in one statistic.
EVIDENCE, OWN = "evidence", "runs"
SOURCES = (EVIDENCE, OWN)
# Public names of policies with one rate, but for drops.
_CONSTANT = ("fixed", "step")
# That of the policy that drops another, which it has as `schedule`.
_DROPPING = "dropping"


@dataclass(frozen=True)
class Run:
    """A run that has ended: how, and with which settings. `source` is the folder below results/ that it lies in."""

    source: str
    record: Record
    result: Result
    config: Mapping[str, Any]

    @property
    def identity(self) -> Mapping[str, Any]:
        """All that decides the run's numbers."""
        identity: Mapping[str, Any] = self.config["identity"]
        return identity

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        """The identity without the seed, flat: {dotted key: value}. Runs with equal settings belong to one arm.

        `schema` is among them where it is an older one: its images had another order.
        """
        older = {} if self.schema == SCHEMA else {"schema": self.schema}
        return {key: value for key, value in leaves(self.identity).items() if key != "seed"} | older

    @property
    def schema(self) -> int:
        """The schema that the record was written in."""
        return int(self.config.get("schema", SCHEMA))

    @cached_property
    def values(self) -> Mapping[str, Any]:
        """The whole configuration, flat: {dotted key: value}."""
        usual = {"scale": 1, "data.order": "shuffled"}
        return {**usual, **leaves({key: value for key, value in self.config.items() if key != "identity"})}

    @cached_property
    def course(self) -> list[tuple[int, float]]:
        """(iteration, value of the run's metric) at each evaluation. Raises ClrbenchError for a damaged evals.csv."""
        return [(row.iteration, row.metrics[self.evaluated]) for row in self.evaluations]

    @property
    def evaluated(self) -> str:
        """The name of what each evaluation measures; a task of a user's own may end with a test loop that has another."""
        return str((self.config.get("task") or {}).get("monitor") or self.result.metric)

    @property
    def end(self) -> float | None:
        """Where the course ends: the result, unless a test loop found that."""
        return self.result.value if self.evaluated == self.result.metric else self.course[-1][1]

    @property
    def is_of_images(self) -> bool:
        """Whether it is the suite's own task, of which the claims of the paper are."""
        return "task" not in self.config

    @cached_property
    def measure(self) -> Measure:
        """What the run is compared by."""
        result, task = self.result, self.config.get("task") or {}
        margin = PERCENT.margin if self.is_of_images else float(task.get("margin") or 0)
        return Measure(result.metric, result.mode, result.unit, margin)

    @cached_property
    def evaluations(self) -> list[Evaluation]:
        """The rows of evals.csv. Raises ClrbenchError for a file that is no such table."""
        return self.record.evaluations()

    @property
    def is_finished(self) -> bool:
        """Whether the run reached the end of its budget."""
        return self.result.status == FINISHED

    @cached_property
    def schedule(self) -> Schedule | None:
        """The rate of every iteration: see recorded_schedule."""
        return recorded_schedule(self.identity)

    @property
    def policy(self) -> Mapping[str, Any]:
        """The policy's settings; of one that drops another, those of the other."""
        return without_drops(self.identity.get("policy", {}))

    @property
    def is_fixed(self) -> bool:
        """Whether its policy is one rate, but for drops. All that is said of "the fixed rate" rests on this."""
        return is_constant(self.policy)

    @cached_property
    def cycle_ends(self) -> list[int]:
        """The iterations at which cycles end; empty where the policy has none, or comes from outside the package."""
        return self.schedule.cycle_ends(self.result.iterations) if self.schedule else []


def without_drops(policy: Mapping[str, Any]) -> Mapping[str, Any]:
    """A policy's settings, by public names; of one that drops another, those of the other."""
    dropped: Mapping[str, Any] = policy.get("schedule", policy) if policy.get("_target_") == _DROPPING else policy
    return dropped


def is_constant(policy: Mapping[str, Any]) -> bool:
    """Whether a policy, by its public name, is one rate, but for drops."""
    return without_drops(policy).get("_target_") in _CONSTANT


def read_runs(results: Path, sources: Sequence[str] = SOURCES) -> tuple[list[Run], list[str]]:
    """All runs below `results` that have ended, in the order of source, experiment and name; and what could not be read.

    sources: those of SOURCES to read. What was never run for a fault in its settings has no identity, and is left out. Of
    records of one run, as of folders copied between machines, the first is read.
    """
    found: dict[tuple[str, str, str], Run] = {}
    faults: list[str] = []
    for source in sources:
        for folder in sorted((results / source).glob("[!.]*/")):
            for record in records(folder):
                try:
                    runs = [whole(run) for run in run_of(record, source)]
                except ClrbenchError as error:
                    faults.append(str(error))
                    continue
                for run in runs:
                    first = found.setdefault((source, run.result.experiment, run.result.name), run)
                    faults += [] if first is run else [_copied(run, first)]
    return list(found.values()), faults


def _copied(run: Run, first: Run) -> str:
    """What is said of a record that is left out, as that of the same run has been read."""
    mine, other = ((one.result.status, one.result.value) for one in (run, first))
    differs = "" if mine == other else f", though it says {_ended(run)} and the other {_ended(first)}"
    return f"{run.record.folder}: is a copy of {first.record.folder}: left out{differs}"


def _ended(run: Run) -> str:
    return run.result.shown_value if run.is_finished else run.result.status


def run_of(record: Record, source: str) -> list[Run]:
    """The run of a record, none where it has not ended or never had settings. Raises ClrbenchError for a damaged record."""
    result = record.result()
    if result is None:
        return []
    config = record.config()
    return [Run(source, record, result, config)] if isinstance(config.get("identity"), Mapping) else []


def whole(run: Run) -> Run:
    """The run, where its evaluations are whole. Raises ClrbenchError where a finished one lacks any, or holds one twice."""
    if run.is_finished and (fault := _fault_of(run)):
        raise ClrbenchError(
            f"{run.record.folder / 'evals.csv'}: {fault}: bring the file back, or move its folder elsewhere and "
            "run its command again"
        )
    return run


def _fault_of(run: Run) -> str | None:
    """What the evaluations of a finished run are not."""
    if not (run.evaluations and all(run.evaluated in row.metrics for row in run.evaluations)):
        return f"lacks {run.evaluated}"
    iterations = [row.iteration for row in run.evaluations]
    if any(after <= before for before, after in pairwise(iterations)):
        return "holds an iteration twice, or out of order"
    return (
        None if iterations[-1] == run.result.iterations else f"ends at {iterations[-1]} of {run.result.iterations} iterations"
    )


def leaves(node: Any, key: str = "") -> dict[str, Any]:
    """Nested settings as {dotted key: value}."""
    if not isinstance(node, Mapping):
        return {key: node}
    return {name: value for child, item in node.items() for name, value in leaves(item, f"{key}.{child}".lstrip(".")).items()}


def recorded_schedule(identity: Mapping[str, Any]) -> Schedule | None:
    """The rate of every iteration; None for a policy from outside the package, as records are data and never code."""
    node = identity.get("policy")
    return _schedule(node, identity.get("scale", 1)) if isinstance(node, Mapping) else None


def _schedule(node: Mapping[str, Any], scale: float = 1.0) -> Schedule | None:
    policy = schedules.POLICIES.get(str(node.get("_target_")))
    settings = {key: value for key, value in node.items() if key not in ("name", "_target_")}
    if policy is None:
        return None
    try:
        if "schedule" in settings:
            settings["schedule"] = _schedule(settings["schedule"])
        if "stages" in settings:
            stages = [{"start": stage["start"], "schedule": _schedule(stage["schedule"])} for stage in settings["stages"]]
            settings["stages"] = stages
        return Schedule(policy, settings, scale)
    except (KeyError, TypeError, ValueError):
        return None
