import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from torch.optim import lr_scheduler

from clrbench.schedules import POLICIES, WINDOWS, Schedule, named, triangular
from clrbench.settings import Length

CONF = Path(__file__).parents[1] / "conf" / "policy"
CYCLES = {"base_lr": 0.001, "max_lr": 0.006, "step_size": 2000}
STAGES = ((0, 0.001, 0.005, 2000), (16000, 0.0001, 0.0005, 1000), (22000, 0.00001, 0.00005, 500))
EXAMPLES = {
    "fixed": {"base_lr": 0.001},
    "step": {"base_lr": 0.001, "drops": [60000, 65000]},
    "exp": {"base_lr": 0.001, "gamma": 0.99994},
    "decay": {"base_lr": 0.001, "max_lr": 0.007, "decay_iterations": 4000},
    "triangular": CYCLES,
    "triangular2": CYCLES,
    "exp_range": {**CYCLES, "gamma": 0.99994},
    "one_cycle": {"base_lr": 0.001, "max_lr": 0.006, "iterations": 500},
    "cosine": {"max_lr": 0.006, "iterations": 500},
    "cosine_restarts": {"max_lr": 0.006, "first_cycle": 30, "cycle_factor": 2},
    "ramp": {"max_lr": 0.02, "iterations": 4000},
    "linear": {"max_lr": 0.006, "iterations": 500},
    "rex": {"max_lr": 0.006, "iterations": 500},
    "wsd": {"max_lr": 0.006, "iterations": 500},
    "inverse_sqrt": {"max_lr": 0.006, "warmup": 100},
    "multiplicative": {"max_lr": 0.006, "first_cycle": 30},
}

bounds = st.tuples(st.floats(0, 1), st.floats(1e-3, 1)).map(lambda pair: {"base_lr": pair[0], "max_lr": pair[0] + pair[1]})
step_sizes = st.integers(1, 3000)
windows = st.sampled_from(sorted(WINDOWS))
iterations = st.integers(0, 100_000)
properties = settings(deadline=None, max_examples=60, derandomize=True)


def staged(stages=STAGES):
    return named(
        "staged",
        stages=[
            {"start": start, "schedule": named("triangular2", base_lr=base_lr, max_lr=max_lr, step_size=step_size)}
            for start, base_lr, max_lr, step_size in stages
        ],
    )


def dropping(schedule, drops=(32000, 48000), **settings):
    return named("dropping", schedule=schedule, drops=list(drops), **settings)


def example(policy):
    cycles = named("triangular", **CYCLES)
    nested = {
        "staged": staged,
        "dropping": lambda: dropping(cycles),
        "warmup": lambda: named("warmup", schedule=cycles, warmup=100),
    }
    return nested[policy]() if policy in nested else named(policy, **EXAMPLES[policy])


# ---------------------------------------------------------------------------------------------- the paper's numbers


@pytest.mark.parametrize(
    ("iteration", "rate"), [(0, 0.001), (500, 0.00225), (2000, 0.006), (3000, 0.0035), (4000, 0.001), (6000, 0.006)]
)
def test_triangular_goes_straight_from_bound_to_bound(iteration, rate):
    assert named("triangular", **CYCLES)(iteration) == pytest.approx(rate, rel=1e-12)


@pytest.mark.parametrize(
    ("iteration", "rate"), [(0, 0.001), (2000, 0.006), (4000, 0.001), (6000, 0.0035), (10000, 0.00225), (12000, 0.001)]
)
def test_triangular2_has_the_values_computed_by_hand(iteration, rate):
    assert named("triangular2", **CYCLES)(iteration) == pytest.approx(rate, rel=1e-12)


# 0.99994^42000 = 0.0804539, and 42,000 is the peak of the eleventh cycle.
@pytest.mark.parametrize(("decays", "rate"), [("bounds", 0.006 * 0.0804539), ("amplitude", 0.001 + 0.005 * 0.0804539)])
def test_exp_range_equals_the_papers_value_at_42000(decays, rate):
    assert named("exp_range", **CYCLES, gamma=0.99994, decays=decays)(42000) == pytest.approx(rate, rel=1e-5)


def test_exp_range_lets_both_bounds_decay_unless_told_otherwise():
    settings = {**CYCLES, "gamma": 0.99994}
    assert named("exp_range", **settings)(40000) == pytest.approx(0.001 * 0.99994**40000, rel=1e-9)
    assert named("exp_range", **settings, decays="amplitude")(40000) == pytest.approx(0.001, rel=1e-9)


