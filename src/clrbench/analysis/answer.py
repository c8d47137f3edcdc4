"""The suite's answer: what the runs of Table 1 say, and what follows for somebody who has to choose, computed from the records.

README, page and terminal show the same sentences. Where experiment=controls has runs, they say what makes the gain.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from clrbench.analysis.claims import Claim, Side
from clrbench.analysis.decomposition import decomposition_in_words
from clrbench.analysis.pairs import best_of, comparisons, paired
from clrbench.analysis.runs import SOURCES, Arm, Run, arms_of
from clrbench.analysis.stats import interval
from clrbench.analysis.targets import iterations_to_target, target_curve
from clrbench.analysis.verdicts import FAILS, HOLDS, ORDER, SEEDS, Verdict

# The claim of conf/claims that the paper is known for, and the experiment that says why.
CLAIM, CONTROLS = "C1", "controls"
NO_ANSWER = f"No runs bear on the paper's main claim yet: `make sweep EXPERIMENT=table1 SEEDS={SEEDS}` makes them."


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

    @property
    def at_budget(self) -> dict[int, float]:
        """The control's accuracy when the treatment ends, seed by seed, in percent."""
        return {run.result.seed: _at(run, self.budget) for run in self.of(self.control)}

    @property
    def leads(self) -> list[float]:
        """How much higher the treatment is than the control after the treatment's budget, in points."""
        return paired(self.treatment.accuracies, self.at_budget)


@dataclass(frozen=True)
class Answer:
    """What was measured, what follows for a choice, what it rests on: sentences; and the runs that they are about."""

    measured: Sequence[str]
    choice: Sequence[str]
    basis: Sequence[str]
    compared: Compared

    @property
    def parts(self) -> list[tuple[str, Sequence[str]]]:
        """The sentences under their headings."""
        return [("What the runs show", self.measured), ("To choose", self.choice), ("What this rests on", self.basis)]


def paper_numbers(verdicts: Iterable[Verdict]) -> dict[tuple[str, str], float]:
    """What the paper gives for an arm of an experiment, in percent: {(experiment, arm): number}."""
    return {
        (verdict.experiment, str(side.select["arm"])): side.paper
        for verdict in verdicts
        for side in (verdict.claim.treatment, verdict.claim.control)
        if side.paper is not None and "arm" in side.select
    }


def answer(runs: Iterable[Run], verdicts: Sequence[Verdict]) -> Answer | None:
    """The answer from the runs that ship, else from a user's own; None where no seed has runs on both sides of the claim."""
    arms = arms_of(runs)
    for source in SOURCES:
        ours = [arm for arm in arms if arm.source == source]
        if found := _compared(ours, verdicts):
            measured = [_reaches(found), _stands(found), _ends(found), *_reproduced(found)]
            controls = _controls(ours, found)
            return Answer([line for line in measured if line], _choice(found, controls), _basis(found), found)
    return None


def _compared(arms: Sequence[Arm], verdicts: Sequence[Verdict]) -> Compared | None:
    """Of several comparisons that of most seeds, then that in the paper's order of images, then that of the newest records."""
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
        if verdict.case.treatment == treatment.accuracies and verdict.case.control == control.accuracies
    ]
    able = [compared for compared in found if compared.seeds]
    return max(able, key=lambda one: (len(one.seeds), _order(one.treatment) == "fixed", _schema(one.treatment)), default=None)


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


def _reaches(found: Compared) -> str:
    """How long each takes to the highest accuracy that both reach."""
    if found.target is None:
        return ""
    needed, rival = (found.needed(arm, found.target) for arm in (found.treatment, found.control))
    return (
        f"{found.treatment.name} reaches {found.target}% test accuracy after {needed:,.0f} iterations; "
        f"{found.rival} needs {rival:,.0f}."
    )


def _stands(found: Compared) -> str:
    if found.control.iterations == found.budget:
        return ""
    mine, rival = (fmean(values) for values in (found.of_treatment, found.at_budget.values()))
    return f"After {found.budget:,} iterations {found.treatment.name} stands at {mine:.1f}%, {found.rival} at {rival:.1f}%."


def _ends(found: Compared) -> str:
    drops = [f"{drop:,}" for drop in found.control.runs[0].policy.get("drops", ())]
    after = f", which drops after {' and '.join(drops)} iterations," if drops else ""
    rival = fmean(found.control.accuracies[seed] for seed in found.seeds)
    return (
        f"{_capital(found.rival)}{after} ends {_higher([-value for value in found.ends])} "
        f"after {found.control.iterations:,}, at {rival:.1f}%."
    )


