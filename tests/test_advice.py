"""What is advised, and why CLR wins, on made-up stores whose answer is known."""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from made_up import CYCLES, FIXED, write_arm

from clrbench.analysis.advice import CYCLE, KEEP, RIGHT, UNKNOWN, WRONG, Advice, advise
from clrbench.analysis.arms import arms_of
from clrbench.analysis.curves import sensitivity
from clrbench.analysis.decomposition import decompose, decomposition_in_words
from clrbench.runs import read_runs

BASE = (80.0, 80.4, 79.8, 80.1, 80.3)


def shifted(by: float) -> list[float]:
    return [value + by + (-1) ** at / 20 for at, value in enumerate(BASE)]


def write_fixed(results: Path, accuracies: Sequence[float] = BASE, **settings: Any) -> None:
    """The fixed rate as somebody tunes it: one rate ends with `accuracies`, half and twice of it two points lower."""
    for rate, by in ((0.001, 0.0), (0.0005, -2.0), (0.002, -2.0)):
        schedule = {**FIXED, "base_lr": rate}
        write_arm(results, "fixed", [value + by for value in accuracies], schedule=schedule, **settings)


def advice(results: Path) -> list[Advice]:
    runs, _ = read_runs(results)
    return advise(arms_of(runs), "cifar10", "cifar10_full")


@pytest.mark.parametrize(("by", "choice"), [(2.0, CYCLE), (-2.0, KEEP), (0.0, KEEP)])
def test_five_seeds_that_agree_give_an_advice(tmp_path: Path, by: float, choice: str) -> None:
    write_fixed(tmp_path)
    write_arm(tmp_path, "triangular", shifted(by), schedule=CYCLES)
    (found,) = advice(tmp_path)
    assert (found.choice, found.command, found.seeds) == (choice, "", 5)
    assert found.gain == pytest.approx(by, abs=0.1)
    assert any("base_lr 0.001, max_lr 0.006, step_size 100" in line for line in found.because)


def test_a_policy_that_drops_is_what_it_is_without_the_drops(tmp_path: Path) -> None:
    def dropped(node: dict[str, Any]) -> dict[str, Any]:
        return {"_target_": "clrbench.schedules.dropping", "schedule": node, "drops": [200]}

    for rate in (0.001, 0.002, 0.004):
        write_arm(tmp_path, "fixed", BASE, schedule=dropped({**FIXED, "base_lr": rate}))
    write_arm(tmp_path, "triangular", shifted(2.0), schedule=dropped(CYCLES))
    (found,) = advice(tmp_path)
    assert found.fixed is not None
    assert (found.choice, found.fixed.name) == (CYCLE, "fixed")
    assert any("base_lr 0.001, max_lr 0.006, step_size 100" in line for line in found.because)
    (run,) = (run for run in found.best.runs if run.result.seed == 1) if found.best else ()
    assert run.schedule is not None
    assert run.schedule([100, 300]) == pytest.approx([0.006, 0.0006])


def test_unequal_budgets_are_not_compared(tmp_path: Path) -> None:
    write_fixed(tmp_path, iterations=700)
    write_arm(tmp_path, "triangular", shifted(2.0), schedule=CYCLES, iterations=250)
    (found,) = advice(tmp_path)
    assert found.choice == UNKNOWN
    assert found.because == ["no fixed rate has the same budget as cycles, so there is nothing to compare"]


def test_one_untuned_fixed_rate_gives_no_advice_but_the_command_that_tunes_it(tmp_path: Path) -> None:
    write_arm(tmp_path, "fixed", BASE)
    write_arm(tmp_path, "triangular", shifted(2.0), schedule=CYCLES)
    (found,) = advice(tmp_path)
    assert found.choice == UNKNOWN
    assert "the fixed rate was tried at 0.001 alone: this proves nothing for cycles" in found.because[-1]
    # These five seeds have run: the same ones would settle nothing that they have not.
    assert found.command == "python train.py -m experiment=compare data=cifar10 model=cifar10_full seed=6,7,8,9,10"


def test_too_few_or_disagreeing_seeds_give_the_command_that_would_settle_it(tmp_path: Path) -> None:
    write_fixed(tmp_path)
    write_arm(tmp_path, "triangular", shifted(9.0)[:4], schedule=CYCLES)
    (found,) = advice(tmp_path)
    assert (found.choice, found.command) == (UNKNOWN, "make sweep EXPERIMENT=table1 SEEDS=1,2,3,4,5")