@pytest.mark.parametrize(
    ("iteration", "rate"),
    [
        (0, 0.001),
        (2000, 0.005),
        (4000, 0.001),
        (6000, 0.003),
        (14000, 0.0015),
        (15999, 0.00100025),
        (16000, 0.0001),
        (17000, 0.0005),
        (19000, 0.0003),
        (21999, 0.0001001),
        (22000, 0.00001),
        (22500, 0.00005),
        (24999, 0.00001002),
    ],
)
def test_the_staged_run_of_table_2_has_the_values_computed_by_hand(iteration, rate):
    assert staged()(iteration) == pytest.approx(rate, rel=1e-9)


def test_the_staged_config_holds_the_stages_of_table_2():
    node = OmegaConf.to_container(OmegaConf.load(CONF / "triangular2_staged.yaml"))
    stages = [(stage["start"], *(stage["schedule"][key] for key in CYCLES)) for stage in node["stages"]]
    assert tuple(stages) == STAGES
    assert {stage["schedule"]["_target_"] for stage in node["stages"]} == {"clrbench.schedules.triangular2"}


def test_the_control_without_cycles_has_the_mean_rate_of_each_stage_of_table_2():
    node = OmegaConf.to_container(OmegaConf.load(CONF.parent / "arm" / "controls" / "mean_drops.yaml"))
    stages = node["policy"]["stages"]
    assert [stage["start"] for stage in stages] == [start for start, *_ in STAGES]
    bounds = [*(start for start, *_ in STAGES), node["iterations"]]
    means = [staged()(np.arange(start, end)).mean() for start, end in itertools.pairwise(bounds)]
    assert [stage["schedule"]["base_lr"] for stage in stages] == pytest.approx(means, rel=1e-5)


@pytest.mark.parametrize(
    ("iteration", "rate"), [(0, 1e-3), (59999, 1e-3), (60000, 1e-4), (64999, 1e-4), (65000, 1e-5), (69999, 1e-5)]
)
def test_the_papers_fixed_rate_drops_at_60000_and_65000(iteration, rate):
    assert example("step")(iteration) == pytest.approx(rate, rel=1e-12)


# Table 4's ResNet: 64,000 iterations, cycles of a tenth of them, drops at 32,000 and 48,000, which is in the midst of a cycle.
@pytest.mark.parametrize(
    ("iteration", "rate"),
    [
        (0, 0.1),
        (3200, 0.3),
        (6400, 0.1),
        (28_800, 0.3),
        (31_999, 0.1000625),
        (32_000, 0.01),
        (35_200, 0.03),
        (47_999, 0.02999375),
        (48_000, 0.003),
        (51_200, 0.001),
        (54_400, 0.003),
        (63_999, 0.001000625),
    ],
)
def test_the_bounds_of_a_cycle_drop_while_its_phase_goes_on(iteration, rate):
    schedule = dropping(named("triangular", base_lr=0.1, max_lr=0.3, step_size=3200))
    assert schedule(iteration) == pytest.approx(rate, rel=1e-9)


@pytest.mark.parametrize(("iteration", "rate"), [(0, 0.007), (1000, 0.0055), (3999, 0.0010015), (4000, 0.001), (24999, 0.001)])
def test_decay_falls_linearly_over_4000_iterations_and_stays(iteration, rate):
    assert example("decay")(iteration) == pytest.approx(rate, rel=1e-12)


@pytest.mark.parametrize(("iteration", "rate"), [(0, 0.001), (1, 0.00099994), (70000, 0.001 * 0.0149935)])
def test_exp_declines_by_gamma_in_each_iteration(iteration, rate):
    assert example("exp")(iteration) == pytest.approx(rate, rel=1e-4)


def test_fixed_is_one_rate_for_ever():
    assert set(example("fixed")(np.arange(1000)).tolist()) == {0.001}


def test_one_triangular_step_over_the_whole_run_is_the_range_test():
    np.testing.assert_allclose(triangular(np.arange(4001), 0.0, 0.02, 4000), np.linspace(0, 0.02, 4001), atol=1e-15)


@pytest.mark.parametrize("policy", ["exp", "exp_range"])
@pytest.mark.parametrize("budget", [1280, 42_000, 70_000])
def test_a_decline_leaves_its_share_at_the_end_of_any_budget(policy, budget):
    settings = {key: value for key, value in EXAMPLES[policy].items() if key != "gamma"}
    if policy == "exp_range":
        settings["step_size"] = budget / 2
    assert named(policy, **settings, decline=0.08, iterations=budget)(budget) == pytest.approx(0.001 * 0.08, rel=1e-9)


