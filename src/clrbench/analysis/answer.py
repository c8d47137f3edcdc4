"""The suite's answer: what the runs of Table 1 say, and what follows for somebody who has to choose, computed from the records.

README, page and terminal show the same sentences. Where experiment=controls has runs, they say what makes the gain.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from clrbench.analysis.arms import Arm, arms_of
from clrbench.analysis.cases import ORDER, SEEDS
from clrbench.analysis.claims import Claim
from clrbench.analysis.compared import Compared, compared
from clrbench.analysis.decomposition import decomposition_in_words
from clrbench.analysis.pairs import best_of, comparisons, paired
from clrbench.analysis.relations import FAILS, HOLDS
from clrbench.analysis.today import today
from clrbench.analysis.verdicts import Verdict
from clrbench.runs import SOURCES, Run
from clrbench.stats import interval, sign_shown
from clrbench.store import DIVERGED

# The experiment that says why.
CONTROLS = "controls"
# The arm of it that is a fixed rate with the drops of the treatment.
SAME_DROPS = "fixed_drops"
NO_ANSWER = f"No runs bear on the paper's main claim yet: `make sweep EXPERIMENT=table1 SEEDS={SEEDS}` makes them."


@dataclass(frozen=True)
class Answer:
    """What was measured, what follows for a choice, what it rests on: sentences; and the runs that they are about.

    today: what other runs say of policies of today, empty where there are none.
    """

    measured: Sequence[str]
    choice: Sequence[str]
    basis: Sequence[str]
    compared: Compared
    today: Sequence[str] = ()

    @property
    def parts(self) -> list[tuple[str, Sequence[str]]]:
        """The sentences under their headings."""
        parts = [("What the runs show", self.measured), ("To choose", self.choice), ("What this rests on", self.basis)]
        return [*parts, *([("Beside policies of today", self.today)] if self.today else [])]


def answer(runs: Iterable[Run], verdicts: Sequence[Verdict]) -> Answer | None:
    """The answer from the runs that ship, else from a user's own; None where no seed has runs on both sides of the claim."""
    arms = arms_of(runs)
    for source in SOURCES:
        ours = [arm for arm in arms if arm.source == source]
        if found := compared(ours, verdicts):
            measured = [*_reaches(found), _stands(found), _ends(found), *_reproduced(found)]
            controls = _controls(ours, found)
            beside = today(ours, [verdict for verdict in verdicts if verdict.source == source])
            return Answer([line for line in measured if line], _choice(found, controls), _basis(found), found, beside)
    return None


# What a verdict on the main claim answers, where the treatment is the first to reach what both reach.
_SHORT = {HOLDS: "Yes: ", FAILS: "Sooner, but not as high: "}


def _reaches(found: Compared) -> list[str]:
    """How long each takes to the highest accuracy that both reach, and whether it takes a drop of the rate."""
    if found.target is None:
        return []
    mine, rival = (found.needed(arm, found.target) for arm in (found.treatment, found.control))
    short = _SHORT.get(found.verdict.verdict, "") if mine < rival else ""
    reaches = f"{found.treatment.name} reaches {found.target}% test accuracy after {mine:,.0f} iterations"
    spreads = [_spread(found.needed_by_seed(arm, found.target)) for arm in (found.treatment, found.control)]
    return [f"{short}{reaches}{spreads[0]}; {found.rival} needs {rival:,.0f}{spreads[1]}.", *_behind_drops(found, mine, rival)]


def _spread(needed: Sequence[float]) -> str:
    low, high = min(needed), max(needed)
    return f" ({low:,.0f} to {high:,.0f} by seed)" if low < high else ""


def _behind_drops(found: Compared, mine: float, rival: float) -> list[str]:
    """That both get there behind the first drop of their rate, where they do: when that comes is a part of the difference."""
    drops, of_rival = _drops(found.treatment), _drops(found.control)
    if not drops or not of_rival or mine < min(drops) or rival < min(of_rival):
        return []
    first = f"{found.treatment.name} after {min(drops):,} iterations, {found.rival} after {min(of_rival):,}"
    return [f"Both get there behind the first drop of their rate: {first}."]


def _stands(found: Compared) -> str:
    if found.control.iterations == found.budget:
        return ""
    mine, rival = (fmean(values) for values in (found.of_treatment, found.at_budget.values()))
    drops = _drops(found.control)
    before = " before it drops" if drops and min(drops) > found.budget else ""
    stands = f"{found.treatment.name} stands at {mine:.1f}%, {found.rival} at {rival:.1f}%{before}"
    return f"After {found.budget:,} iterations {stands}."