def test_the_command_that_would_settle_it_repeats_what_was_changed_in_the_experiment(tmp_path: Path) -> None:
    typed = ["experiment=table1", "arm=table1/fixed", "model.net.depth=20", "scale=0.2", "seed=1"]
    write_fixed(tmp_path, BASE[:1], config={"overrides": typed})
    write_arm(tmp_path, "triangular", BASE[:1], schedule=CYCLES, config={"overrides": typed})
    (found,) = advice(tmp_path)
    assert found.command == "python train.py -m experiment=table1 ++model.net.depth=20 scale=0.2 seed=1,2,3,4,5"


@pytest.mark.parametrize(("policy", "schedule"), [("fixed", FIXED), ("triangular", CYCLES)])
def test_without_a_rival_nothing_is_advised(tmp_path: Path, policy: str, schedule: dict[str, object]) -> None:
    write_arm(tmp_path, policy, BASE, schedule=schedule)
    (found,) = advice(tmp_path)
    assert found.choice == UNKNOWN
    assert found.because == [f"no finished run with {'a cyclical policy' if policy == 'fixed' else 'a fixed rate'}"]


def test_arms_in_another_precision_are_no_rivals(tmp_path: Path) -> None:
    for precision, by in (("float32", 2.0), ("bfloat16", -2.0)):
        setting = {"trainer": {"precision": precision}}
        write_fixed(tmp_path, shifted(1.0 + by), config=setting)
        write_arm(tmp_path, "triangular", shifted(2.0 * by), schedule=CYCLES, config=setting)
    assert [(found.arithmetic, found.choice) for found in advice(tmp_path)] == [("", CYCLE), ("bfloat16", KEEP)]


def test_an_experiment_without_rivals_is_not_proposed_again(tmp_path: Path) -> None:
    typed = ["policy.step_size=4 epochs", "seed=1", "experiment=step_size", "trainer=gpu"]
    write_arm(tmp_path, "triangular2", BASE, schedule=CYCLES, experiment="step_size", config={"overrides": typed})
    (found,) = advice(tmp_path)
    assert found.command == "python train.py -m experiment=compare data=cifar10 model=cifar10_full seed=6,7,8,9,10"


def test_the_command_that_would_settle_shipped_runs_leaves_the_device_to_the_reader(tmp_path: Path) -> None:
    for source, place in (("evidence", []), ("runs", ["trainer=gpu"])):
        typed = ["experiment=table1", "arm=table1/fixed", "scale=0.2", "seed=1", "trainer=gpu"]
        write_fixed(tmp_path / source, BASE[:1], source=source, config={"overrides": typed})
        write_arm(tmp_path / source, "hann", BASE[:1], schedule=CYCLES, source=source, config={"overrides": typed})
        (found,) = advice(tmp_path / source)
        assert found.command == f"python train.py -m experiment=table1 {' '.join(['scale=0.2', *place])} seed=1,2,3,4,5"


def test_the_best_fixed_rate_is_the_rival_and_which_were_tried_is_told(tmp_path: Path) -> None:
    for rate, by in ((0.001, 0.0), (0.002, 3.0), (0.004, -1.0)):
        write_arm(tmp_path, "fixed", [value + by for value in BASE], schedule={**FIXED, "base_lr": rate})
    write_arm(tmp_path, "triangular", shifted(2.0), schedule=CYCLES)
    (found,) = advice(tmp_path)
    assert found.fixed is not None
    assert found.fixed.label == "fixed (base_lr=0.002)"
    assert found.choice == KEEP
    assert any("of the fixed rates 0.001, 0.002, 0.004" in line for line in found.because)


def test_an_arm_that_diverged_is_never_the_best(tmp_path: Path) -> None:
    write_arm(tmp_path, "fixed", BASE)
    write_arm(tmp_path, "triangular", [None] * 5, schedule=CYCLES)
    assert [found.choice for found in advice(tmp_path)] == [UNKNOWN]


@pytest.mark.parametrize(
    ("by", "seeds", "choice"), [(-2.0, 5, RIGHT), (0.0, 5, RIGHT), (2.0, 5, WRONG), (2.0, 4, UNKNOWN), (-2.0, 4, UNKNOWN)]
)
def test_training_beside_the_bounds_found_says_what_being_wrong_costs(
    tmp_path: Path, by: float, seeds: int, choice: str
) -> None:
    for times, accuracies in ((1, BASE), (0.5, shifted(-1.0)), (2, shifted(by))):
        found = {"bounds": {"origin": "range_test (clear, by rise_and_slow): ramp-320-s1-0123456789", "times": times}}
        schedule = {**CYCLES, "max_lr": 0.006 * times}
        write_arm(tmp_path, "triangular", accuracies[:seeds], experiment="found_bounds", schedule=schedule, config=found)
    (advised,) = advice(tmp_path)
    assert advised.choice == choice
    assert advised.because[0].startswith("triangular, base_lr 0.001, max_lr 0.006, step_size 100: 80.")
    half, double = advised.because[1:]
    assert re.match(r"with 0.5 times these bounds: -(0.9|1.0)\d points \[-1.\d\d, -0.\d\d\], n = \d common seeds", half)
    assert double.startswith("with 2 times these bounds: ")
    command = "python train.py -m experiment=found_bounds data=cifar10 model=cifar10_full seed=1,2,3,4,5"
    assert advised.command == (command if choice == UNKNOWN else "")