def test_the_decline_of_the_papers_gamma_at_42000_makes_the_papers_rates():
    t = np.arange(0, 42_000, 7)
    by_decline = named("exp_range", **CYCLES, decline=0.99994**42_000, iterations=42_000)
    np.testing.assert_allclose(by_decline(t), named("exp_range", **CYCLES, gamma=0.99994)(t), rtol=1e-9)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"gamma": 0.9, "decline": 0.1, "iterations": 10}, "gamma=0.9 and decline=0.1: give one of them"),
        ({}, "gamma=None and decline=None: give one of them"),
        ({"decline": 0.1}, "decline=0.1 lacks iterations"),
    ],
)
def test_a_decline_that_is_told_twice_or_not_at_all_is_refused(settings, told):
    with pytest.raises(ValueError, match=told):
        named("exp", base_lr=0.1, **settings)


@pytest.mark.parametrize(
    ("gamma", "budget", "does"), [(0.99994, 1280, "nothing: it leaves 93%"), (0.99, 1280, "everything: it leaves 0.00026%")]
)
def test_a_gamma_that_does_nothing_or_everything_over_the_budget_is_warned_about(gamma, budget, does):
    (line,) = dropping(named("exp", base_lr=0.1, gamma=gamma)).warnings(budget)
    assert line.startswith(f"gamma={gamma} does next to {does} of the rate after {budget:,} iterations; decline, ")
    scaled = Schedule(named("exp", base_lr=0.1, gamma=gamma).policy, {"base_lr": 0.1, "gamma": gamma}, scale=0.2)
    assert scaled.warnings(budget // 5) == [line]
    first = {"start": 0, "schedule": named("fixed", base_lr=0.1)}
    late = named("staged", stages=[first, {"start": 100, "schedule": named("exp", base_lr=0.1, gamma=gamma)}])
    assert late.warnings(budget + 100) == [line]
    assert late.warnings(100) == []


def test_the_papers_gammas_over_the_papers_budgets_are_not_warned_about():
    for gamma, budget in ((0.99994, 42_000), (0.99994, 70_000), (0.999995, 300_000), (0.99998, 240_000)):
        assert named("exp", base_lr=0.1, gamma=gamma).warnings(budget) == []
    assert named("exp", base_lr=0.1, decline=0.08, iterations=1280).warnings(1280) == []


# ------------------------------------------------------------------------------------------------------- windows


@pytest.mark.parametrize("window", WINDOWS.values())
def test_a_window_is_0_at_its_ends_and_1_in_the_middle(window):
    np.testing.assert_allclose(window([0.0, 0.5, 1.0]), [0, 1, 0], atol=1e-15)


@given(window=windows, phase=st.floats(0, 1))
@properties
def test_a_window_stays_within_0_and_1_and_is_symmetric(window, phase):
    height, mirrored = WINDOWS[window]([phase, 1 - phase])
    assert 0 <= height <= 1
    assert height == pytest.approx(mirrored, abs=1e-12)


@given(window=windows, phases=st.tuples(st.floats(0, 0.5), st.floats(0, 0.5)).map(sorted))
@properties
def test_a_window_rises_throughout_its_first_half(window, phases):
    lower, higher = WINDOWS[window](phases)
    assert lower <= higher + 1e-12


@pytest.mark.parametrize(("window", "height"), [("triangular", 0.5), ("parabolic", 0.75), ("hann", 0.5)])
def test_windows_have_their_own_height_at_a_quarter_of_the_cycle(window, height):
    assert WINDOWS[window](0.25) == pytest.approx(height)
    assert WINDOWS[window](0.125) == pytest.approx({"triangular": 0.25, "parabolic": 0.4375, "hann": 0.1464466}[window])


# ----------------------------------------------------------------------------------------------------- properties


@given(bounds=bounds, step_size=step_sizes, window=windows, policy=st.sampled_from(["triangular", "triangular2"]), t=iterations)
@properties
def test_a_cyclical_rate_keeps_its_bounds(bounds, step_size, window, policy, t):
    rate = named(policy, **bounds, step_size=step_size, window=window)(t)
    assert bounds["base_lr"] - 1e-12 <= rate <= bounds["max_lr"] + 1e-12


@given(bounds=bounds, step_size=step_sizes, gamma=st.floats(0.999, 1), t=st.integers(0, 5000))
@properties
def test_exp_range_keeps_its_declining_bounds(bounds, step_size, gamma, t):
    rate = named("exp_range", **bounds, step_size=step_size, gamma=gamma)(t)
    assert bounds["base_lr"] * gamma**t - 1e-12 <= rate <= bounds["max_lr"] * gamma**t + 1e-12


@given(bounds=bounds, step_size=step_sizes, gamma=st.floats(0.999, 1), t=st.integers(0, 5000))
@properties
def test_exp_range_with_decaying_amplitude_never_goes_below_base_lr(bounds, step_size, gamma, t):
    rate = named("exp_range", **bounds, step_size=step_size, gamma=gamma, decays="amplitude")(t)
    ceiling = bounds["base_lr"] + (bounds["max_lr"] - bounds["base_lr"]) * gamma**t
    assert bounds["base_lr"] - 1e-12 <= rate <= ceiling + 1e-12


@given(bounds=bounds, step_size=step_sizes, window=windows, t=iterations, cycles=st.integers(1, 20))
@properties
def test_triangular_repeats_itself_every_two_steps(bounds, step_size, window, t, cycles):
    schedule = named("triangular", **bounds, step_size=step_size, window=window)
    assert schedule(t) == pytest.approx(schedule(t + cycles * 2 * step_size), abs=1e-9)


@given(bounds=bounds, step_size=step_sizes, window=windows, cycle=st.integers(0, 8))
@properties
def test_the_amplitude_is_halved_after_each_cycle(bounds, step_size, window, cycle):
    schedule = named("triangular2", **bounds, step_size=step_size, window=window)
    peak = schedule(step_size * (2 * cycle + 1)) - bounds["base_lr"]
    assert peak == pytest.approx((bounds["max_lr"] - bounds["base_lr"]) / 2**cycle, abs=1e-9)


@given(bounds=bounds, step_size=step_sizes, window=windows, policy=st.sampled_from(["triangular", "triangular2"]))
@properties
def test_each_cycle_ends_at_the_minimum(bounds, step_size, window, policy):
    schedule = named(policy, **bounds, step_size=step_size, window=window)
    np.testing.assert_allclose(schedule(schedule.cycle_ends(20 * step_size)), bounds["base_lr"], atol=1e-12)


@given(bounds=bounds, step_size=st.integers(1, 300), window=windows, policy=st.sampled_from(["triangular", "triangular2"]))
@properties
def test_a_cyclical_rate_makes_no_jumps(bounds, step_size, window, policy):
    rates = named(policy, **bounds, step_size=step_size, window=window)(np.arange(8 * step_size))
    # The steepest window is the parabola, whose slope at the start of a cycle is 2 amplitudes a step size.
    assert np.abs(np.diff(rates)).max() <= 2 * (bounds["max_lr"] - bounds["base_lr"]) / step_size + 1e-12


@given(
    policy=st.sampled_from(["triangular", "triangular2", "fixed", "decay", "exp_range", "cosine_restarts"]),
    drops=st.lists(st.integers(0, 3000), max_size=4),
    factor=st.floats(0.01, 1),
    t=st.integers(0, 4000),
)
@properties
def test_each_drop_that_has_passed_multiplies_the_rate_by_the_factor(policy, drops, factor, t):
    passed = sum(drop <= t for drop in drops)
    expected = example(policy)(t) * factor**passed
    assert dropping(example(policy), drops, factor=factor)(t) == pytest.approx(expected, rel=1e-12)


@given(drops=st.lists(st.integers(0, 3000), max_size=4), factor=st.floats(0.01, 1))
@properties
def test_a_fixed_rate_that_drops_is_the_step_policy_to_the_last_bit(drops, factor):
    t = np.arange(3100)
    step = named("step", base_lr=0.1, drops=drops, factor=factor)
    np.testing.assert_array_equal(dropping(named("fixed", base_lr=0.1), drops, factor=factor)(t), step(t))


@given(scale=st.floats(0.1, 3))
@properties
def test_drops_and_cycles_are_stretched_together(scale):
    whole = dropping(named("triangular", base_lr=0.1, max_lr=0.3, step_size=1000), [2500])
    stretched = Schedule(whole.policy, whole.settings, scale)
    t = np.arange(8000)
    np.testing.assert_array_equal(stretched(t), whole(t / scale))
    assert stretched.cycle_ends(8000) == [round(end * scale) for end in whole.cycle_ends(80_000) if round(end * scale) <= 8000]


@given(bounds=bounds, step_size=st.integers(1, 300))
@properties
def test_the_formula_is_that_of_the_paper(bounds, step_size):
    t = np.arange(6 * step_size + 3)
    cycle = np.floor(1 + t / (2 * step_size))
    height = np.maximum(0, 1 - np.abs(t / step_size - 2 * cycle + 1)) * (bounds["max_lr"] - bounds["base_lr"])
    cycles = {**bounds, "step_size": step_size}
    np.testing.assert_allclose(named("triangular", **cycles)(t), bounds["base_lr"] + height, atol=1e-12)
    np.testing.assert_allclose(named("triangular2", **cycles)(t), bounds["base_lr"] + height / 2 ** (cycle - 1), atol=1e-12)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_number_and_an_array_give_the_same_rate(policy):
    schedule, at = example(policy), np.array([0, 1, 29, 30, 31, 149, 150, 499, 2000, 4000, 15999, 16000, 61000])
    assert schedule(at).tolist() == [float(schedule(int(t))) for t in at]


@pytest.mark.parametrize("policy", POLICIES)
def test_the_rates_have_the_shape_of_the_iterations(policy):
    rates = example(policy)(np.arange(24).reshape(2, 3, 4))
    assert rates.shape == (2, 3, 4)
    np.testing.assert_array_equal(rates.ravel(), example(policy)(np.arange(24)))
    assert np.shape(example(policy)(7)) == ()


@pytest.mark.parametrize("policy", ["fixed", "step", "decay"])
def test_iterations_that_are_integers_do_not_round_the_rate(policy):
    assert example(policy)(np.arange(3, dtype=np.int64)).dtype == np.float64


def test_the_drops_of_step_may_come_in_any_order():
    t = np.arange(0, 70000, 500)
    np.testing.assert_array_equal(
        named("step", base_lr=0.1, drops=[65000, 60000])(t), named("step", base_lr=0.1, drops=[60000, 65000])(t)
    )


def test_a_stage_counts_its_cycles_from_its_own_start():
    first = named("triangular2", base_lr=0.1, max_lr=0.5, step_size=10)
    schedule = named("staged", stages=[{"start": 0, "schedule": first}, {"start": 35, "schedule": first}])
    np.testing.assert_array_equal(schedule(np.arange(35, 100)), first(np.arange(65)))
    np.testing.assert_array_equal(schedule(np.arange(35)), first(np.arange(35)))


# --------------------------------------------------------------------------------------------- agreement with torch


def torch_rates(make, base_lr, iterations):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=base_lr, momentum=0.9)
    scheduler = make(optimizer)
    rates = []
    for _ in range(iterations):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def assert_equal_to_torch(schedule, make, base_lr, iterations):
    expected = torch_rates(make, base_lr, iterations)
    np.testing.assert_allclose(schedule(np.arange(iterations)), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("policy", ["triangular", "triangular2"])
def test_cycles_equal_torchs_cyclic_lr(policy):
    def make(optimizer):
        return lr_scheduler.CyclicLR(optimizer, 0.001, 0.006, step_size_up=125, mode=policy, cycle_momentum=False)

    assert_equal_to_torch(named(policy, base_lr=0.001, max_lr=0.006, step_size=125), make, 0.001, 1300)


def test_exp_range_with_decaying_amplitude_equals_torchs_cyclic_lr():
    def make(optimizer):
        return lr_scheduler.CyclicLR(
            optimizer, 0.001, 0.006, step_size_up=125, mode="exp_range", gamma=0.998, cycle_momentum=False
        )

    cycles = {"base_lr": 0.001, "max_lr": 0.006, "step_size": 125}
    assert_equal_to_torch(named("exp_range", **cycles, gamma=0.998, decays="amplitude"), make, 0.001, 1300)


def test_the_papers_range_test_rises_by_equal_steps_from_0_to_its_end():
    assert named("ramp", max_lr=0.02, iterations=4000)([0, 200, 2000, 4000]) == pytest.approx([0, 0.001, 0.01, 0.02])


def test_an_exponential_ramp_rises_by_equal_ratios():
    rates = named("ramp", min_lr=1e-4, max_lr=1.0, iterations=400, ramp="exponential")(np.arange(401))
    assert rates[[0, 100, 200, 400]] == pytest.approx([1e-4, 1e-3, 1e-2, 1.0])
    assert np.diff(np.log(rates)) == pytest.approx(np.full(400, np.log(1e4) / 400))


def test_an_exponential_ramp_cannot_begin_at_0():
    with pytest.raises(ValueError, match="min_lr=0 is impossible for an exponential ramp"):
        named("ramp", max_lr=1.0, iterations=400, ramp="exponential")


@pytest.mark.parametrize("iterations", [7, 100, 1234])
def test_one_cycle_equals_torchs_one_cycle_lr(iterations):
    def make(optimizer):
        return lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=0.3,
            total_steps=iterations,
            pct_start=0.25,
            div_factor=30,
            final_div_factor=1000,
            cycle_momentum=False,
        )

    schedule = named("one_cycle", base_lr=0.01, max_lr=0.3, iterations=iterations, warmup=0.25, final_division=1000)
    # torch's scheduler has exactly total_steps rates: the one after the last step does not exist.
    expected = torch_rates(make, 0.01, iterations - 1)
    np.testing.assert_allclose(schedule(np.arange(iterations - 1)), expected, rtol=1e-9)
    assert schedule(iterations - 1) == pytest.approx(0.01 / 1000)


