import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from clrbench.schedules import Schedule, named

PEAK = 0.1
properties = settings(deadline=None, max_examples=60, derandomize=True)
TO_THE_END = ("linear", "rex", "wsd", "cosine")


def torch_rates(make, iterations):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=PEAK)
    scheduler = make(optimizer)
    rates = []
    for _ in range(iterations):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


# --------------------------------------- the lambdas of transformers.get_scheduler, as its documentation defines them


def warmed(warmup, behind):
    return lambda step: step / max(1, warmup) if step < warmup else behind(step)


def linear_with_warmup(warmup, total):
    return warmed(warmup, lambda step: max(0.0, (total - step) / max(1, total - warmup)))


def cosine_with_min_lr(warmup, total, floor):
    def behind(step):
        progress = (step - warmup) / max(1, total - warmup)
        return 0.5 * (1 + math.cos(math.pi * progress)) * (1 - floor) + floor

    return warmed(warmup, behind)


def warmup_stable_decay(warmup, stable, decay, shape, floor):
    def behind(step):
        if step < warmup + stable:
            return 1.0
        progress = (step - warmup - stable) / max(1, decay)
        height = {"linear": 1 - progress, "sqrt": 1 - math.sqrt(progress)}[shape]
        return height * (1 - floor) + floor

    return warmed(warmup, behind)


def inverse_sqrt(warmup):
    return warmed(warmup, lambda step: 1 / math.sqrt(step / warmup))


@pytest.mark.parametrize("warmup", [None, 50])
@pytest.mark.parametrize(
    ("policy", "own", "reference"),
    [
        ("linear", {}, lambda w: linear_with_warmup(w, 500)),
        ("cosine", {"min_lr": 0.01}, lambda w: cosine_with_min_lr(w, 500, 0.1)),
        ("wsd", {"shape": "sqrt"}, lambda w: warmup_stable_decay(w, 400 - w, 100, "sqrt", 0)),
        (
            "wsd",
            {"shape": "linear", "floor": 0.1, "cooldown": 0.1},
            lambda w: warmup_stable_decay(w, 450 - w, 50, "linear", 0.1),
        ),
    ],
)
def test_descents_to_the_end_of_the_run_equal_those_of_transformers(policy, own, reference, warmup):
    rates = named(policy, max_lr=PEAK, iterations=500, warmup=warmup, **own)(np.arange(501))
    np.testing.assert_allclose(rates, [PEAK * reference(warmup or 0)(step) for step in range(501)], rtol=1e-9, atol=1e-15)


def test_inverse_sqrt_equals_that_of_transformers():
    expected = [PEAK * inverse_sqrt(40)(step) for step in range(2000)]
    np.testing.assert_allclose(named("inverse_sqrt", max_lr=PEAK, warmup=40)(np.arange(2000)), expected, rtol=1e-9)


@pytest.mark.parametrize("floor", [0.0, 0.1])
def test_linear_equals_torchs_linear_lr(floor):
    def make(optimizer):
        return lr_scheduler.LinearLR(optimizer, start_factor=1.0, end_factor=floor, total_iters=300)

    rates = named("linear", max_lr=PEAK, iterations=300, floor=floor)(np.arange(350))
    np.testing.assert_allclose(rates, torch_rates(make, 350), rtol=1e-9, atol=1e-15)


# The profile of the paper, (1 - t/T) / (1/2 + 1/2 (1 - t/T)).
@pytest.mark.parametrize(("t", "share"), [(0, 1), (100, 6 / 7), (200, 2 / 3), (300, 2 / 5), (360, 2 / 11), (400, 0)])
def test_rex_has_the_values_of_its_paper_computed_by_hand(t, share):
    assert named("rex", max_lr=PEAK, iterations=400)(t) == pytest.approx(PEAK * share, rel=1e-12)


# Cycles of 100, 200 and 400 iterations.
@pytest.mark.parametrize(
    ("t", "share"), [(0, 1), (50, 0.5), (99, 0.01), (100, 1), (200, 0.5), (299, 0.005), (300, 1), (500, 0.5), (699, 0.0025)]
)
def test_multiplicative_descends_in_cycles_that_double(t, share):
    schedule = named("multiplicative", max_lr=PEAK, first_cycle=100)
    assert schedule(t) == pytest.approx(PEAK * share, rel=1e-9)
    assert schedule.cycle_ends(700) == [100, 300, 700]