def test_wrong_bounds_that_diverge_are_told_and_bounds_from_elsewhere_are_none_of_these(tmp_path: Path) -> None:
    for times, accuracies in ((1, BASE), (2, [None] * 5)):
        found = {"bounds": {"origin": "range_test (weak, by third): a ramp", "times": times}}
        write_arm(tmp_path, "triangular", accuracies, schedule={**CYCLES, "max_lr": 0.006 * times}, config=found)
    (advised,) = advice(tmp_path)
    assert advised.because[1] == "with 2 times these bounds: 5 of 5 runs diverged"
    write_arm(tmp_path, "triangular", BASE, source="runs", schedule={**CYCLES, "max_lr": 0.1})
    assert advice(tmp_path)[1].because == ["no finished run with a fixed rate"]


def test_shipped_and_own_runs_are_advised_on_separately(tmp_path: Path) -> None:
    for source in ("evidence", "runs"):
        write_fixed(tmp_path, source=source)
        write_arm(tmp_path, "triangular", shifted(2.0 if source == "runs" else -2.0), schedule=CYCLES, source=source)
    assert [(found.source, found.choice) for found in advice(tmp_path)] == [("evidence", KEEP), ("runs", CYCLE)]


def test_rates_of_one_optimizer_are_no_rivals_of_anothers(tmp_path: Path) -> None:
    for optimizer, by in (("adam", 2.0), ("nesterov", -2.0)):
        config = {"optimizer": {"name": optimizer}, "rule": optimizer}
        write_fixed(tmp_path, config=config)
        write_arm(tmp_path, "triangular", shifted(by), schedule=CYCLES, config=config)
    assert [(found.optimizer, found.choice) for found in advice(tmp_path)] == [("adam", CYCLE), ("nesterov", KEEP)]


def test_a_data_set_without_runs_is_answered_with_those_that_have_some(tmp_path: Path) -> None:
    write_arm(tmp_path, "fixed", BASE)
    (found,) = advise(arms_of(read_runs(tmp_path)[0]), "cifar", "cifar10_full")
    assert found.because == ["no run of cifar10_full on cifar; there are runs of cifar10_full on cifar10"]


def test_the_command_repeats_what_was_typed_for_data_of_ones_own(tmp_path: Path) -> None:
    typed = ["data=npz", "data.path=my images.npz", "data.name=mine", "policy=triangular", "seed=1", "iterations=400"]
    write_arm(tmp_path, "triangular", BASE, schedule=CYCLES, experiment="adhoc", config={"overrides": typed})
    (found,) = advice(tmp_path)
    assert found.command == (
        "python train.py -m experiment=compare model=cifar10_full data=npz 'data.path=my images.npz' data.name=mine "
        "iterations=400 seed=6,7,8,9,10"
    )


def test_the_command_says_how_to_begin_where_there_are_no_runs(tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "scripts" / "advise.py", "mnist", "small_cnn", "--results", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "small_cnn on mnist: not enough runs",
        "  - no run of small_cnn on mnist",
        "  what would settle it: python train.py -m experiment=compare data=mnist model=small_cnn seed=1,2,3,4,5",
    ]


# Why CLR wins


def test_the_controls_are_decomposed_into_drops_height_and_cycles(tmp_path: Path) -> None:
    for policy, by in (("fixed_base", 0.0), ("fixed_drops", 3.0), ("decay_drops", 4.0), ("triangular2", 4.5)):
        write_arm(tmp_path, policy, [value + by for value in BASE], experiment="controls")
    arms = arms_of(read_runs(tmp_path)[0])
    assert [(step.name, round(step.mean, 6), step.seeds) for step in decompose(arms)] == [
        ("its drops", 3.0, 5),
        ("the height of the rate", 1.0, 5),
        ("the cycles", 0.5, 5),
    ]
    assert decomposition_in_words(arms) == [
        "Of the gain of the staged triangular2 over the fixed rate at an equal budget, +4.50 points [+4.50, +4.50], "
        "+3.00 points [+3.00, +3.00] come from its drops, +1.00 points [+1.00, +1.00] come from the height of the rate and "
        "+0.50 points [+0.50, +0.50] come from the cycles (n = 5 common seeds)."
    ]


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