@pytest.mark.parametrize("min_lr", [0.0, 0.002])
def test_cosine_equals_torchs_cosine_annealing_lr(min_lr):
    def make(optimizer):
        return lr_scheduler.CosineAnnealingLR(optimizer, T_max=700, eta_min=min_lr)

    assert_equal_to_torch(named("cosine", max_lr=0.1, iterations=700, min_lr=min_lr), make, 0.1, 700)


@pytest.mark.parametrize("cycle_factor", [1, 2])
def test_cosine_restarts_equal_torchs_warm_restarts(cycle_factor):
    def make(optimizer):
        return lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=40, T_mult=cycle_factor, eta_min=0.001)

    schedule = named("cosine_restarts", max_lr=0.1, first_cycle=40, cycle_factor=cycle_factor, min_lr=0.001)
    assert_equal_to_torch(schedule, make, 0.1, 1000)


def test_exp_equals_torchs_exponential_lr():
    def make(optimizer):
        return lr_scheduler.ExponentialLR(optimizer, gamma=0.995)

    assert_equal_to_torch(named("exp", base_lr=0.1, gamma=0.995), make, 0.1, 1000)


def test_step_equals_torchs_multi_step_lr():
    def make(optimizer):
        return lr_scheduler.MultiStepLR(optimizer, milestones=[300, 500, 501], gamma=0.2)

    assert_equal_to_torch(named("step", base_lr=0.1, drops=[300, 500, 501], factor=0.2), make, 0.1, 700)


