"""How a decision is made: group sequential bounds, peaks, the race, the final, and the price of tuning."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import ndtr, stdtrit

from clrbench.decision.conclusion import CYCLE, KEEP, Conclusion, conclusion_of
from clrbench.decision.final import Final
from clrbench.decision.peaks import is_at_the_edge, next_rung
from clrbench.decision.race import Noise, flat_rungs, noise, not_clearly_worse, regret_bound
from clrbench.decision.sequential import bounds, repeated_interval
from clrbench.decision.strategy import FINAL, OVER, PEAKS, RACE, DecisionState, state_of
from clrbench.decision.trials import CYCLICAL, FIXED, OTHER, Candidate, Family, Rules, Trial
from clrbench.decision.tuning import expected_best
from clrbench.decision.worlds import World, expected_runs
from clrbench.decision.worlds import played as played_in
from clrbench.stats import BETTER, EQUAL, OPEN, WORSE

LOOKS = (5, 8, 12)
FIXED_RATE, DROPS = Family("fixed", FIXED), Family("fixed_drops", FIXED)
LINEAR, CYCLES = Family("linear", OTHER), Family("triangular2", CYCLICAL)
FAMILIES = [CYCLES, LINEAR, FIXED_RATE, DROPS]
RULES = Rules(margin=0.5)


# Group sequential bounds


@pytest.mark.parametrize(
    ("looks", "published"),
    [  # Lan and DeMets' function of O'Brien and Fleming's kind at 0.05, two-sided, as the R package ldbounds tabulates it
        ((1, 2), (2.963, 1.969)),
        ((1, 2, 3), (3.710, 2.511, 1.993)),
        ((1, 2, 3, 4, 5), (4.877, 3.357, 2.680, 2.290, 2.031)),
    ],
)
def test_the_bounds_are_the_published_ones(looks: tuple[int, ...], published: tuple[float, ...]) -> None:
    assert bounds(looks, 0.05) == pytest.approx(published, abs=1e-3)


def test_a_single_look_is_the_usual_test() -> None:
    assert bounds((12,), 0.05) == pytest.approx([1.959964], abs=1e-6)


def test_small_samples_without_a_difference_reject_in_about_the_level() -> None:
    worths = np.random.default_rng(0).normal(size=(100_000, LOOKS[-1]))
    rejected = np.zeros(len(worths), bool)
    for number, bound in zip(LOOKS, bounds(LOOKS, 0.05), strict=True):
        seen = worths[:, :number]
        t = seen.mean(1) / (seen.std(1, ddof=1) / math.sqrt(number))
        rejected |= abs(t) > -stdtrit(number - 1, ndtr(-bound))
    assert rejected.mean() == pytest.approx(0.05, abs=0.004)


def test_the_repeated_interval_narrows_from_look_to_look() -> None:
    differences = [0.3, 0.1, 0.2, 0.4, 0.2, 0.1, 0.3, 0.2, 0.2, 0.3, 0.1, 0.4]
    widths = [high - low for low, high in (repeated_interval(differences[:number], LOOKS, 0.05) for number in LOOKS)]
    assert widths == sorted(widths, reverse=True)


# Peaks


@pytest.mark.parametrize(
    ("worths", "following"),
    [
        ({-1: 90.0, 0: 92.0, 1: 91.0}, None),
        ({-1: 90.0, 0: 91.0, 1: 92.0}, 2),
        ({-1: 92.0, 0: 91.0, 1: 90.0}, -2),
        ({-1: 92.0, 0: 92.0, 1: 90.0}, None),
        ({-1: -math.inf, 0: -math.inf, 1: -math.inf}, -2),
        ({-2: 93.0, -1: 92.0, 0: 91.0, 1: 90.0}, None),
    ],
)
def test_the_grid_grows_where_its_edge_is_the_best(worths: dict[int, float], following: int | None) -> None:
    assert next_rung(worths, most=2) == following


def test_a_best_at_the_edge_is_told_from_one_within() -> None:
    assert is_at_the_edge({-1: 92.0, 0: 91.0, 1: 90.0})
    assert not is_at_the_edge({-1: 90.0, 0: 91.0, 1: 90.0})


# The race


def candidates(number: int) -> list[Candidate]:
    return [Candidate(FIXED_RATE, rung) for rung in range(number)]


def drawn(means: list[float], deviation: float, seeds: int, random: np.random.Generator) -> dict[Candidate, dict[int, float]]:
    """Worths with an effect of the seed that all share."""
    shared = random.normal(0, 5, seeds)
    rows = np.array(means)[:, None] + shared + random.normal(0, deviation, (len(means), seeds))
    return {one: dict(enumerate(row, start=1)) for one, row in zip(candidates(len(means)), rows.tolist(), strict=True)}


def test_the_noise_is_found_beside_what_seeds_share() -> None:
    found = noise(drawn([90.0] * 400, 0.3, 2, np.random.default_rng(0)), (1, 2))
    assert found is not None
    assert (found.deviation, found.degrees) == (pytest.approx(0.3, rel=0.1), 399)


def test_no_noise_is_known_of_one_candidate() -> None:
    assert noise(drawn([90.0], 0.3, 2, np.random.default_rng(0)), (1, 2)) is None


def test_the_race_drops_the_truly_best_in_at_most_its_error() -> None:
    random, lost = np.random.default_rng(0), 0
    for _ in range(1000):
        values = drawn([90.0] * 6, 0.3, 2, random)
        found = noise(values, (1, 2))
        firsts = {one: {1: worths[1]} for one, worths in values.items()}
        lost += candidates(6)[0] not in not_clearly_worse(firsts, found, 0.05)
    assert lost / 1000 <= 0.05


def test_a_clearly_worse_candidate_and_one_that_diverged_stop() -> None:
    best, close, worse, diverged = candidates(4)
    values = {best: {1: 92.0}, close: {1: 91.8}, worse: {1: 80.0}, diverged: {1: -math.inf}}
    assert not_clearly_worse(values, Noise(0.3, 8), 0.05) == [best, close]
    assert not_clearly_worse(values, None, 0.05) == [best, close, worse]


def test_the_regret_is_below_its_bound_in_at_least_95_percent() -> None:
    random, covered = np.random.default_rng(1), 0
    means = [90.0, 90.0, 90.1, 90.2, 89.0]
    for _ in range(500):
        values = drawn(means, 0.3, 3, random)
        chosen = max(values, key=lambda one: sum(values[one].values()))
        found = noise(values, (1, 2, 3))
        assert found is not None
        covered += max(means) - means[chosen.rung] <= regret_bound(values, chosen, found, 0.05)
    assert covered / 500 >= 0.95


def test_the_flat_part_around_the_chosen_peak_ends_where_more_than_the_margin_is_lost() -> None:
    firsts = [91.9, 90.0, 91.8, 92.0, 91.6]
    values = {one: {1: worth} for one, worth in zip(candidates(5), firsts, strict=True)}
    values[candidates(5)[3]] |= {2: 80.0}  # a seed that the others have not had
    assert flat_rungs(values, candidates(5)[3], margin=0.5) == (2, 4)


# The final


def final(families: list[Family], worth: Callable[[Family, int], float], seeds: int, margin: float = 0.5) -> Final:
    ones = [Candidate(family, 0) for family in families]
    rules = Rules(margin)
    return Final({one: {seed: worth(one.family, seed) for seed in rules.final_seeds[:seeds]} for one in ones}, ones, rules)


def wavering(means: dict[Family, float], deviation: float) -> Callable[[Family, int], float]:
    random = np.random.default_rng(3)
    return lambda family, seed: means[family] + random.normal(0, deviation)


def test_where_every_finalist_loses_runs_those_that_lose_fewest_stay() -> None:
    def worth(family: Family, seed: int) -> float:
        lost = {FIXED_RATE: (11,), CYCLES: (12, 13)}[family]
        return -math.inf if seed in lost else 90.0

    made = final([FIXED_RATE, CYCLES], worth, 5)
    assert [one.family for one in made.left] == [FIXED_RATE]
    assert [one.family for one in made.diverged] == [CYCLES]


def test_a_large_gain_ends_the_final_at_the_first_look() -> None:
    made = final([FIXED_RATE, CYCLES], wavering({FIXED_RATE: 90.0, CYCLES: 94.0}, 0.2), 5)
    assert made.is_over
    assert (made.chosen.family, made.is_settled) == (CYCLES, True)
    assert made.relation(*made.finalists) == WORSE
    assert made.relation(*reversed(made.finalists)) == BETTER


def test_the_simplest_is_chosen_where_no_difference_matters() -> None:
    made = final([FIXED_RATE, CYCLES], wavering({FIXED_RATE: 90.0, CYCLES: 90.1}, 0.02), 5)
    assert set(made.relations.values()) == {EQUAL}
    assert (made.chosen.family, made.is_settled, made.is_over) == (FIXED_RATE, True, True)


def test_what_twelve_seeds_leave_open_is_a_guess() -> None:
    made = final([FIXED_RATE, CYCLES], wavering({FIXED_RATE: 90.0, CYCLES: 90.5}, 2.0), 12)
    assert set(made.relations.values()) == {OPEN}
    assert (made.is_over, made.is_settled) == (True, False)


def test_a_look_waits_for_all_of_its_seeds() -> None:
    made = final([FIXED_RATE, CYCLES], wavering({FIXED_RATE: 90.0, CYCLES: 94.0}, 0.2), 4)
    assert not made.is_over
    assert made.lacking == [(one, 15) for one in made.finalists]


def test_a_finalist_that_diverges_leaves() -> None:
    made = final(
        [FIXED_RATE, CYCLES], lambda family, seed: -math.inf if family == CYCLES and seed == 13 else 90.0 + seed % 2, 5
    )
    assert (made.chosen.family, [one.family for one in made.diverged], made.is_over) == (FIXED_RATE, [CYCLES], True)


def test_a_rejected_pair_hands_its_level_on() -> None:
    """The difference of 1.9 excludes 0 at the level 0.05/2, but not at 0.05/3."""
    noise = [0.4, -0.4, 0.2, -0.2, 0.0]
    means = {FIXED_RATE: 80.0, LINEAR: 90.0, CYCLES: 91.9}
    alone = final([LINEAR, CYCLES], lambda family, seed: means[family] + noise[seed - 11] * (family == CYCLES), 5)
    one, other = alone.finalists
    assert alone.interval(other, one, 0.05 / 3)[0] < 0 < alone.interval(other, one, 0.05 / 2)[0]
    three = final([FIXED_RATE, LINEAR, CYCLES], lambda family, seed: means[family] + noise[seed - 11] * (family == CYCLES), 5)
    assert three.chosen.family == CYCLES
    assert three.is_settled


# The strategy


def played(worth: Callable[[Trial], float]) -> list[DecisionState]:
    worths: dict[Trial, float] = {}
    states = []
    while True:
        states.append(state_of(worths, FAMILIES, RULES))
        if states[-1].stage == OVER:
            return states
        assert not set(states[-1].wanted) & worths.keys()
        worths |= {trial: worth(trial) for trial in states[-1].wanted}


def hilly(trial: Trial) -> float:
    """The best peak of every family lies two doublings above the first; cycles are the best, the kind `other` the worst."""
    top = {CYCLES: 94.0, FIXED_RATE: 91.0, DROPS: 92.0, LINEAR: 90.0}[trial.candidate.family]
    return (
        top - abs(trial.candidate.rung - 2) + np.random.default_rng(trial.seed * 99 + trial.candidate.rung + 9).normal(0, 0.1)
    )


def test_a_decision_goes_from_peaks_over_the_race_to_the_final() -> None:
    states = played(hilly)
    stages = [state.stage for state in states]
    assert stages == sorted(stages, key=[PEAKS, RACE, FINAL, OVER].index)
    ended = states[-1].final
    assert ended is not None
    assert [(one.family, one.rung) for one in ended.finalists] == [(DROPS, 2), (LINEAR, 2), (CYCLES, 2)]
    assert (ended.chosen.family, ended.is_settled) == (CYCLES, True)


def test_the_final_has_seeds_that_nothing_was_chosen_by() -> None:
    wanted = [trial for state in played(hilly) for trial in state.wanted]
    chosen_by = {trial.seed for trial in wanted if not trial.is_final}
    assert chosen_by.isdisjoint({trial.seed for trial in wanted if trial.is_final})


def test_what_comes_later_changes_nothing_that_was_decided() -> None:
    states = played(hilly)
    everything = {trial: hilly(trial) for state in states for trial in state.wanted}
    again = state_of(everything, FAMILIES, RULES)
    assert (again.stage, again.final) == (OVER, states[-1].final)


# The price of tuning


def test_the_expected_best_of_trials_is_the_mean_of_all_draws() -> None:
    worths = [1.0, 2.0, 4.0]
    pairs = [max(one, other) for one in worths for other in worths]
    assert expected_best(worths, 1) == pytest.approx(np.mean(worths))
    assert expected_best(worths, 2) == pytest.approx(np.mean(pairs))
    assert expected_best(worths, 200) == pytest.approx(4.0)


# Made-up worlds


def world(ahead: float) -> World:
    tops = {family: 90.0 + ahead * (family == CYCLES) for family in FAMILIES}
    return World(tops, dict.fromkeys(FAMILIES, 0.4), 0.5, dict.fromkeys((FIXED, OTHER, CYCLICAL), 0.2))


def answered(ahead: float, seed: int) -> Conclusion:
    return conclusion_of(played_in(world(ahead), FAMILIES, RULES, np.random.default_rng(seed))[0], RULES)


def test_cycles_that_are_better_are_chosen_with_their_gain_over_the_best_fixed_rate() -> None:
    conclusion = answered(2.0, seed=0)
    assert (conclusion.verdict, conclusion.is_settled) == (CYCLE, True)
    assert conclusion.over_fixed is not None
    assert 0 < conclusion.over_fixed.low < conclusion.over_fixed.mean < conclusion.over_fixed.high
    assert conclusion.regret_beside_finalists == 0


def test_a_chosen_peak_that_is_the_outermost_tried_is_told() -> None:
    conclusions = [answered(2.0, seed) for seed in range(30)]
    states = [played_in(world(2.0), FAMILIES, RULES, np.random.default_rng(seed))[0] for seed in range(30)]
    outermost = 0
    for state, conclusion in zip(states, conclusions, strict=True):
        rungs = [one.rung for one in state.screened if one.family == conclusion.chosen.family]
        if conclusion.chosen.rung in (min(rungs), max(rungs)):
            outermost += 1
            assert conclusion.chosen.family in conclusion.edges
    assert outermost


def test_without_a_difference_that_matters_the_answer_is_the_simplest() -> None:
    conclusion = answered(0.0, seed=0)
    assert (conclusion.verdict, conclusion.is_settled, conclusion.chosen.family.kind) == (KEEP, True, FIXED)
    assert len(conclusion.equals) == 2
    assert conclusion.over_fixed is None


def test_cycles_are_not_recommended_where_they_gain_nothing() -> None:
    assert [answered(0.0, seed).verdict for seed in range(8)].count(CYCLE) == 0


def test_a_decision_is_expected_to_take_fewer_runs_than_without_stopping() -> None:
    assert 4 * len(FAMILIES) < expected_runs(FAMILIES, RULES, worlds=3) < 100
