"""Statistics on paired differences, against values computed by hand or by scipy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from clrbench import stats

DIFFERENCES = st.lists(st.floats(-5, 5, allow_subnormal=False), min_size=2, max_size=8)


@given(DIFFERENCES)
def test_the_t_test_is_scipys(differences: list[float]) -> None:
    if np.std(differences) > 1e-9:
        expected = reference.ttest_1samp(differences, 0.5, alternative="greater")
        assert stats.p_above(differences, 0.5) == pytest.approx(expected.pvalue, abs=1e-9)
        found = reference.ttest_1samp(differences, 0).confidence_interval(0.95)
        assert stats.interval(differences) == pytest.approx(tuple(found), abs=1e-9)


def test_the_exact_test_counts_the_changes_of_sign_that_give_as_large_a_mean() -> None:
    assert stats.exact_p_above([1, 2, 3, 4, 5]) == 1 / 32
    # Of the eight sums of 1, 2 and 3 with either sign, 4 and 6 are as large as -1 + 2 + 3.
    assert stats.exact_p_above([-1, 2, 3]) == 2 / 8
    assert stats.exact_p_above([-1, -2, -3]) == 1.0


@given(DIFFERENCES)
def test_no_exact_p_is_below_the_least_for_so_many_seeds(differences: list[float]) -> None:
    assert stats.exact_p_above(differences) >= stats.least_p(len(differences)) - 1e-12


def test_with_many_seeds_the_exact_test_is_sampled_and_says_the_same_each_time() -> None:
    differences = list(np.linspace(-1, 2, 20))
    assert stats.exact_p_above(differences) == stats.exact_p_above(differences)
    assert stats.exact_p_above(differences) == pytest.approx(stats.p_above(differences), abs=0.01)


@pytest.mark.parametrize("values", [[], [1.0]])
def test_fewer_than_two_seeds_have_no_interval_and_prove_nothing(values: list[float]) -> None:
    assert stats.interval(values) is None
    assert stats.half_width(values) is None
    assert stats.p_above(values) == 1.0
    assert stats.exact_p_above(values) >= 0.5


def test_equal_differences_are_certain_in_the_one_direction_and_impossible_in_the_other() -> None:
    assert (stats.p_above([1.0] * 5), stats.p_above([-1.0] * 5), stats.p_above([0.0] * 5)) == (0.0, 1.0, 1.0)


def test_infinite_differences_are_judged_by_their_signs() -> None:
    assert stats.p_above([math.inf] * 5) == 1 / 32
    assert stats.p_above([math.inf, 1, 1, 1, -1]) == pytest.approx(6 / 32)
    assert stats.interval([math.inf, 1.0]) is None


def test_equality_needs_both_ends_of_the_margin_and_a_difference_only_one() -> None:
    near, far = [0.1, -0.1, 0.05, -0.05, 0.0], [2.0, 2.1, 1.9, 2.05, 1.95]
    assert stats.p_within(near, 0.5) < 0.001
    assert stats.p_outside(near, 0.5) > 0.5
    assert stats.p_within(far, 0.5) > 0.5
    assert stats.p_outside(far, 0.5) < 0.001
    assert stats.p_outside([-value for value in far], 0.5) < 0.001


def test_holms_adjustment_is_that_of_the_textbook() -> None:
    # Smallest times 4, next times 3, ..., never falling: Holm (1979).
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert stats.holm([0.9, 0.8]) == [1.0, 1.0]
    assert stats.holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=10))
def test_holm_never_lowers_a_p_value_and_keeps_their_order(p_values: list[float]) -> None:
    adjusted = stats.holm(p_values)
    assert all(after >= before for before, after in zip(p_values, adjusted, strict=True))
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    assert [adjusted[index] for index in order] == sorted(adjusted)