@pytest.mark.parametrize("mode", ["triangular", "triangular2", "exp_range"])
@pytest.mark.parametrize(("up", "down"), [(125, 50), (10, 190), (1, 1), (125, 125)])
def test_asymmetric_cycles_equal_torchs_cyclic_lr(mode, up, down):
    decline = {"gamma": 0.998} if mode == "exp_range" else {}

    def make(optimizer):
        return lr_scheduler.CyclicLR(optimizer, 0.001, 0.006, up, down, mode=mode, cycle_momentum=False, **decline)

    settings = {"base_lr": 0.001, "max_lr": 0.006, "step_size": up, "step_size_down": down, **decline}
    if mode == "exp_range":
        settings["decays"] = "amplitude"
    assert_equal_to_torch(named(mode, **settings), make, 0.001, 1300)


@given(bounds=bounds, up=step_sizes, down=step_sizes, window=windows)
@properties
def test_an_asymmetric_cycle_rises_for_step_size_and_falls_for_step_size_down(bounds, up, down, window):
    schedule = named("triangular", **bounds, step_size=up, step_size_down=down, window=window)
    assert schedule.cycle_ends(2 * (up + down)) == [up + down, 2 * (up + down)]
    at = [0, up, up + down, 2 * up + down]
    np.testing.assert_allclose(schedule(at), [bounds["base_lr"], bounds["max_lr"]] * 2, atol=1e-9)


