"""What a decision is asked: the task, the budget and the families, and which run each of its trials is."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from clrbench.config import Config, Decide, check_fields
from clrbench.decision.trials import CYCLICAL, FIXED, OTHER, Candidate, Family, Rules, Trial
from clrbench.errors import ConfigError
from clrbench.measure import PERCENT, Measure
from clrbench.range_test.records import rounded
from clrbench.runs import Run, is_constant
from clrbench.spec import Spec, without_places

EXPERIMENT = "decide"
# What a decision chooses itself, and what to say in its place.
_CHOSEN = {
    "seed": "leave it out",
    "arm": "name the arms in decide.families=[...]",
    "policy": "name an arm with it in decide.families=[...]",
    "data.evaluate": "leave it out",
    "scale": "say the budget itself, as in iterations='8 epochs'",
    "bounds.times": "say bounds.max_lr, the first peak",
    "experiment": "leave it out, and say its data and model",
}


# What differs from candidate to candidate, and what runs need not know.
_OF_CANDIDATES = ("bounds", "decide.", "league.", "experiment=")


@dataclass(frozen=True)
class Question:
    """specs: of each family, at the bounds of the configuration. typed: the task and all else that every run has in common.

    first_peak: the rate of rung 0. measure: what runs are compared by, with the margin of the decision.
    """

    typed: Sequence[str]
    specs: Mapping[Family, Spec]
    measure: Measure
    rules: Rules
    ratio: float
    first_peak: float

    @property
    def families(self) -> list[Family]:
        """In the order in which they were named."""
        return list(self.specs)

    @property
    def config(self) -> Config:
        """That of one of the runs."""
        return next(iter(self.specs.values())).config

    @property
    def asked(self) -> list[str]:
        """All that its answer depends on, in the form in which it is typed, defaults included where the decision takes them."""
        families, looks = (",".join(map(str, ones)) for ones in (map(self.arm, self.families), self.rules.looks))
        return [
            *without_places(self.typed[1:]),
            f"decide.families=[{families}]",
            f"decide.looks=[{looks}]",
            f"decide.margin={self.measure.margin:g}",
            f"decide.ratio={self.ratio:g}",
            f"bounds.max_lr={self.first_peak:g}",
        ]

    @property
    def iterations(self) -> int:
        """The budget of every run."""
        return next(iter(self.specs.values())).iterations

    def peak(self, candidate: Candidate) -> float:
        """Its bounds.max_lr."""
        return rounded(self.first_peak * 2.0**candidate.rung)

    def base(self, candidate: Candidate) -> float:
        """Its bounds.base_lr."""
        return rounded(self.peak(candidate) / self.ratio)

    def overrides(self, candidate: Candidate) -> list[str]:
        """What is typed for a run of it, without the seed."""
        bounds = [f"bounds.base_lr={self.base(candidate):g}", f"bounds.max_lr={self.peak(candidate):g}"]
        return [*self.typed, f"arm={self.arm(candidate.family)}", *bounds]

    def arm(self, family: Family) -> str:
        """The arm that it is."""
        return str(self.specs[family].config.arm)

    def of_trial(self, trial: Trial) -> tuple[str, ...]:
        """The overrides of its run."""
        held_out = [] if trial.is_final or self.config.task.is_own else ["data.evaluate=validation"]
        return (*self.overrides(trial.candidate), f"seed={trial.seed}", *held_out)

    def worth(self, trial: Trial, run: Run) -> float:
        """How good its run is, more being better; minus infinity where it diverged."""
        value = run.result.value if trial.is_final or not run.is_finished else run.end
        return -math.inf if value is None else self.measure.sign * value


def check_typed(typed: Sequence[str], experiment: str = EXPERIMENT) -> None:
    """Refuse what a decision chooses itself. Raises ConfigError."""
    for text in typed:
        key, _, value = text.partition("=")
        if (instead := _CHOSEN.get(key.lstrip("+"))) and (key, value) != ("experiment", experiment):
            raise ConfigError(f"{text}: a decision chooses {key} itself: {instead}")
        if key.lstrip("+").startswith("policy."):
            instead = "set it in an arm of your own, and name that in decide.families"
            raise ConfigError(f"{text}: a decision compares policies: {instead}")


def asked(
    typed: Sequence[str], decide: Decide, spec_of: Callable[[Sequence[str]], Spec], experiment: str = EXPERIMENT
) -> Question:
    """The question that was typed; its grids lie around bounds.max_lr. Raises ConfigError for one that has no answer.

    spec_of: the run of overrides. experiment: that its runs belong to.
    """
    _check(decide)
    shared = [text for text in typed if not text.lstrip("+").startswith(_OF_CANDIDATES)]
    bounds = _with_base([text for text in typed if text.startswith("bounds")], decide.ratio)
    specs = [spec_of([*shared, *bounds, f"arm={arm}"]) for arm in decide.families]
    config = specs[0].config
    measure = _measure(config, decide)
    question = Question(
        [f"experiment={experiment}", *shared],
        {Family(spec.label, kind_of(spec)): spec for spec in specs},
        measure,
        Rules(measure.margin, looks=tuple(decide.looks)),
        decide.ratio,
        config.bounds.max_lr,
    )
    if len(question.families) < len(specs):
        raise ConfigError("decide.families names two arms alike: give each arm file another name")
    if len({family.kind for family in question.families}) < 2:
        raise ConfigError(f"decide.families are all {question.families[0].kind}: name one of another kind too, as decide/fixed")
    return question


def _with_base(bounds: Sequence[str], ratio: float) -> list[str]:
    """What was typed of the bounds; beside a peak with the base_lr of the decision, in the place of any that no run takes."""
    peak = next((text for text in reversed(bounds) if text.startswith("bounds.max_lr=")), None)
    try:
        base = None if peak is None else float(peak.partition("=")[2]) / ratio
    except ValueError:  # which is said with all else that is wrong with the configuration
        base = None
    if base is None:
        return list(bounds)
    return [*(text for text in bounds if not text.startswith("bounds.base_lr=")), f"bounds.base_lr={base:g}"]


def with_first_peak(question: Question, peak: float) -> Question:
    """The same, whose grid lies around another peak."""
    return replace(question, first_peak=peak)


def kind_of(spec: Spec) -> str:
    """One of the kinds of families."""
    if is_constant(spec.identity["policy"]):
        return FIXED
    return CYCLICAL if spec.schedule.cycle_ends(spec.iterations) else OTHER


def _check(decide: Decide) -> None:
    check_fields(decide, "decide.")
    if len(decide.families) < 2:
        raise ConfigError("decide.families names fewer than two arms: there is nothing to decide")
    looks = list(decide.looks)
    if not looks or looks != sorted(set(looks)) or looks[0] < 3:
        raise ConfigError(f"decide.looks={looks} are no numbers of seeds: write them ascending, from 3 up, as [5,8,12]")


def _measure(config: Config, decide: Decide) -> Measure:
    task = config.task
    found = Measure(str(task.monitor), str(task.mode), task.unit, task.margin) if task.is_own else PERCENT
    margin = found.margin if decide.margin is None else decide.margin
    if not margin > 0:
        raise ConfigError(
            f"task.margin is open: say the least difference of {found.metric} that counts, as in task.margin=0.02, so that the "
            "decision can end at a difference that does not matter"
        )
    return replace(found, margin=margin)
