"""The table behind a sweep."""

import dataclasses
import math
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from conftest import RESULT, ROOT
from made_up import BASE, CYCLES, FIXED, write_arm, write_run
from rich.console import Console

from clrbench.analysis.arm_table import summarize as summarize_arms
from clrbench.analysis.arms import Arm, arms_of
from clrbench.analysis.pairs import in_words, leads
from clrbench.report.terminal import print_summary, summary_table
from clrbench.runs import OWN, read_runs, run_of
from clrbench.stats import half_width
from clrbench.store import Evaluation, Record


def record(folder: Path, identity: dict[str, object] | None = None, name: str = "a", **changes: object) -> Record:
    result = dataclasses.replace(RESULT, **{"value": 90.0, **changes})  # type: ignore[arg-type]
    made = Record(folder / f"{name}-{result.seed}")
    policy = {"_target_": result.policy, "base_lr": 0.1}
    settings = {"iterations": 100, "seed": result.seed, "policy": policy, **(identity or {})}
    made.write_config(yaml.safe_dump({"schema": 2, "optimizer": {"name": "sgd"}, "identity": settings}))
    made.write_result(result)
    return made


def summarize(records: Iterable[Record]) -> pl.DataFrame:
    return summarize_arms(arms_of(run for made in records for run in run_of(made, OWN)))


def test_runs_that_differ_in_the_seed_alone_are_one_row_with_mean_and_interval(tmp_path: Path) -> None:
    rows = summarize(record(tmp_path, seed=seed, value=accuracy) for seed, accuracy in enumerate((90.0, 91.0, 92.0)))
    assert len(rows) == 1
    row = rows.row(0, named=True)
    assert (row["runs"], row["test_accuracy"], row["iterations"]) == (3, 91.0, 100)
    # t(0.975, 2 degrees of freedom) = 4.3027, standard error = 1 / sqrt(3)
    assert row["half_width"] == pytest.approx(4.3027 / 3**0.5, abs=1e-3)


def test_one_run_has_no_interval() -> None:
    assert half_width([90.0]) is None


def test_diverged_and_failed_runs_are_counted_and_not_averaged(tmp_path: Path) -> None:
    rows = summarize([
        record(tmp_path, seed=1),
        record(tmp_path, seed=2, status="diverged", iterations=40, value=None),
        record(tmp_path, seed=3, status="failed", iterations=0, value=None),
    ])  # fmt: skip
    row = rows.row(0, named=True)
    assert (row["runs"], row["diverged"], row["failed"], row["test_accuracy"], row["iterations"]) == (1, 1, 1, 90.0, 100)


def test_an_arm_of_which_no_run_finished_has_no_accuracy(tmp_path: Path) -> None:
    rows = summarize([record(tmp_path, status="diverged", value=None)])
    assert rows["test_accuracy"].to_list() == [None]


def test_arms_of_one_policy_are_told_apart_by_the_settings_in_which_they_differ(tmp_path: Path) -> None:
    rows = summarize([
        record(tmp_path, {"policy": {"base_lr": 0.1, "gamma": 0.9}}),
        record(tmp_path, {"policy": {"base_lr": 0.2, "gamma": 0.9}}, name="b"),
        record(tmp_path, {"policy": {"base_lr": 0.2}}, name="c", policy="exp"),
    ])  # fmt: skip
    assert rows["settings"].to_list() == ["base_lr=0.1", "base_lr=0.2", ""]


def test_a_run_under_way_is_left_out(tmp_path: Path) -> None:
    under_way = Record(tmp_path / "under_way")
    under_way.write_config("identity: {}")
    assert len(summarize([under_way, record(tmp_path)])) == 1


def curve(accuracies: Sequence[float]) -> list[Evaluation]:
    return [
        Evaluation(10 * at, at, 0.1, 1.0, {"test_loss": 1.0, "test_accuracy": value}, float(at))
        for at, value in enumerate(accuracies, 1)
    ]


def test_the_speed_up_is_over_the_fixed_rate_of_the_same_seed_and_never_is_infinity(tmp_path: Path) -> None:
    made = []
    for seed, fixed in ((1, 80.0), (2, 82.0), (3, 99.0)):
        made.append(record(tmp_path, name="f", policy="fixed", seed=seed, value=fixed))
        made.append(record(tmp_path, name="t", policy="triangular", seed=seed))
        made[-1].write_evaluations(curve([70, 80, 81, 82, 83, 90]))
    rows = {row["arm"]: row for row in summarize(made).iter_rows(named=True)}
    # The seeds need 20, 40 and for ever, of a budget of 100.
    assert (rows["triangular"]["to_fixed"], rows["triangular"]["speed_up"]) == (40.0, 2.5)
    assert (rows["fixed"]["to_fixed"], rows["fixed"]["speed_up"]) == (None, None)
    shown = summary_table(summarize(made), "")
    assert [column.header for column in shown.columns][-3:-1] == ["to fixed", "speed-up"]