# ----------------------------------------------------------------------------------------------------- cycle ends


@pytest.mark.parametrize("policy", ["triangular", "triangular2", "exp_range"])
def test_a_cycle_ends_every_two_steps(policy):
    assert example(policy).cycle_ends(25000) == [4000, 8000, 12000, 16000, 20000, 24000]


@pytest.mark.parametrize(("budget", "ends"), [(3999, []), (4000, [4000]), (4001, [4000]), (8000, [4000, 8000])])
def test_the_end_of_the_budget_may_be_the_end_of_a_cycle(budget, ends):
    assert example("triangular").cycle_ends(budget) == ends


def test_the_cycles_of_every_stage_end_in_the_staged_run():
    assert staged().cycle_ends(25000) == [4000, 8000, 12000, 16000, 18000, 20000, 22000, 23000, 24000, 25000]


@pytest.mark.parametrize(("budget", "ends"), [(3000, []), (17000, [4000, 8000, 12000, 16000])])
def test_a_stage_beyond_the_budget_ends_no_cycle(budget, ends):
    assert staged().cycle_ends(budget) == ends


def test_a_cycle_that_a_stage_cuts_short_does_not_end():
    assert staged([(0, 0.1, 0.5, 10), (35, 0.1, 0.5, 10)]).cycle_ends(60) == [20, 55]


def test_drops_leave_the_ends_of_cycles_where_they_are():
    assert dropping(example("triangular"), [5000, 7000]).cycle_ends(17_000) == [4000, 8000, 12_000, 16_000]
    assert dropping(staged(), [5000]).cycle_ends(25_000) == staged().cycle_ends(25_000)
    assert dropping(example("fixed"), [5000]).cycle_ends(25_000) == []


