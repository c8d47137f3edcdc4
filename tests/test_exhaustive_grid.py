"""What the full grid beside a decision runs, and what it finds."""

from pathlib import Path
from typing import Any

import pytest
from made_up import write_run

from clrbench.measure import PERCENT, Measure
from clrbench.runs import OWN, read_runs
from exhaustive_grid import SEEDS, Grid, grid, regret, sweeps, table

DECISION: dict[str, Any] = {
    **{"mode": "max", "metric": "test_accuracy", "unit": "%", "margin": 0.5},
    "chosen": {"family": "fixed", "base_lr": 0.005, "max_lr": 0.02},
    "command": "python train.py data.training_images=100 'iterations=16 epochs' arm=decide/fixed "
    "bounds.base_lr=0.005 bounds.max_lr=0.02 seed=1",
    "arms": {"fixed": "decide/fixed", "waves": "mine/waves"},
    "peaks": {"fixed": {"0.02": 90.0, "0.04": 91.0}, "waves": {"0.04": 92.0}},
}


def found(fixed: float, waves: float) -> Grid:
    return {("fixed", 0.02): dict.fromkeys(SEEDS, fixed), ("waves", 0.04): dict.fromkeys(SEEDS, waves)}


def test_a_sweep_a_peak_runs_the_families_that_the_decision_tried_there() -> None:
    shared = ["data.training_images=100", "iterations=16 epochs"]
    assert sweeps(DECISION) == {
        0.02: [*shared, "arm=decide/fixed", "bounds.base_lr=0.005", "bounds.max_lr=0.02"],
        0.04: [*shared, "arm=decide/fixed,mine/waves", "bounds.base_lr=0.01", "bounds.max_lr=0.04"],
    }


def test_runs_of_another_setting_or_another_seed_are_no_part_of_the_grid(tmp_path: Path) -> None:
    typed = ["data.training_images=100", r"iterations=16\ epochs", "arm=decide/fixed"]
    for seed, overrides in ((101, typed), (1, typed), (102, typed[1:]), (103, [*typed, "model=linear"])):
        config = {"overrides": [*overrides, f"seed={seed}"], "bounds": {"max_lr": 0.02}}
        write_run(tmp_path, "fixed", seed, 90.0 + seed, source=OWN, experiment="adhoc", config=config, arm="decide/fixed")
    assert grid(DECISION, read_runs(tmp_path, [OWN])[0]) == {("fixed", 0.02): {101: 191.0}}


def test_the_table_has_a_dash_where_the_decision_did_not_try_a_peak() -> None:
    assert table(PERCENT, found(90.0, 91.0)).splitlines() == [
        "| family | 0.02 | 0.04 |",
        "| --- | ---: | ---: |",
        "| fixed | 90.00% | - |",
        "| waves | - | 91.00% |",
    ]


@pytest.mark.parametrize(("fixed", "said"), [(92.0, "regret: 0, the answer is the best of the grid"), (90.0, "regret: +1.00")])
def test_the_regret_is_what_the_best_of_the_grid_has_over_the_answer(fixed: float, said: str) -> None:
    assert regret(DECISION, PERCENT, found(fixed, 91.0))[-1].startswith(said)


def test_where_less_is_better_the_best_has_the_lowest_mean() -> None:
    decision, measure = {**DECISION, "mode": "min"}, Measure("val_mse", "min", "", 0.003)
    assert regret(decision, measure, found(0.25, 0.125))[-1].startswith("regret: +0.125")


def test_a_run_that_diverged_makes_its_cell_the_worst() -> None:
    broken = {**found(90.0, 91.0), ("waves", 0.08): {101: float("-inf"), 102: 99.0}}
    assert "1 of 2 diverged" in table(PERCENT, broken)
    assert regret(DECISION, PERCENT, broken)[0] == "best of the grid: waves at 0.04, 91.00%"