def test_names_are_shown_as_they_are_whatever_rich_would_make_of_them(tmp_path: Path) -> None:
    names = ("imgs[red]", "b[/x]")
    for name in names:
        write_run(tmp_path, "fixed", 1, 80.0, config={"data": {"name": name}, "note": name})
    console = Console(width=200, record=True)
    print_summary(console, "a [bold]sweep", read_runs(tmp_path)[0], ROOT / "conf", tmp_path)
    text = console.export_text()
    assert all(part in text for part in (*names, "a [bold]sweep"))


def test_the_fixed_rate_in_the_same_precision_is_the_rival(tmp_path: Path) -> None:
    for precision, accuracy in (("float32", 80.0), ("bfloat16", 70.0)):
        for policy, schedule in (("fixed", FIXED), ("triangular", CYCLES)):
            setting = {"trainer": {"precision": precision}}
            write_run(tmp_path, policy, 1, accuracy, curve=[60.0, 70.0, 75.0], schedule=schedule, config=setting)
    rows = summarize_arms(arms_of(read_runs(tmp_path)[0])).filter(arm="triangular")
    assert sorted(rows["to_fixed"]) == [200.0, 400.0]


def test_an_arm_most_of_whose_runs_diverged_never_reaches_the_fixed_rate(tmp_path: Path) -> None:
    write_arm(tmp_path, "fixed", BASE)
    write_arm(tmp_path, "triangular", [85.0, *[None] * 4], curve=[84.0, 84.0, 84.0], schedule=CYCLES)
    (row,) = summarize_arms(arms_of(read_runs(tmp_path)[0])).filter(arm="triangular").to_dicts()
    assert (row["to_fixed"], row["speed_up"]) == (math.inf, None)


def arms_with(folder: Path, accuracies: Mapping[str, Sequence[float]], schedules: Mapping[str, Any]) -> list[Arm]:
    """Arms of experiment=compare by name, each with its schedule, `exp` where none is given."""
    for name, values in accuracies.items():
        schedule = schedules.get(name, {"_target_": "clrbench.schedules.exp", "base_lr": 0.1, "gamma": 0.9})
        for seed, accuracy in enumerate(values):
            write_run(folder, name, seed, accuracy, experiment="compare", schedule=schedule)
    return arms_of(read_runs(folder)[0])


def test_without_cycles_the_best_arm_is_held_against_each_other_one_by_the_seeds_that_both_have(tmp_path: Path) -> None:
    accuracies = {"cosine": (80.0, 82.0, 84.0), "exp": (83.0, 84.0, 85.0), "linear": (84.0, 86.0, 89.0), "late": (99.0,)}
    # late has the highest mean, but of one seed.
    assert leads(arms_with(tmp_path, accuracies, {})) == [
        "linear is ahead of cosine: +4.33 points [+2.90, +5.77], n = 3 common seeds",
        "linear is ahead of exp: +2.33 points [-1.46, +6.13], n = 3 common seeds; not shown: the interval includes 0",
        "linear is behind late: -15.00 points, n = 1 common seed",
    ]
    # t(0.975, 2 degrees of freedom) = 4.3027, standard error = 1 / 3
    assert in_words([4.0, 4.0, 5.0]) == "+4.33 points [+2.90, +5.77], n = 3 common seeds"


def test_a_fixed_rate_that_a_screening_chose_is_tuned(tmp_path: Path) -> None:
    for policy, value in (("fixed", 80.0), ("triangular", 82.0)):
        kind = {"schedule": CYCLES if policy == "triangular" else FIXED, "config": {"bounds": {"origin": "screened, of: a"}}}
        write_run(tmp_path, policy, 1, value, experiment="rivals", **kind)
    arms = arms_of(read_runs(tmp_path)[0])
    assert leads(arms) == ["triangular is ahead of fixed: +2.00 points, n = 1 common seed"]


def test_policies_with_several_budgets_each_are_held_against_each_other_at_equal_ones(tmp_path: Path) -> None:
    ends = {("linear", 200): 80.0, ("linear", 400): 90.0, ("wsd", 200): 81.0, ("wsd", 400): 88.0}
    for (name, budget), value in ends.items():
        schedule = {"_target_": f"clrbench.schedules.{name}", "max_lr": 0.1, "iterations": budget}
        write_run(tmp_path, name, 1, value, experiment="budgets", schedule=schedule, iterations=budget)
    arms = arms_of(read_runs(tmp_path)[0])
    assert leads(arms) == [
        "wsd (iterations=200) is ahead of linear (iterations=200): +1.00 points, n = 1 common seed",
        "linear (iterations=400) is ahead of wsd (iterations=400): +2.00 points, n = 1 common seed",
    ]
    assert {arm.details for arm in arms} == {""}  # the budget has a column of its own