@pytest.mark.parametrize(("cycle_factor", "ends"), [(1, [30, 60, 90, 120, 150, 180, 210]), (2, [30, 90, 210])])
def test_a_cosine_cycle_ends_at_each_restart(cycle_factor, ends):
    schedule = named("cosine_restarts", max_lr=0.1, first_cycle=30, cycle_factor=cycle_factor)
    assert schedule.cycle_ends(210) == ends
    np.testing.assert_allclose(schedule(ends), 0.1)


@pytest.mark.parametrize("policy", ["fixed", "step", "exp", "decay", "cosine"])
def test_a_policy_without_cycles_has_no_cycle_ends(policy):
    assert example(policy).cycle_ends(100_000) == []


def test_the_cycles_of_a_policy_from_outside_end_by_its_step_size():
    def sawtooth(iteration, step_size):
        return np.asarray(iteration, float) % (2 * step_size)

    assert Schedule(sawtooth, {"step_size": 5}).cycle_ends(25) == [10, 20]
    assert Schedule(sawtooth, {"step_size": "long"}).cycle_ends(25) == []


def test_a_policy_from_outside_may_declare_where_its_cycles_end():
    def growing(iteration, first):
        return np.asarray(iteration, float)

    growing.cycle_ends = lambda iterations, first: [first, 3 * first, 7 * first]
    assert Schedule(growing, {"first": 10}).cycle_ends(50) == [10, 30]
    assert Schedule(growing, {"first": 10}, scale=0.5).cycle_ends(50) == [5, 15, 35]


@pytest.mark.parametrize("setting", ["warmup", "factor", "gamma", "window", "drops", "stages", "schedule", "base_lr", "ramp"])
def test_a_policy_from_outside_gives_its_settings_any_meaning(setting):
    namespace = {}
    exec(f"def policy(iteration, {setting}, max_lr=0): return iteration", namespace)
    assert Schedule(namespace["policy"], {setting: -5, "max_lr": -7})(3) == 3


def test_a_policy_from_outside_may_declare_what_its_settings_may_be():
    def short(iteration, length: Length, first):
        return iteration

    def check(length, first):
        if first > length:
            raise ValueError(f"first={first} is beyond length={length}: lower it")

    short.check = check
    with pytest.raises(ValueError, match="length=0 is impossible: it must be at least 1 iteration"):
        Schedule(short, {"length": 0, "first": 0})
    with pytest.raises(ValueError, match="first=3 is beyond length=2: lower it"):
        Schedule(short, {"length": 2, "first": 3})


# ---------------------------------------------------------------------------------------------------- an end


def test_one_cycle_has_as_many_rates_as_it_has_iterations():
    schedule = example("one_cycle")
    assert (schedule.end, Schedule(schedule.policy, schedule.settings, scale=0.2).end) == (500, 100)
    assert dropping(schedule).end == 500


def test_stages_end_with_the_first_schedule_that_is_too_short():
    cycles, once = example("triangular"), example("one_cycle")
    assert named("staged", stages=[{"start": 0, "schedule": once}, {"start": 500, "schedule": cycles}]).end is None
    assert named("staged", stages=[{"start": 0, "schedule": once}, {"start": 501, "schedule": cycles}]).end == 500
    assert named("staged", stages=[{"start": 0, "schedule": cycles}, {"start": 600, "schedule": once}]).end == 1100


@pytest.mark.parametrize("policy", sorted(POLICIES.keys() - {"one_cycle"}))
def test_other_policies_go_on_for_ever(policy):
    assert example(policy).end is None


# --------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("window", ["hann", "parabolic"])
def test_a_window_named_as_a_policy_is_answered_with_the_policies_that_take_it(window):
    with pytest.raises(ValueError, match=rf"'{window}' is a window: take policy triangular, or .* with window={window}"):
        named(window, **CYCLES)


@pytest.mark.parametrize("text", ["1e-3", "0.001", "-5"])
def test_a_number_that_came_as_text_is_told_apart_from_a_number(text):
    with pytest.raises(ValueError, match=rf"base_lr='{text}', a text and not a number .*must be a number of at least 0"):
        named("triangular", **{**CYCLES, "base_lr": text})


def test_an_unknown_policy_is_answered_with_those_that_exist():
    with pytest.raises(ValueError, match=r"'triangle' is unknown.*triangular, triangular2"):
        named("triangle", **CYCLES)


def test_an_unknown_setting_is_answered_with_those_that_exist():
    with pytest.raises(ValueError, match=r"gamma is not a setting of triangular: it has base_lr, max_lr, step_size, window, "):
        named("triangular", **CYCLES, gamma=0.9)


@pytest.mark.parametrize("missing", ["base_lr", "max_lr", "step_size"])
def test_a_missing_setting_is_named(missing):
    with pytest.raises(ValueError, match=rf"triangular2.*'{missing}'"):
        named("triangular2", **{key: value for key, value in CYCLES.items() if key != missing})