def test_multiplicative_and_cosine_restarts_share_their_cycles():
    settings = {"max_lr": PEAK, "first_cycle": 30, "cycle_factor": 1.5, "warmup": 20}
    ends = named("multiplicative", **settings).cycle_ends(1000)
    assert ends == named("cosine_restarts", **settings).cycle_ends(1000)
    assert ends[:2] == [50, 95]


# ----------------------------------------------------------------------------------------------------------- warm-up


@given(policy=st.sampled_from(TO_THE_END), warmup=st.integers(1, 399), floor=st.floats(0, 1))
@properties
def test_a_warm_up_rises_to_the_peak_and_leaves_the_end_of_the_run_in_place(policy, warmup, floor):
    end = {"min_lr": 0.9 * floor * PEAK} if policy == "cosine" else {"floor": 0.9 * floor}
    schedule = named(policy, max_lr=PEAK, iterations=400, warmup=warmup, **end)
    rising = schedule(np.arange(warmup + 1))
    np.testing.assert_allclose(rising, PEAK * np.arange(warmup + 1) / warmup, rtol=1e-9, atol=1e-15)
    assert schedule(400) == pytest.approx(0.9 * floor * PEAK, abs=1e-12)
    assert (np.diff(schedule(np.arange(warmup, 401))) <= 1e-15).all()


@pytest.mark.parametrize("policy", ["cosine_restarts", "multiplicative"])
def test_cycles_begin_behind_the_warm_up(policy):
    bare, warm = (named(policy, max_lr=PEAK, first_cycle=30, warmup=warmup) for warmup in (None, 20))
    np.testing.assert_array_equal(warm(np.arange(20, 300)), bare(np.arange(280)))
    assert warm.cycle_ends(300) == [20 + end for end in bare.cycle_ends(280)]


@pytest.mark.parametrize("policy", ["triangular", "triangular2"])
def test_a_policy_behind_a_warm_up_is_shifted_with_its_cycles(policy):
    cycles = named(policy, base_lr=0.1, max_lr=0.5, step_size=10)
    warm = named("warmup", schedule=cycles, warmup=8)
    assert warm([0, 2, 4, 7]) == pytest.approx([0, 0.025, 0.05, 0.0875])
    np.testing.assert_array_equal(warm(np.arange(8, 108)), cycles(np.arange(100)))
    assert warm.cycle_ends(50) == [28, 48]
    assert Schedule(warm.policy, warm.settings, scale=0.5).cycle_ends(25) == [14, 24]


def test_one_cycle_behind_a_warm_up_ends_later():
    once = named("one_cycle", base_lr=0.1, max_lr=0.5, iterations=100)
    assert named("warmup", schedule=once, warmup=10).end == 110
    assert named("warmup", schedule=named("fixed", base_lr=0.1), warmup=10).end is None


def test_a_policy_that_a_warm_up_pushes_over_the_end_of_the_budget_is_warned_about():
    def warm(iterations):
        return named("warmup", schedule=named("linear", max_lr=PEAK, iterations=iterations), warmup=10)

    (line,) = warm(100).warnings(100)
    assert line.startswith("the policy behind the warm-up lasts 100 iterations, of which 90 are left: set its iterations")
    assert warm(90).warnings(100) == []
    assert named("warmup", schedule=lambda t: t, warmup=10).warnings(100) == []


# ------------------------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("policy", "settings", "told"),
    [
        ("wsd", {"cooldown": 0}, "cooldown=0 is impossible: it must be above 0 and at most 1"),
        ("wsd", {"shape": "cosine"}, "shape=cosine is impossible: it must be one of sqrt, linear"),
        ("linear", {"floor": -0.1}, "floor=-0.1 is impossible: it must be at least 0 and at most 1"),
        ("linear", {"warmup": 400}, "warmup=400 is not below iterations=400: lower it"),
        ("cosine", {"warmup": 0.5}, "warmup=0.5 is impossible: it must be at least 1 iteration"),
        ("rex", {"iterations": 0}, "iterations=0 is impossible: it must be at least 1 iteration"),
    ],
)
def test_what_a_descent_cannot_be_is_refused(policy, settings, told):
    with pytest.raises(ValueError, match=r"impossible|not below") as error:
        named(policy, **{"max_lr": PEAK, "iterations": 400, **settings})
    assert str(error.value) == told
