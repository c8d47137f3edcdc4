"""How arms stand beside each other, and why CLR wins, on made-up stores whose answer is known."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from made_up import CYCLES, FIXED, write_arm, write_run

from clrbench.analysis.arms import Arm, arms_of
from clrbench.analysis.curves import sensitivity
from clrbench.analysis.decomposition import decompose, decomposition_in_words
from clrbench.analysis.frames import differences_frame
from clrbench.analysis.pairs import leads, standing
from clrbench.analysis.wrong_bounds import deviations
from clrbench.runs import read_runs
from clrbench.stats import BETTER, EQUAL, OPEN, WORSE

BASE = (80.0, 80.4, 79.8, 80.1, 80.3)


def shifted(by: float) -> list[float]:
    return [value + by + (-1) ** at / 20 for at, value in enumerate(BASE)]


def arms_in(results: Path) -> list[Arm]:
    return arms_of(read_runs(results)[0])


# How gains stand


@pytest.mark.parametrize(
    ("gains", "stands"),
    [
        ([1.0, 1.2, 0.9, 1.1, 1.0], BETTER),
        ([-1.0, -1.2, -0.9, -1.1, -1.0], WORSE),
        ([0.1, -0.1, 0.2, -0.2, 0.0], EQUAL),
        ([3.0, -3.0, 2.0, -2.0, 1.0], OPEN),
        ([1.0, 1.2, 0.9, 1.1], OPEN),  # four seeds, however clear
        ([1.0, 2.4, 0.1, 0.2, 2.8], OPEN),  # a one-sided test shows it, but the 95% interval includes 0
        ([], OPEN),
    ],
)
def test_gains_are_better_or_worse_where_interval_and_signs_agree(gains: Sequence[float], stands: str) -> None:
    assert standing(gains, margin=0.5) == stands


def test_an_arm_of_which_runs_diverged_is_told_and_not_better_by_those_that_are_left(tmp_path: Path) -> None:
    for seed in range(1, 11):
        write_run(tmp_path, "fixed", seed, 80.0 + seed / 50)
        write_run(tmp_path, "triangular", seed, None if seed % 2 else 82.0 + seed / 60, schedule=CYCLES)
    arms = arms_in(tmp_path)
    assert leads(arms)[0].endswith("n = 5 common seeds; 5 of 10 runs of triangular diverged")
    (row,) = differences_frame(arms).to_dicts()
    assert (row["seeds"], row["diverged"], row["verdict"]) == (5, 5, OPEN)


def test_an_arm_whose_first_run_names_another_metric_is_compared_by_that_of_its_finished_runs(tmp_path: Path) -> None:
    write_arm(tmp_path, "fixed", BASE)
    write_run(tmp_path, "triangular", 0, None, schedule=CYCLES, metric="val_accuracy")
    write_arm(tmp_path, "triangular", shifted(2.0), schedule=CYCLES)
    (sentence,) = [one for one in leads(arms_in(tmp_path)) if "is ahead of" in one]
    assert sentence.endswith("n = 5 common seeds; 1 of 6 runs of triangular diverged")


def test_an_arm_of_which_all_runs_diverged_has_a_row_without_a_difference(tmp_path: Path) -> None:
    write_arm(tmp_path, "fixed", [*BASE, 80.0])
    write_arm(tmp_path, "triangular", [None] * 6, schedule=CYCLES)
    (row,) = differences_frame(arms_in(tmp_path)).to_dicts()
    assert (row["arm"], row["difference"], row["low"], row["diverged"], row["verdict"]) == ("triangular", None, None, 6, WORSE)


def test_the_best_fixed_rate_is_that_of_the_seeds_that_all_have(tmp_path: Path) -> None:
    for rate, ends in ((0.001, [70.0] * 6), (0.002, [80.0] * 5), (0.004, [81.0, None, 81.0, 81.0, 81.0])):
        write_arm(tmp_path, "fixed", ends, schedule={**FIXED, "base_lr": rate})
    write_arm(tmp_path, "triangular", shifted(2.0), schedule=CYCLES)
    (sentence,) = leads(arms_in(tmp_path))
    assert sentence.startswith("triangular is ahead of fixed (base_lr=0.002), the best of 3 fixed rates")


def test_a_policy_that_drops_is_what_it_is_without_the_drops(tmp_path: Path) -> None:
    def dropped(node: dict[str, Any]) -> dict[str, Any]:
        return {"_target_": "clrbench.schedules.dropping", "schedule": node, "drops": [200]}

    for rate in (0.001, 0.002, 0.004):
        write_arm(tmp_path, "fixed", BASE, schedule=dropped({**FIXED, "base_lr": rate}))
    write_arm(tmp_path, "triangular", shifted(2.0), schedule=dropped(CYCLES))
    (sentence,) = leads(arms_in(tmp_path))
    assert sentence.startswith("triangular is ahead of fixed (base_lr=0.001), the best of 3 fixed rates: +2.0")
    (run,) = (run for run in read_runs(tmp_path)[0] if (run.result.policy, run.result.seed) == ("triangular", 1))
    assert run.schedule is not None
    assert run.schedule([100, 300]) == pytest.approx([0.006, 0.0006])


def test_a_warm_up_before_a_fixed_rate_is_no_fixed_rate(tmp_path: Path) -> None:
    warmup = {"_target_": "mine.warmup", "schedule": FIXED, "iterations": 100}
    write_arm(tmp_path, "warmed", BASE, schedule=warmup)
    (arm,) = arms_in(tmp_path)
    assert not arm.is_fixed


def test_arms_of_another_precision_or_optimizer_are_no_rivals(tmp_path: Path) -> None:
    for kind in ("float32", "bfloat16", "adam"):
        is_precision = kind != "adam"
        config = {"trainer": {"precision": kind}} if is_precision else {"optimizer": {"name": kind}, "rule": kind}
        write_arm(tmp_path, "fixed", BASE, config=config)
        write_arm(tmp_path, "triangular", shifted(2.0), schedule=CYCLES, config=config)
    beside = [sentence for sentence in leads(arms_in(tmp_path)) if "is ahead of" in sentence]
    assert len(beside) == 3


@pytest.mark.parametrize(
    "setting",
    [
        {"data": {"sha256": "cifar10", "augment": "crop_flip"}},
        {"data": {"sha256": "cifar10", "evaluated_images": 9}},
        {"batch_size": 50},
    ],
)
def test_arms_on_other_pictures_or_batches_are_no_rivals(tmp_path: Path, setting: dict[str, Any]) -> None:
    write_arm(tmp_path, "fixed", BASE)
    write_arm(tmp_path, "triangular", shifted(2.0), schedule=CYCLES)
    for record in read_runs(tmp_path)[0]:
        if record.result.policy == "triangular":
            path = record.record.folder / "config.yaml"
            config = yaml.safe_load(path.read_text())
            path.write_text(yaml.safe_dump({**config, "identity": {**config["identity"], **setting}}))
    assert leads(arms_in(tmp_path)) == []


# What wrong bounds cost


def test_training_beside_the_bounds_found_says_what_being_wrong_costs(tmp_path: Path) -> None:
    for times, accuracies in ((1, BASE), (0.5, shifted(-1.0)), (2, shifted(2.0))):
        found = {"bounds": {"origin": "range_test (clear, by rise_and_slow): ramp-320-s1-0123456789", "times": times}}
        schedule = {**CYCLES, "max_lr": 0.006 * times}
        write_arm(tmp_path, "triangular", accuracies, experiment="found_bounds", schedule=schedule, config=found)
    steps = [deviation.step for deviation in deviations(arms_in(tmp_path))]
    assert [(step.name, round(step.mean), step.seeds) for step in steps if step] == [
        ("the bounds found times 0.5", -1, 5),
        ("the bounds found times 2", 2, 5),
    ]


def test_wrong_bounds_that_diverge_add_nothing_and_bounds_from_elsewhere_are_none_of_these(tmp_path: Path) -> None:
    for times, accuracies in ((1, BASE), (2, [None] * 5)):
        found = {"bounds": {"origin": "range_test (weak, by third): a ramp", "times": times}}
        write_arm(tmp_path, "triangular", accuracies, schedule={**CYCLES, "max_lr": 0.006 * times}, config=found)
    write_arm(tmp_path, "triangular", BASE, schedule={**CYCLES, "max_lr": 0.1})
    (found_twice,) = deviations(arms_in(tmp_path))
    assert (found_twice.times, found_twice.step) == (2, None)


# Why CLR wins


def write_controls(results: Path, **gains: float) -> list[Arm]:
    """Arms of experiment=controls, each by a constant over the same accuracies."""
    for policy, gain in gains.items():
        write_arm(results, policy, [value + gain for value in BASE], experiment="controls")
    return arms_of(read_runs(results)[0])


def test_the_controls_are_decomposed_into_drops_height_and_cycles(tmp_path: Path) -> None:
    arms = write_controls(tmp_path, fixed_base=0.0, fixed_drops=3.0, mean_drops=4.0, triangular2=4.5)
    assert [(step.name, round(step.mean, 6), step.seeds) for step in decompose(arms)] == [
        ("its drops", 3.0, 5),
        ("the height of its rate", 1.0, 5),
        ("its cycles", 0.5, 5),
    ]
    assert decomposition_in_words(arms) == [
        "At an equal budget the staged triangular2 gains +4.50 points [+4.50, +4.50] on the fixed rate: "
        "+3.00 points [+3.00, +3.00] by its drops, +1.00 points [+1.00, +1.00] by the height of its rate and "
        "+0.50 points [+0.50, +0.50] by its cycles (n = 5 common seeds).",
        "The cycles themselves add to this gain: a fixed rate as high on average, with the same drops, ends lower.",
    ]


def test_without_a_rate_as_high_as_the_cycles_what_they_add_is_not_told_from_its_height(tmp_path: Path) -> None:
    arms = write_controls(tmp_path, fixed_base=0.0, fixed_drops=3.0, decay_drops=4.0, triangular2=4.5)
    gain, cycles = decomposition_in_words(arms)
    assert gain.endswith(
        "+1.00 points [+1.00, +1.00] by a higher start and "
        "+0.50 points [+0.50, +0.50] by its cycles, with the higher rates that they bring (n = 5 common seeds)."
    )
    assert cycles == (
        "The cycles, or the higher rates with them, add to this gain: "
        "a rate that falls once from a higher start, with the same drops, ends lower. "
        "Which of both, `python train.py -m experiment=controls arm=controls/mean_drops seed=1,2,3,4,5` tells."
    )


def test_without_the_plain_fixed_rate_the_gain_over_the_one_with_drops_is_decomposed(tmp_path: Path) -> None:
    write_arm(tmp_path, "fixed_base", BASE[:2], experiment="controls")
    gain, _ = decomposition_in_words(write_controls(tmp_path, fixed_drops=3.0, mean_drops=4.0, triangular2=4.5))
    assert gain == (
        "At an equal budget the staged triangular2 gains +1.50 points [+1.50, +1.50] on a fixed rate with the same drops: "
        "+1.00 points [+1.00, +1.00] by the height of its rate and "
        "+0.50 points [+0.50, +0.50] by its cycles (n = 5 common seeds)."
    )


@pytest.mark.parametrize(
    ("adds", "said"),
    [
        ([0.3, 0.4, 0.3, 0.4, 0.3], "The cycles themselves add to this gain:"),
        ([-0.3, -0.4, -0.3, -0.4, -0.3], "The cycles themselves take from this gain:"),
        ([0.3, -0.4, 0.3, -0.4, 0.3], "That the cycles themselves add to this gain is not shown:"),
    ],
)
def test_whether_the_cycles_are_shown_follows_the_interval_of_what_they_add(
    tmp_path: Path, adds: list[float], said: str
) -> None:
    ends = [value + gain for value, gain in zip(BASE, adds, strict=True)]
    write_arm(tmp_path, "triangular2", ends, experiment="controls")
    _, cycles = decomposition_in_words(write_controls(tmp_path, fixed_drops=0.0, mean_drops=0.0))
    assert cycles.startswith(said)


def test_a_step_whose_arm_is_missing_is_left_out(tmp_path: Path) -> None:
    for policy in ("fixed_base", "fixed_drops"):
        write_arm(tmp_path, policy, BASE, experiment="controls")
    arms = arms_of(read_runs(tmp_path)[0])
    assert [step.name for step in decompose(arms)] == ["its drops"]
    assert decomposition_in_words(arms) == []


# Sensitivity


def test_arms_that_differ_in_the_step_size_are_a_line_over_it(tmp_path: Path) -> None:
    for step_size, by in ((100, 0.0), (50, 1.0), (200, -1.0)):
        write_arm(tmp_path, "triangular", [value + by for value in BASE], schedule={**CYCLES, "step_size": step_size})
    runs, _ = read_runs(tmp_path)
    found = sensitivity(arms_of(runs))
    assert list(found) == ["policy.step_size"]
    assert found["policy.step_size"]["value"].to_list() == [50, 100, 200]
    assert found["policy.step_size"]["accuracy"].to_list() == pytest.approx([81.12, 80.12, 79.12])


def test_bounds_that_move_together_are_one_line(tmp_path: Path) -> None:
    for factor in (0.5, 1, 2):
        bounds = {"base_lr": 0.001 * factor, "max_lr": 0.006 * factor}
        write_arm(tmp_path, "triangular", BASE, schedule={**CYCLES, **bounds})
    runs, _ = read_runs(tmp_path)
    assert list(sensitivity(arms_of(runs))) == ["policy.max_lr"]


def test_one_arm_has_no_sensitivity(tmp_path: Path) -> None:
    write_arm(tmp_path, "triangular", BASE, schedule=CYCLES)
    runs, _ = read_runs(tmp_path)
    assert sensitivity(arms_of(runs)) == {}