def _ends(found: Compared) -> str:
    steps = " and ".join(f"{drop:,}" for drop in _drops(found.control))
    drops = f"drops after {steps} iterations and " if steps else ""
    rival = fmean(found.control.accuracies[seed] for seed in found.seeds)
    return (
        f"{_capital(found.rival)} {drops}ends {_higher([-value for value in found.ends])} "
        f"after {found.control.iterations:,}, at {rival:.1f}%."
    )


def _drops(arm: Arm) -> Sequence[int]:
    """The iterations after which an arm's rate drops, by itself or with its next stage."""
    policy = arm.runs[0].policy
    return [*policy.get("drops", ()), *(stage["start"] for stage in policy.get("stages", ()) if stage["start"] > 0)]


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
    ends = {HOLDS: "is reproduced", FAILS: "is not reproduced"}.get(outcome, "stays open")
    said = f"The paper's claim that both end equally accurate {ends}."
    if claim.treatment.paper is None:
        return [said]
    mine = fmean(found.of_treatment)
    away = abs(mine - claim.treatment.paper)
    lies = f"within {_margin(claim)} of" if away <= claim.margin else f"further than {_margin(claim)} from"
    stands = f"The mean of {found.treatment.name}, {mine:.2f}%, lies {lies} the paper's {claim.treatment.paper:.1f}%."
    return [stands, *_others(found, claim.margin), said]


def _others(found: Compared, margin: float) -> list[str]:
    """The paper's other numbers of Table 1 that do not come out within the margin."""
    ends = {arm.name: fmean(arm.accuracies.values()) for arm in found.best_first if arm is not found.treatment}
    away = [
        f"{name} {mine:.2f}% (paper: {found.paper[name]:.1f}%)"
        for name, mine in ends.items()
        if name in found.paper and abs(mine - found.paper[name]) > margin
    ]
    return [f"Further away than that are the means of {', '.join(away)}."] if away else []


def _margin(claim: Claim) -> str:
    return "half a point" if claim.margin == 0.5 else f"{claim.margin:g} points"


def _controls(arms: Sequence[Arm], found: Compared) -> Sequence[Arm]:
    """The arms of experiment=controls with the same task and budget, those of the comparison with most runs."""
    able = [arm for arm in arms if arm.experiment == CONTROLS and arm.task == found.treatment.task and arm.accuracies]
    tried = comparisons([arm for arm in able if arm.iterations == found.budget])
    return max(tried, key=lambda rivals: sum(len(arm.accuracies) for arm in rivals), default=[])


def _choice(found: Compared, controls: Sequence[Arm]) -> list[str]:
    """What somebody should do who has the one budget or the other, and why."""
    reasons, equal = decomposition_in_words(controls), _fixed_of_equal_budget(found, controls)
    if reasons:
        lines = [_best_of(controls, found), *reasons]
    else:
        lines = [_between_equals(found, controls, equal) if equal else _between(found), *_beside(found)]
    if found.control.iterations != found.budget:
        lines.append(_longer(found))
    if not reasons:
        cycles = f"the cycles of {found.treatment.name}"
        is_dropped = equal is not None and equal.name == SAME_DROPS
        parts = f"{cycles} or the height of its rate" if is_dropped else f"{cycles}, the height of its rate, or its drops"
        lines.append(f"What makes the gain is open: {parts}. `make sweep EXPERIMENT={CONTROLS} SEEDS={SEEDS}` answers that.")
    return lines


def _fixed_of_equal_budget(found: Compared, controls: Sequence[Arm]) -> Arm | None:
    """The fixed rate that was planned for the treatment's budget: the one with its drops, else the best; None without one."""
    fixed = [arm for arm in controls if arm.is_fixed and paired(_of_controls(found, controls), arm.accuracies)]
    return next((arm for arm in fixed if arm.name == SAME_DROPS), best_of(fixed))


def _of_controls(found: Compared, controls: Sequence[Arm]) -> Mapping[int, float]:
    """The treatment's accuracies within the controls, by seed."""
    return next((arm.accuracies for arm in controls if arm.name == found.treatment.name), {})


