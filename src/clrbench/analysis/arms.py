"""The arms that runs form: runs of one experiment that differ in nothing but the seed."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clrbench.config import SCREENED
from clrbench.measure import Measure
from clrbench.runs import Run

_FLOAT32 = "float32"
# What tells the data of a comparison from others, beside their name: arms that differ in one of these are no rivals.
_OF_DATA = (
    *("data.sha256", "data.split", "data.evaluate", "data.order", "data.training_images", "data.evaluated_images"),
    *("data.augment", "batch_size", "scale", "version"),
)


@dataclass(frozen=True)
class Arm:
    """Runs of one experiment that differ in nothing but the seed.

    differences: the settings that tell this arm from others of the same name, experiment, data and model.
    """

    source: str
    experiment: str
    differences: Mapping[str, Any]
    runs: Sequence[Run]

    @property
    def label(self) -> str:
        """The name, and behind it the differences."""
        words = _in_words(self.differences)
        return f"{self.name} ({words})" if words else self.name

    @property
    def details(self) -> str:
        """The differences but for budget, data and model, for tables in which these have columns of their own."""
        return _in_words(
            {
                key: value
                for key, value in self.differences.items()
                if not key.startswith("model.") and (_last(key), value) != ("iterations", self.iterations)
            }
        )

    @property
    def name(self) -> str:
        """The line of the comparison, such as `fixed` of table1/fixed; without one, the policy's name."""
        return self.runs[0].result.label

    @property
    def is_fixed(self) -> bool:
        """Whether its policy is one rate, but for drops."""
        return self.runs[0].is_fixed

    @property
    def is_screened(self) -> bool:
        """Whether its bounds are the best of several, chosen on held-out images by other runs than these."""
        return str(self.runs[0].values.get("bounds.origin", "")).startswith(SCREENED)

    @property
    def is_cyclical(self) -> bool:
        """Whether its rate goes in cycles."""
        return bool(self.runs[0].cycle_ends)

    @property
    def comparison(self) -> tuple[object, ...]:
        """What rivals share: source, experiment, data in one form, order and batches, model, optimizer and arithmetic."""
        settings = self.runs[0].settings
        data = tuple(settings.get(key) for key in _OF_DATA)
        return self.source, self.experiment, *self.task, self.optimizer, self.arithmetic, *data, self.measure

    @property
    def measure(self) -> Measure:
        """What its runs are compared by: a run that ended knows, as one that diverged may name the metric of validation."""
        return next(iter(self.finished), self.runs[0]).measure

    @property
    def task(self) -> tuple[str, str]:
        """The names of data set and model."""
        return self.runs[0].result.data, self.runs[0].result.model

    @property
    def optimizer(self) -> str:
        """The name of the solver."""
        return str(self.runs[0].values.get("optimizer.name", ""))

    @property
    def arithmetic(self) -> str:
        """`bfloat16`, `float32 compiled` and the like; empty for plain float32. Arms that differ in it are no rivals."""
        identity = self.runs[0].identity
        name = f"{identity.get('precision', _FLOAT32)}{' compiled' if identity.get('compile') else ''}"
        return "" if name == _FLOAT32 else name

    @property
    def iterations(self) -> int:
        """The budget."""
        iterations: int = self.runs[0].identity["iterations"]
        return iterations

    @property
    def finished(self) -> list[Run]:
        """The runs that have an accuracy."""
        return [run for run in self.runs if run.is_finished]

    @property
    def accuracies(self) -> dict[int, float]:
        """The accuracy in percent at the end of the budget, seed by seed."""
        return {run.result.seed: run.result.value for run in self.finished if run.result.value is not None}

    def count(self, status: str) -> int:
        """How many of the runs ended so."""
        return sum(run.result.status == status for run in self.runs)


def arms_of(runs: Iterable[Run]) -> list[Arm]:
    """Group runs into arms, in the order in which their first runs come."""
    groups: dict[tuple[str, ...], list[Run]] = defaultdict(list)
    for run in runs:
        groups[*_kind(run), repr(sorted(run.settings.items()))].append(run)
    rivals: dict[tuple[str, ...], list[Mapping[str, Any]]] = defaultdict(list)
    for members in groups.values():
        rivals[_kind(members[0])].append(members[0].settings)
    return [_arm(members, rivals[_kind(members[0])]) for members in groups.values()]


def _kind(run: Run) -> tuple[str, ...]:
    """Within which arms are told from each other."""
    result = run.result
    return run.source, result.experiment, result.label, result.data, result.model


def _arm(members: Sequence[Run], rivals: Sequence[Mapping[str, Any]]) -> Arm:
    first = members[0]
    return Arm(first.source, first.result.experiment, _differences(first.settings, rivals), sorted(members, key=_seed))


def _seed(run: Run) -> int:
    return run.result.seed


def _differences(settings: Mapping[str, Any], rivals: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if any(rival.get(key) != value for rival in rivals)}


def _in_words(differences: Mapping[str, Any]) -> str:
    """The differences in words, each by the last part of its key, once; a set's name says more than its checksum."""
    words = [f"{_last(key)}={value}" for key, value in differences.items() if key != "data.sha256"]
    return ", ".join(dict.fromkeys(words))


def _last(key: str) -> str:
    return key.rpartition(".")[2]