RATES = {f"fixed_{rate}": {**FIXED, "base_lr": rate} for rate in (0.001, 0.003, 0.006)}


def test_the_best_cycles_are_held_against_the_best_of_the_fixed_rates_and_against_what_is_neither(tmp_path: Path) -> None:
    accuracies = dict(zip((*RATES, "triangular", "hann", "linear"), ((80,), (83,), (81,), (82,), (81,), (82,)), strict=True))
    assert leads(arms_with(tmp_path, accuracies, {**RATES, "triangular": CYCLES, "hann": CYCLES})) == [
        "triangular is behind fixed_0.003, the best of 3 fixed rates: -1.00 points, n = 1 common seed",
        "triangular is level with linear: +0.00 points, n = 1 common seed",
    ]


def test_a_comparison_with_one_untuned_fixed_rate_says_that_it_proves_nothing(tmp_path: Path) -> None:
    arms = arms_with(tmp_path, {"fixed": (80.0,), "triangular": (82.0,)}, {"fixed": FIXED, "triangular": CYCLES})
    assert leads(arms) == [
        "triangular is ahead of fixed: +2.00 points, n = 1 common seed",
        "the fixed rate was tried at 0.001 alone: this proves nothing for cycles; experiment=compare tries three rates",
    ]


def test_a_lead_too_small_to_be_shown_is_none(tmp_path: Path) -> None:
    assert leads(arms_with(tmp_path, {"a": (80.004,), "b": (80.0,)}, {})) == [
        "a is level with b: +0.00 points, n = 1 common seed"
    ]


def test_unequal_budgets_are_in_the_sentence(tmp_path: Path) -> None:
    write_run(tmp_path, "fixed", 1, 82.0, iterations=700)
    write_run(tmp_path, "triangular2", 1, 81.0, schedule=CYCLES, iterations=250)
    assert leads(arms_of(read_runs(tmp_path)[0]))[0] == (
        "triangular2 is behind fixed (250 against 700 iterations): -1.00 points, n = 1 common seed"
    )


def test_a_sweep_ends_with_how_its_arms_stand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arms_with(tmp_path, {"a": (80.0, 82.0), "b": (79.0, 79.0)}, {})
    print_summary(Console(width=200), "", read_runs(tmp_path)[0], ROOT / "conf", tmp_path)
    assert "a is ahead of b: +2.00 points" in capsys.readouterr().out


def test_an_arm_alone_and_arms_of_other_data_have_no_lead(tmp_path: Path) -> None:
    made = [record(tmp_path, name="a"), record(tmp_path, name="b", data="mnist")]
    assert leads(arms_of(run for each in made for run in run_of(each, OWN))) == []


def test_the_table_shows_failures_only_where_there_are_any(tmp_path: Path) -> None:
    good = summarize([record(tmp_path, seed=1)])
    bad = summarize([record(tmp_path, seed=1), record(tmp_path, seed=2, status="failed", value=None)])
    headings = [[column.header for column in summary_table(rows, "").columns] for rows in (good, bad)]
    assert headings[0] == ["arm", "budget", "runs", "accuracy %", "seconds"]
    assert "failed" in headings[1]


def test_at_80_columns_names_and_settings_stay_whole_and_what_has_no_room_is_told() -> None:
    long = {"arm": "compare/fixed_middle", "data": "cifar10", "model": "cifar10_full", "iterations": 70000, "runs": 5}
    numbers = {
        "measure": "test accuracy, %",
        "test_accuracy": 81.2,
        "half_width": 0.3,
        "to_fixed": 22000.0,
        "speed_up": 3.1,
        "seconds": 1234.5,
    }
    rows = [
        {"settings": f"base_lr=0.001, max_lr=0.006, step_size={size}", "diverged": 1, "failed": 0, **long, **numbers}
        for size in (2000, 4000)
    ]
    console = Console(width=80)
    with console.capture() as capture:
        console.print(summary_table(pl.DataFrame(rows), "2 of 2 runs", console.width))
    shown = capture.get()
    assert "…" not in shown
    for words, times in (("compare/fixed_middle", 2), ("step_size=2000", 1), ("81.20 ± 0.30", 2)):
        assert shown.count(words) == times
    assert "no room for: seconds, speed-up, to fixed, runs" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_reading_records_and_making_tables_needs_no_torch() -> None:
    code = "import sys, clrbench.report.outputs, clrbench.report.terminal; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"
