"""What the runs say of policies of today, and of what cycles are used for today: sentences from the claims of later papers."""

from collections.abc import Sequence
from statistics import fmean

from clrbench.analysis.arms import Arm
from clrbench.analysis.pairs import best_of, comparisons, paired
from clrbench.analysis.relations import FAILS, HOLDS, INCONCLUSIVE
from clrbench.analysis.verdicts import Verdict
from clrbench.measure import PERCENT
from clrbench.stats import interval, sign_shown

RIVALS, SCREENING = "rivals", "rivals_screening"
# Seeds of a screening below which chance may choose the peaks.
ENOUGH = 3
# The families of conf/claims that hold them.
FAMILIES = (RIVALS, "averaging", "budgets")
_SAID = {HOLDS: "hold", FAILS: "fail"}


def today(arms: Sequence[Arm], verdicts: Sequence[Verdict]) -> list[str]:
    """Which policy ends highest at its own peak, and the verdict on each claim; `arms` and `verdicts` are of one source."""
    ours = [arm for arm in arms if arm.experiment in FAMILIES and arm.accuracies]
    able = comparisons([arm for arm in ours if arm.experiment == RIVALS and arm.is_screened])
    most = max(able, key=lambda rivals: sum(len(arm.accuracies) for arm in rivals), default=[])
    said = [*_highest(most), *(_screened_by_few(arms) if most else []), *_verdicts(verdicts)]
    return [*said, _where(ours)] if said else []


def _highest(rivals: Sequence[Arm]) -> list[str]:
    """The policy that ends highest, and its lead over the next, the cycles and the fixed rates; it is chosen on these runs."""
    best = best_of(rivals)
    if best is None or len(rivals) < 2 or len({arm.iterations for arm in rivals}) > 1:
        return []
    others = [(arm, lead) for arm in rivals if arm is not best and (lead := paired(best.accuracies, arm.accuracies))]
    if not others:
        return []
    next_best, *rest = sorted(others, key=lambda other: fmean(other[1]))
    told = [next_best, *(other for other in rest if other[0].is_cyclical or other[0].is_fixed)]
    beside = [f"{PERCENT.differences(lead)} beside {arm.name}" for arm, lead in told]
    is_open = not any(sign_shown(interval(lead)) for _, lead in told)
    doubt = "; none of these leads is shown, as no interval leaves out 0" if is_open else ""
    return [
        f"Of {len(rivals)} policies, each at the best peak that held-out images chose, {best.name} ends highest "
        f"after {best.iterations:,} iterations, at {fmean(best.accuracies.values()):.1f}% (chosen on these runs): "
        f"{', '.join(beside)}{doubt}."
    ]


def _screened_by_few(arms: Sequence[Arm]) -> list[str]:
    """A warning where so few seeds chose the peaks that chance may have chosen them."""
    fewest = min((len(arm.accuracies) for arm in arms if arm.experiment == SCREENING and arm.accuracies), default=0)
    if not 0 < fewest < ENOUGH:
        return []
    return [f"{fewest} seed{'' if fewest == 1 else 's'} chose each peak, which is few: another choice may change this order."]


def _where(arms: Sequence[Arm]) -> str:
    """The nets and data behind the sentences."""
    tasks = dict.fromkeys(
        f"{arm.task[1]} on {arm.runs[0].config['images']['training']:,} images of {arm.task[0]}" for arm in arms
    )
    return f"All this is from {' and '.join(tasks)}; the papers train larger nets on more."


def _verdicts(verdicts: Sequence[Verdict]) -> list[str]:
    """A sentence for each verdict: what holds first, then what fails, both as measured, then what stays open."""
    found = {
        verdict.claim.id: verdict
        for verdict in sorted(verdicts, key=lambda one: len(one.case.values))
        if verdict.case.family.name in FAMILIES and verdict.case.values and not verdict.has_too_few_seeds
    }
    said = {
        outcome: [f"{one.claim.says} ({_because(one)})" for one in found.values() if one.verdict == outcome]
        for outcome in _SAID
    }
    settled = [
        f"Claims of later papers that {_SAID[outcome]} here: {'; '.join(ones)}." for outcome, ones in said.items() if ones
    ]
    undecided = sum(verdict.verdict == INCONCLUSIVE for verdict in found.values())
    return [*settled, f"{undecided} more such claims are inconclusive."] if undecided else settled


def _because(verdict: Verdict) -> str:
    """What was measured and, of a claim that fails, why that is too little."""
    why = verdict.relation.why_settled(verdict.claim, verdict.verdict) if verdict.verdict == FAILS else ""
    return f"{verdict.measured}: {why}" if why else verdict.measured
