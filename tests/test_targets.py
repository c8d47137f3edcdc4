"""Iterations to a target: sustained, censored, and over all targets."""

import math
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from clrbench.analysis.targets import iterations_to_target, target_curve
from clrbench.store import Evaluation


def evaluations(accuracies: Sequence[float]) -> list[Evaluation]:
    """One every ten iterations."""
    return [(10 * at, value) for at, value in enumerate(accuracies, 1)]


def test_a_target_is_reached_at_the_first_of_two_evaluations_in_a_row() -> None:
    assert iterations_to_target(evaluations([50, 60, 70, 71, 60]), 70) == 30


def test_a_peak_that_does_not_last_does_not_count() -> None:
    assert iterations_to_target(evaluations([50, 75, 60, 70, 72]), 70) == 40


def test_the_last_evaluation_stands_for_itself() -> None:
    assert iterations_to_target(evaluations([50, 60, 70]), 70) == 30


def test_a_target_that_is_never_reached_takes_for_ever() -> None:
    assert iterations_to_target(evaluations([50, 60]), 70) == math.inf
    assert iterations_to_target([], 70) == math.inf


@given(st.lists(st.floats(0, 100), min_size=1, max_size=20), st.floats(0, 100), st.floats(0, 100))
def test_a_higher_target_never_takes_less(accuracies: list[float], one: float, other: float) -> None:
    rows = evaluations(accuracies)
    assert iterations_to_target(rows, min(one, other)) <= iterations_to_target(rows, max(one, other))


def test_the_curve_counts_the_runs_that_get_there_and_takes_the_others_for_infinity() -> None:
    runs = [evaluations(values) for values in ([60, 70, 80], [50, 60, 70], [40, 50, 60])]
    curve = target_curve(runs, [60.0, 70.0, 80.0])
    assert curve["reached"].to_list() == [3, 2, 1]
    assert curve["median"].to_list() == [20, 30, math.inf]
    assert curve["low"].to_list() == [20, 30, math.inf]
    assert curve["high"].to_list() == [30, math.inf, math.inf]