def _between_equals(found: Compared, controls: Sequence[Arm], rival: Arm) -> str:
    """The choice between the treatment and a fixed rate of the same budget."""
    what, planned = f"If you train for {found.budget:,} iterations", "a fixed rate planned for that"
    other = f"{planned}, with the same drops" if rival.name == SAME_DROPS else f"{planned} ({rival.name})"
    differences = paired(_of_controls(found, controls), rival.accuracies)
    sign = sign_shown(interval(differences))
    if sign == 0:
        return f"{what}, these runs do not tell {found.treatment.name} from {other}."
    if sign > 0:
        return f"{what}, choose {found.treatment.name}: it ends {_higher(differences)} than {other}."
    return f"{what}, choose {other}: it ends {_higher([-value for value in differences])} than {found.treatment.name}."


def _between(found: Compared) -> str:
    """The choice between the two arms at the treatment's budget."""
    what, sign = f"If you train for {found.budget:,} iterations", sign_shown(interval(found.leads))
    if sign == 0:
        return f"{what}, these runs do not tell {found.treatment.name} from {found.rival}."
    if found.control.iterations != found.budget:
        return (
            f"{what}, {found.treatment.name} is {_higher(found.leads)} than {found.rival} at that point. "
            f"That alone is no proof: this fixed rate was planned for {found.control.iterations:,} iterations, "
            f"and none planned for {found.budget:,} has run."
        )
    if sign > 0:
        return f"{what}, choose {found.treatment.name}: it is {_higher(found.leads)} than {found.rival}."
    return f"{what}, choose {found.rival}: it is {_higher([-value for value in found.leads])} than {found.treatment.name}."


def _beside(found: Compared) -> list[str]:
    """How the treatment ends beside the other arms of Table 1 that have its budget."""
    lines = []
    for arm in found.rivals:
        differences = paired(found.treatment.accuracies, arm.accuracies)
        if arm.iterations == found.budget and arm not in (found.treatment, found.control) and len(differences) > 1:
            lines.append(f"With the same budget, {found.treatment.name} ends {_higher(differences)} than {arm.name}.")
    return lines


def _best_of(controls: Sequence[Arm], found: Compared) -> str:
    """The choice among the controls, all of the treatment's budget; the best is chosen on the same runs."""
    best = best_of(controls)
    same = next((arm for arm in controls if arm.name == found.treatment.name), None)
    assert best is not None
    assert same is not None  # it is one of the decomposition
    what = f"If you train for {found.budget:,} iterations, choose {best.name}"
    mean = fmean(best.accuracies.values())
    tried = f"of the {len(controls)} policies of experiment={CONTROLS} it ends highest, at {mean:.1f}% (chosen on these runs)"
    differences = paired(best.accuracies, same.accuracies)
    if best is same or not differences:
        return f"{what}: {tried}."
    return f"{what}: {tried}, {_higher(differences)} than {same.name}."


def _longer(found: Compared) -> str:
    """The choice at the control's budget."""
    what, sign = f"If you can train for {found.control.iterations:,}", sign_shown(interval(found.ends))
    if sign < 0:
        return (
            f"{what}, choose {found.rival}: it ends higher than {found.treatment.name} after {found.budget:,}. "
            f"{found.treatment.name} itself has not run that long."
        )
    if sign > 0:
        return f"{what}, {found.treatment.name} has ended higher after {found.budget:,} already."
    return f"{what}, these runs do not show that the longer training pays."


def _basis(found: Compared) -> list[str]:
    data, model = found.treatment.task
    order = "in one order, as in the paper" if found.treatment.runs[0].values[ORDER] == "fixed" else "shuffled anew each epoch"
    rate = found.control.runs[0].policy.get("base_lr")
    tuned = f", and the paper's fixed rate ({rate:g}), which nobody tuned anew" if found.control.is_fixed and rate else ""
    lost = {arm.name: arm.count(DIVERGED) for arm in (found.treatment, found.control)}
    diverged = " and ".join(f"{count} of {name}" for name, count in lost.items() if count)
    return [
        f"One net ({model}), one data set ({data}), {len(found.seeds)} seeds a policy, images {order}{tuned}. "
        "Brackets hold 95% intervals over seeds.",
        *([f"Runs that diverged are in none of these numbers: {diverged}."] if diverged else []),
        "Your problem may differ: `python train.py -m experiment=compare data=NAME model=NAME bounds=range_test` compares the "
        "policies on it.",
    ]


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
