"""The plan of a sweep: each cell with its state, what is left, and the hours."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest
from commands import carried_out
from conftest import ROOT
from made_up_cells import MakeCell, end, interrupt
from rich.console import Console

from clrbench.config import Config
from clrbench.store import CHECKPOINT
from clrbench.sweep.cells import Cell, state_of
from clrbench.sweep.faults import faults
from clrbench.sweep.job import Job
from clrbench.sweep.plan import Pace, hours_left, iterations_left, pace, plan_table, seeds_warning


def test_the_plan_lists_each_cell_with_its_state_what_is_left_and_the_hours(
    make_cell: MakeCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clrbench.sweep.plan.host", lambda: "this machine")
    end(make_cell("a"), seconds=3600.0, host="this machine")
    end(make_cell("elsewhere"), seconds=36000.0, host="another")
    end(make_cell("deeper"), seconds=72000.0, host="this machine", step_id="e2")
    interrupt(make_cell("b"))
    cells = [make_cell("a"), make_cell("b"), make_cell("c", error="bad [value]")]
    console = Console(width=160)
    with console.capture() as capture:
        console.print(plan_table(cells, pace(tmp_path / "results"), workers=2))
    shown = capture.get()
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in shown.splitlines() if line.startswith("│")]
    assert rows == [
        ["policy=a seed=[1]", "finished", "0", "0.00"],
        ["policy=b seed=[1]", "interrupted", "60", "0.60"],
    ]
    assert shown.splitlines()[-1].rstrip() == "invalid: policy=c seed=[1]: bad [value]"
    assert "3 runs: 1 finished, 1 interrupted, 1 invalid; 0.30 h left with 2 workers" in " ".join(shown.split())


def test_a_run_that_goes_on_from_a_longer_ones_checkpoint_has_left_what_follows_that(make_cell: MakeCell) -> None:
    longest = make_cell("longest")
    short = dataclasses.replace(make_cell("short"), trunk=longest.work, begins=70)
    missing = state_of(short)
    assert iterations_left(short, missing, {longest.work}) == 30
    assert iterations_left(short, missing) == 100  # the longer one has ended, and left nothing
    (short.work / CHECKPOINT).parent.mkdir(parents=True, exist_ok=True)
    (short.work / CHECKPOINT).touch()
    assert iterations_left(short, state_of(short)) == 30


def said_of(cells: Sequence[Cell], speeds: Pace) -> str:
    console = Console(width=80)
    with console.capture() as capture:
        console.print(plan_table(cells, speeds, workers=2))
    return "\n".join(line.rstrip() for line in capture.get().split("\n"))


def test_a_fault_that_cells_share_is_one_line_and_where_none_can_run_there_are_no_hours(make_cell: MakeCell) -> None:
    cells = [make_cell(str(at), error="data/cifar10: no such folder") for at in range(25)]
    assert said_of(cells, Pace({}, {})) == (
        "25 runs: 25 invalid; none of them can be run\ninvalid: policy=0 seed=[1] and 24 more: data/cifar10: no such folder\n"
    )


def test_faults_are_grouped_by_their_reason_in_whichever_file_of_a_cell_it_lies(make_cell: MakeCell) -> None:
    a, b, c, d, e = (make_cell(name) for name in "abcde")
    broken, full = (
        {cell: f"broken (traceback in {cell.work}/error.log)" for cell in (a, c)},
        f"{e.record.folder}/evals.csv: full",
    )
    reasons = {**broken, b: "too big", d: f"{d.record.folder}/evals.csv: full", e: full}
    assert [(fault.label, fault.reason) for fault in faults(reasons)] == [
        ("policy=a seed=[1] and 1 more", broken[a]),
        ("policy=b seed=[1]", "too big"),
        ("policy=d seed=[1] and 1 more", reasons[d]),
    ]


def test_hours_that_nothing_tells_are_said_to_be_unknown_and_none_are_left_behind_the_end(make_cell: MakeCell) -> None:
    assert "the hours are unknown: no run on this machine has measured 1 of them" in " ".join(
        said_of([make_cell("a")], Pace({}, {})).split()
    )
    end(make_cell("b"))
    assert said_of([make_cell("b")], Pace({}, {})).startswith("1 runs: 1 finished; nothing is left\n")


def test_hours_are_unknown_where_no_run_of_the_kind_has_been_measured_here(make_cell: MakeCell) -> None:
    assert hours_left(make_cell(), state_of(make_cell()), Pace({"e2": 1.0}, {})) is None


def test_before_a_run_here_the_hours_are_those_of_the_shipped_runs_and_told_as_an_estimate(make_cell: MakeCell) -> None:
    speeds = Pace({}, {("digits", "small_cnn"): 36.0})
    cell = dataclasses.replace(make_cell(), task=("digits", "small_cnn"))
    assert hours_left(cell, state_of(cell), speeds) == 1.0
    console = Console(width=160)
    with console.capture() as capture:
        console.print(plan_table([cell], speeds, workers=1))
    assert "~1.00" in capture.get()
    assert "by the pace of the shipped runs on another machine" in " ".join(capture.get().split())


def of_seed(cell: Cell, arm: str, seed: int) -> Cell:
    return dataclasses.replace(cell, overrides=(f"arm={arm}", f"seed={seed}"), task=("digits", "small_cnn"))


def test_a_comparison_over_fewer_than_five_seeds_is_warned_about_with_the_hours_of_five(make_cell: MakeCell) -> None:
    cells = [of_seed(make_cell(), arm, seed) for arm in ("a", "b") for seed in (1, 2, 3)]
    speeds = Pace({"e1": 36.0}, {})
    assert seeds_warning(cells, speeds, workers=2) == (
        "warning: 3 seeds an arm can settle nothing: seed=1,2,3,4,5 takes about 5 h in all here"
    )


def test_five_seeds_and_a_single_arm_are_not_warned_about(make_cell: MakeCell) -> None:
    five = [of_seed(make_cell(), arm, seed) for arm in ("a", "b") for seed in (1, 2, 3, 4, 5)]
    assert seeds_warning(five, Pace({}, {}), 2) is None
    assert seeds_warning([of_seed(make_cell(), "a", 1)], Pace({}, {}), 2) is None


def test_a_screening_is_not_warned_about(make_cell: MakeCell) -> None:
    """It settles nothing: it chooses what other seeds then compare."""
    config = Config()
    config.data.evaluate = "validation"
    cells = [of_seed(make_cell(), arm, seed) for arm in ("a", "b") for seed in (1, 2, 3)]
    screening = [dataclasses.replace(cell, job=Job(config, (), "r")) for cell in cells]
    assert seeds_warning(screening, Pace({}, {}), 2) is None


@pytest.mark.slow
def test_planning_starts_nothing_and_writes_nothing_but_its_cache(tmp_path: Path) -> None:
    command = [
        *("train.py", "-m", "policy=fixed,triangular", "policy.max_lr=0.02", "hydra.sweeper.plan_only=true"),
        *(f"paths.results={tmp_path}/results", f"paths.outputs={tmp_path}/outputs"),
    ]
    done = carried_out(command, ROOT)
    assert "2 runs: 1 invalid, 1 missing" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["outputs"]
    assert [path.name for path in (tmp_path / "outputs").iterdir()] == ["cache"]