@pytest.mark.parametrize("max_lr", [0.001, 0.0005])
@pytest.mark.parametrize("policy", ["triangular", "triangular2", "exp_range", "decay", "one_cycle"])
def test_a_max_lr_that_is_not_above_base_lr_is_refused(policy, max_lr):
    with pytest.raises(ValueError, match=rf"max_lr={max_lr} is not above base_lr=0.001: raise max_lr or lower base_lr"):
        named(policy, **{**EXAMPLES[policy], "max_lr": max_lr})


@pytest.mark.parametrize(
    ("policy", "key", "value", "allowed"),
    [
        ("exp_range", "gamma", 0, "above 0 and at most 1"),
        ("exp_range", "gamma", 2, "above 0 and at most 1"),
        ("exp", "gamma", -0.5, "above 0 and at most 1"),
        ("exp_range", "decays", "both", "one of bounds, amplitude"),
        ("triangular", "window", "hanning", "one of triangular, parabolic, hann"),
        ("triangular", "step_size", 0, "at least 1 iteration"),
        ("triangular", "step_size", "4 epochs", "at least 1 iteration"),
        ("triangular", "base_lr", -0.1, "a number of at least 0"),
        ("triangular", "max_lr", float("nan"), "a number of at least 0"),
        ("triangular", "max_lr", float("inf"), "a number of at least 0"),
        ("fixed", "base_lr", None, "a number of at least 0"),
        ("fixed", "base_lr", True, "a number of at least 0"),
        ("step", "factor", 10, "above 0 and at most 1"),
        ("step", "drops", [100, -1], "a list of iterations of at least 0"),
        ("decay", "decay_iterations", 0, "at least 1 iteration"),
        ("one_cycle", "warmup", 0, "above 0 and below 1"),
        ("one_cycle", "warmup", 1, "above 0 and below 1"),
        ("one_cycle", "final_division", 0.5, "at least 1"),
        ("one_cycle", "iterations", 0, "at least 1 iteration"),
        ("cosine", "min_lr", -1, "a number of at least 0"),
        ("cosine_restarts", "first_cycle", 0, "at least 1 iteration"),
        ("cosine_restarts", "cycle_factor", 0.5, "at least 1"),
    ],
)
def test_an_impossible_value_is_refused_with_what_is_allowed(policy, key, value, allowed):
    with pytest.raises(ValueError, match="is impossible") as error:
        named(policy, **{**EXAMPLES[policy], key: value})
    assert str(error.value) == f"{key}={value} is impossible: it must be {allowed}"


@pytest.mark.parametrize("starts", [[], [5], [0, 20, 10], [0, 0]])
def test_stages_whose_starts_do_not_ascend_from_0_are_refused(starts):
    with pytest.raises(
        ValueError, match=r"stages=.* is impossible: it must be a list of mappings with `start`, ascending from 0"
    ):
        staged([(start, 0.1, 0.5, 10) for start in starts])


@pytest.mark.parametrize("key", ["gamma", "factor"])
def test_a_share_of_exactly_1_is_allowed(key):
    policy = {"gamma": "exp", "factor": "step"}[key]
    assert named(policy, **{**EXAMPLES[policy], key: 1})(70000) == pytest.approx(0.001)


def test_base_lr_may_be_0_as_in_the_range_test():
    assert named("triangular", base_lr=0, max_lr=0.02, step_size=4000)(0) == 0


@pytest.mark.parametrize(
    ("policy", "settings"),
    [
        ("dropping", {"schedule": 3, "drops": [5]}),
        ("dropping", {"schedule": triangular, "drops": 5}),
        ("staged", {"stages": 3}),
        ("staged", {"stages": [{"start": 0}]}),
        ("staged", {"stages": [{"start": 0, "schedule": "fixed"}]}),
        ("step", {"base_lr": 0.1, "drops": 5}),
        ("step", {"base_lr": 0.1, "drops": None}),
        ("triangular", {"base_lr": 0.1, "max_lr": 0.2, "step_size": 5, "window": []}),
        ("cosine", {"max_lr": 0.1, "min_lr": 0.5, "iterations": 10}),
    ],
)
def test_a_setting_of_another_kind_is_refused_like_an_impossible_one(policy, settings):
    with pytest.raises(ValueError, match=r"impossible|not above"):
        named(policy, **settings)


def test_numbers_of_numpy_are_numbers():
    schedule = named("triangular", base_lr=np.float32(0.1), max_lr=np.float64(0.5), step_size=np.int64(10))
    assert schedule(10) == pytest.approx(0.5)
