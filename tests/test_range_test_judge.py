"""Bounds from curves whose answer is known: the paper's own, made-up ones of every kind, and generated ones."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.figure import Figure
from numpy.typing import NDArray

from clrbench.range_test.advice import FOUND, LENGTH, SEEDS
from clrbench.range_test.anchor import RULE, anchored
from clrbench.range_test.curve import Curve
from clrbench.range_test.judge import CLEAR, NONE, RULES, WEAK, FoundBounds, judge
from clrbench.range_test.laying import laid
from clrbench.range_test.picture import draw

Values = NDArray[np.float64]

# Read off the paper's figure (section 3.3): rates and accuracies in percent. The figure has 21 points, from 0 to 0.02.
PAPER = np.array([[0.001, 0.002, 0.005, 0.008, 0.012, 0.014, 0.02], [16, 31, 42, 48, 49.5, 51, 33]])
PAPER_RATES = np.linspace(0, 0.02, 21)
RATES = np.geomspace(1e-4, 1, 32)
BASE, MAX = 0.004, 0.05

# The same examples each time: a property of noise holds with a probability.
quick = settings(max_examples=30, deadline=None, derandomize=True)
slow = settings(max_examples=12, deadline=None, derandomize=True)


def curve(rates: Values, accuracies: Values, diverged_at: float | None = None) -> Curve:
    return Curve(rates, np.asarray(accuracies, float), np.full(len(rates), np.nan), diverged_at)


def height(rates: Values, base: float, most: float, form: str) -> Values:
    """0 below base, 1 above max; a logistic curve has done a tenth of its way at base, and nine tenths at max."""
    at = np.log(rates / base) / math.log(most / base)
    if form == "logistic":
        return np.asarray(1 / (1 + np.exp(-2 * math.log(9) * (at - 0.5))))
    straight = np.clip(at, 0, 1)
    return straight if form == "line" else straight**2 * (3 - 2 * straight)


def made(
    rates: Values = RATES,
    base: float = BASE,
    most: float = MAX,
    form: str = "logistic",
    noise: float = 0.5,
    seed: int = 0,
    spikes: int = 0,
    breaks: float = 4.0,
) -> Curve:
    """A curve that rises from 10% to 60% from base to max, and falls back at `breaks` times max."""
    rng = np.random.default_rng(seed)
    level = 10 + 50 * height(rates, base, most, form)
    level -= (level - 10) * np.clip(np.log(rates / (breaks * most)) / math.log(2), 0, 1)
    level += noise * rng.standard_normal(len(rates))
    level[rng.choice(len(rates), spikes, replace=False)] += 20 * rng.choice([-1, 1], spikes)
    return curve(rates, np.clip(level, 0, 100))


def seeds(count: int, noise: float = 0.5, seed: int = 0, **how: object) -> list[Curve]:
    return [made(noise=noise, seed=seed + 1000 * number, **how) for number in range(count)]  # type: ignore[arg-type]


def factor(found: float | None, truth: float) -> float:
    assert found is not None
    return math.exp(abs(math.log(found / truth)))


def said(bounds: FoundBounds) -> str:
    return " ".join(bounds.reasons)


# The paper's curve


def test_the_papers_curve_interpolated_to_its_21_points_gives_the_papers_bounds() -> None:
    accuracies = np.interp(PAPER_RATES, [0, *PAPER[0]], [10, *PAPER[1]])
    bounds = judge([curve(PAPER_RATES, accuracies)], 10)
    assert bounds.verdict == CLEAR
    assert factor(bounds.base_lr, 0.001) < 1.5
    assert factor(bounds.max_lr, 0.006) < 1.5


def test_its_seven_readings_alone_give_about_the_same_with_doubts() -> None:
    bounds = judge([curve(*PAPER)], 10)
    assert bounds.verdict == WEAK
    assert factor(bounds.base_lr, 0.001) < 1.5
    assert factor(bounds.max_lr, 0.006) < 1.5


@pytest.mark.parametrize(("rule", "divisor"), [("third", 3), ("quarter", 4)])
def test_the_second_rule_takes_the_best_point_and_a_share_of_it(rule: str, divisor: float) -> None:
    bounds = judge(seeds(3, form="line", breaks=1.5), 10, rule)
    assert (bounds.verdict, bounds.rule) == (CLEAR, rule)
    assert factor(bounds.max_lr, 1.2 * MAX) < 1.5
    assert bounds.max_lr == pytest.approx(divisor * (bounds.base_lr or 0))
    assert bounds.max_interval == pytest.approx([divisor * end for end in bounds.base_interval or ()], rel=0.3)


def test_a_rule_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(ValueError, match="rule=half is unknown: choose one of rise_and_slow, third, quarter"):
        judge([made()], 10, "half")


# Known truths


@pytest.mark.slow
@given(
    form=st.sampled_from(["logistic", "line", "smooth"]),
    base=st.floats(1e-4, 0.1),
    ratio=st.floats(5, 30),
    noise=st.floats(0, 1),
    points=st.integers(20, 60),
    count=st.sampled_from([1, 3]),
    seed=st.integers(0, 999),
)
@quick
def test_bounds_lie_within_a_factor_of_two_of_the_truth(
    form: str, base: float, ratio: float, noise: float, points: int, count: int, seed: int
) -> None:
    most = base * ratio
    rates = np.geomspace(base / 8, most * 10, points)
    bounds = judge(seeds(count, noise, seed, rates=rates, base=base, most=most, form=form), 10)
    assert bounds.verdict != NONE
    assert factor(bounds.base_lr, base) < 2
    assert factor(bounds.max_lr, most) < 2


@given(form=st.sampled_from(["logistic", "line", "smooth"]), points=st.integers(30, 60), seed=st.integers(0, 999))
@quick
def test_a_linear_ramp_is_judged_like_an_exponential_one(form: str, points: int, seed: int) -> None:
    rates = np.linspace(0, 5 * MAX, points + 1)[1:]
    bounds = judge(seeds(3, seed=seed, rates=rates, base=MAX / 10, form=form, breaks=3), 10)
    # It reads nothing below its first step.
    assert factor(bounds.base_lr, max(MAX / 10, rates[0])) < 2
    assert factor(bounds.max_lr, MAX) < 2


@pytest.mark.slow
@given(noise=st.floats(0, 20), spikes=st.integers(0, 3), count=st.sampled_from([1, 3]), seed=st.integers(0, 9999))
@quick
def test_however_noisy_a_curve_clear_bounds_are_not_far_off(noise: float, spikes: int, count: int, seed: int) -> None:
    bounds = judge(seeds(count, noise, seed, spikes=spikes), 10)
    if bounds.verdict == CLEAR:
        assert factor(bounds.base_lr, BASE) < 3
        assert factor(bounds.max_lr, MAX) < 3


@pytest.mark.slow
@given(seed=st.integers(0, 999), at=st.integers(3, 28), up=st.booleans())
@slow
def test_one_spike_moves_bounds_little(seed: int, at: int, up: bool) -> None:
    clean = made(seed=seed)
    accuracies = clean.accuracies.copy()
    accuracies[at] += 25 if up else -25
    before, after = judge([clean], 10), judge([curve(RATES, np.clip(accuracies, 0, 100))], 10)
    assert factor(after.base_lr, before.base_lr or 0) < 1.6
    assert factor(after.max_lr, before.max_lr or 0) < 1.6


def test_more_seeds_make_clear_what_one_leaves_in_doubt() -> None:
    assert judge(seeds(1, 6), 10).verdict != CLEAR
    assert judge(seeds(12, 6), 10).verdict == CLEAR


@pytest.mark.parametrize("count", [1, 3])
def test_the_interval_grows_with_the_noise(count: int) -> None:
    calm, loud = judge(seeds(count, 0.2), 10), judge(seeds(count, 4), 10)
    for quiet, noisy in ((calm.base_interval, loud.base_interval), (calm.max_interval, loud.max_interval)):
        assert quiet is not None
        assert noisy is not None
        assert quiet[1] / quiet[0] < noisy[1] / noisy[0]


# What holds of any curve


@given(
    accuracies=st.lists(arrays(float, 12, elements=st.floats(0, 100, width=32)), min_size=1, max_size=3),
    losses=arrays(float, 12, elements=st.floats(0, 20) | st.sampled_from([math.nan, math.inf])),
    diverged=st.none() | st.floats(0, 0.3),
    start=st.sampled_from([0.0, 1e-3]),
    classes=st.sampled_from([2, 10, 100]),
    rule=st.sampled_from(RULES),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_any_curve_has_ordered_bounds_within_their_intervals_or_a_reason(
    accuracies: Sequence[Values], losses: Values, diverged: float | None, start: float, classes: int, rule: str
) -> None:
    rates = np.linspace(start, 0.2, 12)
    bounds = judge([Curve(rates, values, losses, diverged) for values in accuracies], classes, rule)
    assert all(sentence.endswith(".") for sentence in bounds.reasons)
    assert bounds.reasons
    if bounds.verdict == NONE:
        assert bounds.base_lr is bounds.max_lr is bounds.base_interval is bounds.max_interval is None
        return
    assert bounds.base_lr is not None
    assert bounds.max_lr is not None
    assert bounds.base_interval is not None
    assert bounds.max_interval is not None
    assert 0 < bounds.base_lr < bounds.max_lr
    assert bounds.base_interval[0] <= bounds.base_lr <= bounds.base_interval[1]
    assert bounds.max_interval[0] <= bounds.max_lr <= bounds.max_interval[1]


@pytest.mark.slow
@given(scale=st.floats(1e-3, 1e3), noise=st.floats(0.1, 5), count=st.sampled_from([1, 3]), seed=st.integers(0, 999))
@slow
def test_bounds_scale_with_the_rates(scale: float, noise: float, count: int, seed: int) -> None:
    curves = seeds(count, noise, seed)
    here = judge(curves, 10)
    there = judge([Curve(scale * one.rates, one.accuracies, one.losses) for one in curves], 10)
    assert here.verdict == there.verdict
    if here.verdict != NONE:
        assert there.base_lr == pytest.approx(scale * (here.base_lr or 0))
        assert there.max_lr == pytest.approx(scale * (here.max_lr or 0))
        assert there.max_interval == pytest.approx([scale * end for end in here.max_interval or ()])


def test_the_same_curves_in_any_order_give_the_same_bounds() -> None:
    curves = seeds(3, 2)
    assert judge(curves, 10) == judge(curves, 10)
    assert judge(curves[:1], 10) == judge(curves[:1], 10)
    assert judge(curves[::-1], 10).max_lr == pytest.approx(judge(curves, 10).max_lr)


# What shows no bounds, and what to try


@given(noise=st.floats(0, 10), count=st.sampled_from([1, 3]), seed=st.integers(0, 999))
@quick
def test_a_curve_that_never_learns_is_refused(noise: float, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    bounds = judge([curve(RATES, 10 + noise * rng.standard_normal(len(RATES))) for _ in range(count)], 10)
    assert bounds.verdict == NONE
    assert FOUND in said(bounds) or "The noise hides it" in said(bounds)


def test_a_flat_curve_is_told_to_have_its_range_found() -> None:
    assert said(judge([curve(RATES, np.full(32, 10.0))], 10)) == (
        f"Accuracy never rises: it stays near 10% (guessing: 10%). Training does not break up to 1: {FOUND}, or check the data."
    )


def test_a_curve_that_had_learned_at_the_first_rate_is_told_to_start_lower() -> None:
    started = judge([made(np.geomspace(2 * BASE, 1, 30))], 10)
    assert (started.verdict, started.rule) == (WEAK, "rise_and_slow")
    assert "base_lr is an upper limit" in said(started)
    at_once = judge([curve(RATES, np.where(RATES < 0.3, 80.0, 10.0))], 10)
    assert at_once.verdict == NONE
    assert "80% from the lowest rate" in said(at_once)


@pytest.mark.slow
@given(
    start=st.floats(0.3 * MAX, 0.45 * MAX),
    ramp=st.sampled_from([np.linspace, np.geomspace]),
    noise=st.floats(0, 0.5),
    count=st.sampled_from([1, 3]),
    seed=st.integers(0, 999),
)
@quick
def test_where_the_start_of_the_rise_is_not_seen_the_best_point_gives_weak_bounds(
    start: float, ramp: Callable[..., Values], noise: float, count: int, seed: int
) -> None:
    bounds = judge(seeds(count, noise, seed, rates=ramp(start, 6 * MAX, 20), form="line"), 10)
    assert (bounds.verdict, bounds.rule) == (WEAK, "third")
    assert "where it starts is not seen" in said(bounds)
    assert f"for the first, {FOUND}" in said(bounds)
    # It is level from MAX up to four times that, where it begins to fall.
    assert MAX / 1.5 < (bounds.max_lr or 0) < 6 * MAX
    assert bounds.max_lr == pytest.approx(3 * (bounds.base_lr or 0))


def test_of_a_curve_that_never_breaks_max_is_doubtful() -> None:
    rising = judge(seeds(3, form="line", most=20), 10)
    assert rising.verdict == WEAK
    assert rising.max_lr == pytest.approx(1)
    assert f"max_lr is a lower limit: {FOUND}" in said(rising)
    level = judge(seeds(3, breaks=1000), 10)
    assert level.verdict == WEAK
    assert factor(level.max_lr, MAX) < 2
    assert "does not break" in said(level)


def test_a_curve_that_breaks_while_it_rises_has_its_max_below_the_break() -> None:
    whole = made(form="line", most=1)
    falls = curve(RATES, np.where(RATES < 0.1, whole.accuracies, 10))
    stops = curve(RATES[RATES < 0.1], whole.accuracies[RATES < 0.1], diverged_at=0.1)
    for broken in (falls, stops):
        bounds = judge([broken], 10)
        assert bounds.verdict == CLEAR
        assert 0.04 < (bounds.max_lr or 0) < 0.1


def test_the_last_reading_alone_shows_a_break_where_it_has_lost_half_of_the_rise() -> None:
    level = [10, 10, 11, 13, 20, 35, 55, 74, 85, 90, 91, 91, 92, 92, 92, 91, 91, 90, 89]
    ends = {end: said(judge([curve(np.geomspace(1e-3, 1, 20), np.array([*level, end]))], 10)) for end in (45, 80)}
    assert "breaks after 0.7" in ends[45]
    assert "does not break" in ends[80]


def test_max_lies_below_where_accuracy_gets_ragged() -> None:
    whole = made(form="line", most=1)
    ragged = np.where((RATES > 0.1) & (np.arange(32) % 2 == 0), whole.accuracies - 15, whole.accuracies)
    assert 0.03 < (judge([curve(RATES, ragged)], 10).max_lr or 0) < 0.13


def test_a_curve_that_breaks_by_its_second_reading_is_told_to_have_its_range_found() -> None:
    bounds = judge([curve(RATES, np.where(np.arange(32) < 2, [20, 50, *[0] * 30], 10))], 10)
    assert bounds.verdict == NONE
    assert FOUND in said(bounds)


def test_training_that_diverges_at_once_is_told_to_have_its_range_found() -> None:
    bounds = judge([curve(RATES[:2], np.full(2, 10.0), diverged_at=2e-4)] * 3, 10)
    assert bounds.verdict == NONE
    assert "Training diverged at 0.0002 after 2 readings" in said(bounds)
    assert FOUND in said(bounds)


def test_the_seed_that_diverges_first_limits_max() -> None:
    curves = seeds(2, form="line", most=1)
    short = RATES < 0.05
    curves.append(curve(RATES[short], curves[0].accuracies[short], diverged_at=0.05))
    assert (judge(curves, 10).max_lr or 0) < 0.05


@pytest.mark.parametrize("points", [0, 1, 4])
def test_fewer_than_five_readings_are_too_few(points: int) -> None:
    bounds = judge([made(RATES[:points])], 10)
    assert bounds.verdict == NONE
    assert f"There are {points} readings" in said(bounds)
    assert "`points`" in said(bounds)
    assert judge([], 10).verdict == NONE


def test_a_rise_from_the_share_of_the_largest_class_is_doubtful_and_found() -> None:
    accuracies = made().accuracies
    bounds = judge([curve(RATES, 60 + 0.6 * (accuracies - 10))], 10)
    assert bounds.verdict == WEAK
    assert "Before it rises accuracy is 60% already" in said(bounds)
    assert factor(bounds.base_lr, BASE) < 2


# Where advice leads


@dataclass(frozen=True)
class Tried:
    """What a user tries. ends: None to have the range found."""

    ends: tuple[float, float] | None
    seeds: int = 3
    points: int = 20

    def answer(self, rule: str, truth: Callable[[Values, int], Curve]) -> FoundBounds:
        def ramps(low: float, high: float) -> list[Curve]:
            rates = np.linspace(low, high, self.points + 1)[1:]
            return [truth(rates, number) for number in range(self.seeds)]

        curves = ramps(0, laid(1.0, lambda high: ramps(0, high)[0])) if self.ends is None else ramps(*self.ends)
        is_given = self.ends is not None
        return anchored(curves, is_given=is_given) if rule == RULE else judge(curves, 10, rule, is_given)

    def following(self, bounds: FoundBounds) -> "Tried":
        """After all that the answer advises."""
        return Tried(
            None if FOUND in said(bounds) else self.ends,
            max(12, self.seeds) if SEEDS in said(bounds) else self.seeds,
            max(60, self.points) if LENGTH in said(bounds) else self.points,
        )


@given(
    rule=st.sampled_from([RULE, *RULES]),
    most=st.floats(1e-5, 10),
    low=st.sampled_from([0, 1e-3, 0.3]),
    high=st.floats(1e-6, 1e3),
    height=st.sampled_from([0.0, 1.0, 8.0, 50.0]),
    start=st.sampled_from([10.0, 60.0]),
    noise=st.sampled_from([0.0, 0.5, 8.0]),
    seed=st.integers(0, 999),
)
@settings(max_examples=60, deadline=None, derandomize=True, phases=[Phase.generate])
def test_whoever_follows_the_advice_comes_to_an_end_in_three_steps(
    rule: str, most: float, low: float, high: float, height: float, start: float, noise: float, seed: int
) -> None:
    def truth(rates: Values, number: int) -> Curve:
        whole = made(rates, most / 10, most, noise=noise, seed=seed + 1000 * number)
        level = np.clip(start + (whole.accuracies - 10) * height / 50, 0, 100)
        is_broken = rates > 20 * most
        return curve(rates[~is_broken], level[~is_broken], rates[is_broken][0] if is_broken.any() else None)

    tried = [Tried((low * high, high))]
    for _ in range(4):
        bounds = tried[-1].answer(rule, truth)
        asides = re.findall("`[^`]*`", re.sub("|".join(map(re.escape, (FOUND, SEEDS, LENGTH))), "", said(bounds)))
        assert asides == []
        tried.append(tried[-1].following(bounds))
    assert tried[3] == tried[4]


# The loss


def test_losses_that_are_not_numbers_are_left_out() -> None:
    plain = made()
    gain = height(RATES, BASE, MAX, "logistic")
    losses = math.log(10) - 1.5 * gain
    known = judge([Curve(RATES, plain.accuracies, losses)], 10)
    holes = judge([Curve(RATES, plain.accuracies, np.where(RATES > 0.3, np.inf, losses))], 10)
    assert known == holes
    assert factor(known.max_lr, judge([plain], 10).max_lr or 0) < 1.3


def test_a_loss_that_slows_elsewhere_puts_max_in_doubt() -> None:
    losses = math.log(10) - 1.5 * height(RATES, 1e-4, 1e-3, "logistic")
    bounds = judge([Curve(RATES, made().accuracies, losses)], 10)
    assert (bounds.verdict, bounds.rule) == (WEAK, "third")
    assert "The detectors of where the rise starts and slows differ by a factor of" in said(bounds)


# What cannot be a curve


@pytest.mark.parametrize("rates", [[0.1, 0.1, 0.2], [0.2, 0.1, 0.3]])
def test_rates_must_ascend(rates: list[float]) -> None:
    with pytest.raises(ValueError, match="must ascend"):
        curve(np.array(rates), np.zeros(3))


def test_rates_and_accuracies_must_be_of_one_length() -> None:
    with pytest.raises(ValueError, match="one length"):
        Curve(np.ones(2), np.ones(3), np.ones(2))


# The picture


@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_same_curves_make_the_same_picture(tmp_path: Path, count: int) -> None:
    curves = seeds(count)
    bounds = judge(curves, 10)
    for name in ("one.svg", "two.svg", "one.png"):
        draw(curves, bounds, "made $up", tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_that_diverged_is_drawn_to_where_it_did(tmp_path: Path) -> None:
    curves = [curve(RATES[:20], made().accuracies[:20], diverged_at=float(RATES[20]))]
    draw(curves, judge(curves, 10), "diverged", tmp_path / "diverged.svg")
    assert (tmp_path / "diverged.svg").stat().st_size > 5000


@pytest.mark.parametrize("span", [(0.02, 0.4), (0.001, 0.01), (1e-6, 10.0)])
def test_the_picture_shows_readings_chance_loss_best_point_and_four_rates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, span: tuple[float, float]
) -> None:
    drawn: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda figure, *given, **how: (drawn.append(figure), save(figure, *given, **how)))
    rates = np.geomspace(*span, 20)
    rise = height(rates, 2 * span[0], span[1] / 3, "line")
    curves = [Curve(rates, 10 + 50 * rise, 2.3 - rise)]
    draw(curves, anchored(curves), "made up", tmp_path / "picture.svg", classes=10)
    axes, beside = drawn[0].axes
    named = [str(line.get_label()) for line in axes.lines]
    assert {"best point of a ramp", "guessing 10%"} <= set(named)
    assert axes.lines[0].get_marker() == "."
    assert [str(line.get_label()) for line in beside.lines] == [beside.get_ylabel()] == ["loss"]
    assert beside.lines[0].get_ydata() == pytest.approx(2.3 - rise)
    low, high = axes.get_xlim()
    assert sum(low <= at <= high for at in axes.get_xticks()) >= 4
