"""What an arm gains over another by paired differences over seeds, and which arms a comparison holds against each other."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from clrbench import stats
from clrbench.analysis.arms import Arm
from clrbench.measure import PERCENT, Measure
from clrbench.stats import ALPHA, BETTER, EQUAL, OPEN, WORSE
from clrbench.store import DIVERGED

# A comparison with fewer fixed rates is one with a rate that nobody tuned.
RATES = 3


@dataclass(frozen=True)
class Lead:
    """An arm beside another of the same comparison: the differences over common seeds, in the unit of their measure."""

    arm: Arm
    other: Arm
    differences: Sequence[float]
    of_fixed: int = 0

    @property
    def words(self) -> str:
        """Which is ahead, by how much, and at which budgets where these differ."""
        measure = self.arm.measure
        mean = measure.sign * (round(fmean(self.differences), 2) if measure.is_percent else fmean(self.differences))
        stands = "is ahead of" if mean > 0 else "is behind" if mean < 0 else "is level with"
        best = f", the best of {self.of_fixed} fixed rates" if self.of_fixed > 1 else ""
        budgets = self.arm.iterations, self.other.iterations
        budgets_in_words = "" if budgets[0] == budgets[1] else f" ({budgets[0]:,} against {budgets[1]:,} iterations)"
        lost = [
            f"; {count} of {len(arm.runs)} runs of {arm.label} diverged"
            for arm in (self.arm, self.other)
            if (count := arm.count(DIVERGED))
        ]
        found = f"{in_words(self.differences, measure)}{self._doubt}{''.join(lost)}"
        return f"{self.arm.label} {stands} {self.other.label}{best}{budgets_in_words}: {found}"

    @property
    def _doubt(self) -> str:
        """What an interval that includes 0 means."""
        bounds = stats.interval(self.differences)
        return "; not shown: the interval includes 0" if bounds and not stats.sign_shown(bounds) else ""


def leads(arms: Sequence[Arm]) -> list[str]:
    """Sentences about each comparison: its best cycles against its best fixed rate, then against what is neither.

    Where there are no cycles or no fixed rate, the best arm against each other one. Where policies were run at several
    budgets each, within each budget.
    """
    return [sentence for rivals in comparisons(arms) for equals in _by_budget(rivals) for sentence in _of_one(equals)]


def _by_budget(rivals: Sequence[Arm]) -> list[Sequence[Arm]]:
    """The arms of each budget, if some policy has several; else all, as budgets that belong to a policy are its choice."""
    budgets = sorted({arm.iterations for arm in rivals})
    if len({(arm.name, arm.iterations) for arm in rivals}) == len({arm.name for arm in rivals}):
        return [rivals]
    return [[arm for arm in rivals if arm.iterations == budget] for budget in budgets]


def _of_one(rivals: Sequence[Arm]) -> list[str]:
    fixed, cycles = [arm for arm in rivals if arm.is_fixed], [arm for arm in rivals if arm.is_cyclical]
    best_fixed, best_cycles = best_of(fixed), best_of(cycles)
    if best_fixed is None or best_cycles is None:
        best = best_of(rivals)
        return [] if best is None else _words(_lead(best, arm) for arm in rivals if arm is not best)
    rates = {rate for arm in fixed if (rate := arm.runs[0].policy.get("base_lr")) is not None}
    others = [arm for arm in rivals if not arm.is_fixed and not arm.is_cyclical]
    sentence = _words([_lead(best_cycles, best_fixed, len(rates)), *(_lead(best_cycles, arm) for arm in others)])
    return sentence if len(rates) >= RATES or best_fixed.is_screened else [*sentence, untuned(rates)]


def untuned(rates: set[float]) -> str:
    """What a comparison with too few fixed rates is worth."""
    tried = " and ".join(f"{rate:g}" for rate in sorted(rates))
    return f"the fixed rate was tried at {tried} alone: this proves nothing for cycles; experiment=compare tries three rates"


def _lead(arm: Arm, other: Arm, of_fixed: int = 0) -> Lead:
    return Lead(arm, other, paired(arm.accuracies, other.accuracies), of_fixed)


def _words(found: Iterable[Lead]) -> list[str]:
    return [lead.words for lead in found if lead.differences]


def comparisons(arms: Sequence[Arm]) -> list[list[Arm]]:
    """The arms that are rivals of each other, in the order in which the first of each come."""
    return [[arm for arm in arms if arm.comparison == key] for key in dict.fromkeys(arm.comparison for arm in arms)]


def best_of(arms: Sequence[Arm]) -> Arm | None:
    """The arm of which the fewest runs diverged and, of equal ones, the mean is best, both over the seeds that all have.

    An arm with half as many seeds as another, or fewer, is not asked, and does not bound the seeds that the others share.
    """
    able = [(arm, _worths(arm)) for arm in arms if arm.accuracies]
    most = max((len(worths) for _, worths in able), default=0)
    asked = [(arm, worths) for arm, worths in able if 2 * len(worths) > most]
    if not asked:
        return None
    shared = set.intersection(*(set(worths) for _, worths in asked))
    return max(asked, key=lambda one: _rank([worth for seed, worth in one[1].items() if seed in shared or not shared]))[0]


def _rank(worths: Sequence[float]) -> tuple[float, float]:
    ended = [worth for worth in worths if math.isfinite(worth)]
    return len(ended) / len(worths), fmean(ended) if ended else -math.inf


def paired(treatment: Mapping[int, float], control: Mapping[int, float]) -> list[float]:
    """The differences over the seeds that both have."""
    return [value - control[seed] for seed, value in treatment.items() if seed in control]


def gains_with_diverged(arm: Arm, other: Arm) -> list[float]:
    """How much better the arm is, seed by seed; infinite where one of the two diverged, without seeds where both did."""
    mine, theirs = (_worths(one) for one in (arm, other))
    pairs = [(mine[seed], theirs[seed]) for seed in mine if seed in theirs]
    return [one - another for one, another in pairs if math.isfinite(one) or math.isfinite(another)]


def _worths(arm: Arm) -> dict[int, float]:
    ended = {seed: arm.measure.sign * value for seed, value in arm.accuracies.items()}
    return {run.result.seed: -math.inf for run in arm.runs if run.result.status == DIVERGED} | ended


def points(differences: Sequence[float]) -> str:
    """Their mean in percentage points and its 95% interval."""
    return PERCENT.differences(differences)


def in_words(differences: Sequence[float], measure: Measure = PERCENT) -> str:
    """The same, and of how many seeds."""
    return f"{measure.differences(differences)}, n = {len(differences)} common seed{'' if len(differences) == 1 else 's'}"


def standing(gains: Sequence[float], margin: float) -> str:
    """What paired gains, each of which is better where it is more, say: BETTER, EQUAL within the margin, WORSE, or OPEN.

    BETTER and WORSE take a 95% interval that excludes 0, EQUAL two one-sided t tests; the exact test has to agree, at 0.05.
    """
    if stats.least_p(len(gains)) > ALPHA:
        return OPEN
    for stands, values in ((BETTER, gains), (WORSE, [-gain for gain in gains])):
        if max(2 * stats.p_above(values), stats.exact_p_above(values)) <= ALPHA:
            return stands
    within = max(stats.p_within(gains, margin, test) for test in (stats.p_above, stats.exact_p_above))
    return EQUAL if within <= ALPHA else OPEN
