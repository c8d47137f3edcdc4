"""The two arms of the paper's main claim, side by side: what the answer's sentences and its picture are made of."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from clrbench.analysis.arms import Arm
from clrbench.analysis.cases import ORDER
from clrbench.analysis.claims import Side
from clrbench.analysis.pairs import comparisons, paired
from clrbench.analysis.targets import iterations_to_target, target_curve
from clrbench.analysis.verdicts import Verdict
from clrbench.runs import Run

# The claim of conf/claims that the paper is known for.
CLAIM = "C1"


@dataclass(frozen=True)
class Compared:
    """The two arms of the claim that share most seeds, the arms of Table 1 that ran beside them, and the verdict.

    paper: the paper's numbers in percent, {name of an arm: number}.
    """

    treatment: Arm
    control: Arm
    rivals: Sequence[Arm]
    verdict: Verdict
    paper: Mapping[str, float]

    @property
    def best_first(self) -> list[Arm]:
        """The finished arms of Table 1."""
        able = [arm for arm in self.rivals if arm.accuracies]
        return sorted(able, key=lambda arm: -fmean(arm.accuracies.values()))

    @property
    def seeds(self) -> list[int]:
        """The seeds that both arms have finished."""
        return [seed for seed in self.treatment.accuracies if seed in self.control.accuracies]

    @property
    def budget(self) -> int:
        """The treatment's, in iterations."""
        return self.treatment.iterations

    @property
    def rival(self) -> str:
        """What a reader calls the control."""
        return "the fixed rate" if self.control.is_fixed else self.control.name

    def of(self, arm: Arm) -> list[Run]:
        """The arm's runs with the common seeds."""
        return [run for run in arm.finished if run.result.seed in self.seeds]

    @property
    def of_treatment(self) -> list[float]:
        """The treatment's accuracies at the end of its budget, in percent."""
        return [self.treatment.accuracies[seed] for seed in self.seeds]

    @property
    def ends(self) -> list[float]:
        """How much higher the treatment ends than the control, seed by seed, each at the end of its own budget, in points."""
        return [self.treatment.accuracies[seed] - self.control.accuracies[seed] for seed in self.seeds]

    @property
    def target(self) -> int | None:
        """The highest whole percent that all runs of both arms reach; None where there is none."""
        courses = [run.course for arm in (self.treatment, self.control) for run in self.of(arm)]
        able = (
            target for target in range(100, 0, -1) if all(math.isfinite(iterations_to_target(one, target)) for one in courses)
        )
        return next(able, None)

    def needed(self, arm: Arm, target: int) -> float:
        """The median over the common seeds of the arm's iterations to the target."""
        return float(target_curve([run.course for run in self.of(arm)], [target])["median"][0])

    def needed_by_seed(self, arm: Arm, target: int) -> list[float]:
        """The arm's iterations to the target, by common seed; infinite where it isn't reached."""
        return [iterations_to_target(run.course, target) for run in self.of(arm)]

    @property
    def at_budget(self) -> dict[int, float]:
        """The control's accuracy when the treatment ends, seed by seed, in percent."""
        return {run.result.seed: _at(run, self.budget) for run in self.of(self.control)}

    @property
    def leads(self) -> list[float]:
        """How much higher the treatment is than the control after the treatment's budget, in points."""
        return paired(self.treatment.accuracies, self.at_budget)


def paper_numbers(verdicts: Iterable[Verdict]) -> dict[tuple[str, str], float]:
    """What the paper gives for an arm of an experiment, in percent: {(experiment, arm): number}."""
    return {
        (verdict.experiment, str(side.select["arm"])): side.paper
        for verdict in verdicts
        for side in (verdict.claim.treatment, verdict.claim.control)
        if side.paper is not None and "arm" in side.select
    }


def compared(arms: Sequence[Arm], verdicts: Sequence[Verdict]) -> Compared | None:
    """What can be compared of the arms of one source, None where no seed has runs on both sides.

    Of several comparisons that with most seeds, then that in the paper's order of images, then that of the newest records.
    """
    numbers = paper_numbers(verdicts)
    found = [
        Compared(treatment, control, rivals, verdict, _of_arms(rivals, numbers))
        for verdict in verdicts
        if verdict.claim.id == CLAIM and verdict.experiment == verdict.claim.experiments[0]
        for rivals in comparisons([arm for arm in arms if _is_of(arm, verdict)])
        for treatment in rivals
        for control in rivals
        if _is(treatment, verdict.claim.treatment) and _is(control, verdict.claim.control)
        # The verdict on these very runs.
        if _ended(verdict.case.treatment) == treatment.accuracies and _ended(verdict.case.control) == control.accuracies
    ]
    able = [compared for compared in found if compared.seeds]
    return max(able, key=lambda one: (len(one.seeds), _order(one.treatment) == "fixed", _schema(one.treatment)), default=None)


def _ended(values: Mapping[int, float]) -> dict[int, float]:
    """Those of runs that did not diverge."""
    return {seed: value for seed, value in values.items() if math.isfinite(value)}


def _of_arms(arms: Sequence[Arm], numbers: Mapping[tuple[str, str], float]) -> dict[str, float]:
    kinds = {arm.name: (arm.experiment, arm.runs[0].result.arm or "") for arm in arms}
    return {name: numbers[kind] for name, kind in kinds.items() if kind in numbers}


def _is_of(arm: Arm, verdict: Verdict) -> bool:
    setting = {key: value for key, value in verdict.claim.setting.items() if key != ORDER}
    return arm.experiment == verdict.experiment and all(arm.runs[0].values.get(key) == value for key, value in setting.items())


def _is(arm: Arm, side: Side) -> bool:
    return all(arm.runs[0].values.get(key) == value for key, value in side.select.items())


def _order(arm: Arm) -> object:
    return arm.runs[0].values[ORDER]


def _schema(arm: Arm) -> int:
    return arm.runs[0].schema


def _at(run: Run, iteration: int) -> float:
    """The accuracy at the last evaluation up to an iteration; before the first one, that of the first."""
    return [value for at, value in run.course if at <= iteration or at == run.course[0][0]][-1]