def _higher(differences: Sequence[float]) -> str:
    """By how much something is higher or lower, with the 95% interval."""
    is_lower = fmean(differences) < 0
    values = [-value if is_lower else value for value in differences]
    bounds = interval(values)
    spread = "" if bounds is None else f" [{bounds[0]:.1f}, {bounds[1]:.1f}]"
    return f"{fmean(values):.1f} points{spread} {'lower' if is_lower else 'higher'}"


def _reproduced(found: Compared) -> list[str]:
    """Whether the paper's number comes out again, within the margin of the claim, and whether its claim does."""
    claim, outcome = found.verdict.claim, found.verdict.verdict
    ends = {HOLDS: "is reproduced too", FAILS: "is not reproduced"}.get(outcome, "stays open")
    said = f"Its claim that both end equally accurate {ends}."
    if claim.treatment.paper is None:
        return [said]
    mine = fmean(found.of_treatment)
    away = abs(mine - claim.treatment.paper)
    within = f"reproduced within {_margin(claim)}" if away <= claim.margin else f"not reproduced: {mine:.1f}% here"
    return [f"The paper's {claim.treatment.paper:.1f}% for {found.treatment.name} is {within}.", said]


def _margin(claim: Claim) -> str:
    return "half a point" if claim.margin == 0.5 else f"{claim.margin:g} points"


def _controls(arms: Sequence[Arm], found: Compared) -> Sequence[Arm]:
    """The arms of experiment=controls with the same task and budget, those of the comparison with most runs."""
    able = [arm for arm in arms if arm.experiment == CONTROLS and arm.task == found.treatment.task and arm.accuracies]
    tried = comparisons([arm for arm in able if arm.iterations == found.budget])
    return max(tried, key=lambda rivals: sum(len(arm.accuracies) for arm in rivals), default=[])


def _choice(found: Compared, controls: Sequence[Arm]) -> list[str]:
    """What somebody should do who has the one budget or the other, and why."""
    reasons = decomposition_in_words(controls)
    short = _best_of(controls, found) if reasons else _between(found)
    lines = [short, *reasons]
    if found.control.iterations != found.budget:
        lines.append(_longer(found))
    if not reasons:
        lines.append(
            "Whether the cycles make the gain, the height of the rate or its drops, is open: "
            f"`make sweep EXPERIMENT={CONTROLS} SEEDS={SEEDS}` answers that."
        )
    return lines


def _between(found: Compared) -> str:
    """The choice between the two arms at the treatment's budget."""
    what, bounds = f"If you train for {found.budget:,} iterations", interval(found.leads)
    if bounds is None or bounds[0] <= 0 <= bounds[1]:
        return f"{what}, these runs do not tell {found.treatment.name} from {found.rival}."
    if bounds[0] > 0:
        return f"{what}, choose {found.treatment.name}: it is {_higher(found.leads)} than {found.rival}."
    return f"{what}, choose {found.rival}: it is {_higher([-value for value in found.leads])} than {found.treatment.name}."


def _best_of(controls: Sequence[Arm], found: Compared) -> str:
    """The choice among all policies that were tried at the treatment's budget; the best is chosen on the same runs."""
    best = best_of(controls)
    same = next((arm for arm in controls if arm.name == found.treatment.name), None)
    assert best is not None
    assert same is not None  # it is one of the decomposition
    what = f"If you train for {found.budget:,} iterations, choose {best.name}"
    mean = fmean(best.accuracies.values())
    tried = f"of the {len(controls)} policies tried with this budget it ends highest, at {mean:.1f}%"
    differences = paired(best.accuracies, same.accuracies)
    if best is same or not differences:
        return f"{what}: {tried}."
    return f"{what}: {tried}, {_higher(differences)} than {same.name}."


def _longer(found: Compared) -> str:
    """The choice at the control's budget."""
    bounds = interval(found.ends)
    what = f"If you can train for {found.control.iterations:,}"
    if bounds is not None and bounds[1] < 0:
        return f"{what}, choose {found.rival}: it ends higher than {found.treatment.name} after {found.budget:,}."
    if bounds is not None and bounds[0] > 0:
        return f"{what}, {found.treatment.name} has ended higher after {found.budget:,} already."
    return f"{what}, these runs do not show that the longer training pays."


def _basis(found: Compared) -> list[str]:
    data, model = found.treatment.task
    order = "in one order, as in the paper" if _order(found.treatment) == "fixed" else "shuffled anew each epoch"
    rate = found.control.runs[0].policy.get("base_lr")
    tuned = f", and one fixed rate ({rate:g}) that nobody tuned" if found.control.is_fixed and rate else ""
    return [
        f"One net ({model}), one data set ({data}), {len(found.seeds)} seeds a policy, images {order}{tuned}.",
        "Your problem may answer otherwise: `python train.py -m experiment=compare data=NAME model=NAME` asks it.",
    ]


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
