"""The cells of a sweep: what state each is in, what is remembered of them, and what is launched in which order."""

import dataclasses
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from commands import carried_out
from conftest import ROOT, composed
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig
from rich.console import Console

from clrbench import store
from clrbench.analysis.arms import arms_of
from clrbench.analysis.commands import as_typed
from clrbench.config import Config, PathNames, checked
from clrbench.lock import lock_path, locked
from clrbench.runs import OWN, run_of
from clrbench.schema import SCHEMA
from clrbench.store import CHECKPOINT, PROGRESS, Evaluation, Record, Result, run_folder
from clrbench.sweep.carry import Carrier, conclude
from clrbench.sweep.cells import Cell, state_of
from clrbench.sweep.faults import faults
from clrbench.sweep.invalid import invalid_record, remove_invalid, write_invalid
from clrbench.sweep.job import JOB, Job
from clrbench.sweep.plan import Pace, hours_left, iterations_left, pace, plan_table, seeds_warning
from clrbench.sweep.planner import Planner

RESULT = Result(
    run_id="r", name="a", experiment="e", data="digits", model="small_cnn", policy="fixed", seed=1, status="finished",
    iterations=100, value=90.0, seconds=2.0, images_per_second=50.0, versions={}, commit="", host="",
    step_id="e1",
)  # fmt: skip
ROW = Evaluation(iteration=40, epoch=1, lr=0.1, train_loss=1, metrics={"test_accuracy": 50}, seconds=1)
MakeCell = Callable[..., Cell]


@pytest.fixture
def make_cell(tmp_path: Path) -> MakeCell:
    def make(name: str = "a", error: str | None = None) -> Cell:
        return Cell(
            (f"policy={name}", "seed=[1]"),
            invalid_record(tmp_path / "results", "e", (name,)),
            Record(run_folder(tmp_path / "results", "e", name)),
            run_folder(tmp_path / "outputs", "e", name),
            "e1",
            100,
            error,
            job=Job(Config(), (), "r"),
        )

    return make


def end(cell: Cell, **changes: object) -> None:
    cell.record.write_config(yaml.safe_dump({"identity": {"iterations": 100, "name": cell.record.folder.name}}))
    cell.record.write_result(dataclasses.replace(RESULT, **changes))  # type: ignore[arg-type]


def interrupt(cell: Cell) -> None:
    """Leave what a run that was killed behind its first evaluation leaves."""
    cell.record.write_evaluations([ROW])
    cell.work.mkdir(parents=True)
    (cell.work / CHECKPOINT).write_bytes(b"")


def leave_claim_of_the_dead(cell: Cell) -> None:
    with locked(cell.work):
        text = lock_path(cell.work).read_text()
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    lock_path(cell.work).write_text(re.sub(r"^pid=\d+$", f"pid={process.pid}", text, flags=re.MULTILINE))


# States


@pytest.mark.parametrize("status", ["finished", "diverged"])
def test_a_cell_with_a_result_has_ended_and_nothing_is_left(make_cell: MakeCell, status: str) -> None:
    end(make_cell(), status=status)
    state = state_of(make_cell())
    assert (state.status, state.is_ended, iterations_left(make_cell(), state)) == (status, True, 0)


def test_a_cell_of_which_nothing_is_there_is_missing_and_wholly_left(make_cell: MakeCell) -> None:
    state = state_of(make_cell())
    assert (state.status, state.is_ended, iterations_left(make_cell(), state)) == ("missing", False, 100)


def test_an_interrupted_cell_has_left_what_follows_its_last_evaluation(make_cell: MakeCell) -> None:
    interrupt(make_cell())
    state = state_of(make_cell())
    assert (state.status, iterations_left(make_cell(), state)) == ("interrupted", 60)


def test_a_cell_without_a_checkpoint_starts_anew_whatever_its_record_holds(make_cell: MakeCell) -> None:
    make_cell().record.write_evaluations([ROW])
    assert iterations_left(make_cell(), state_of(make_cell())) == 100


def test_a_running_cell_has_left_what_it_has_not_noted_yet(make_cell: MakeCell) -> None:
    with locked(make_cell().work):
        (make_cell().work / PROGRESS).write_text("70")
        state = state_of(make_cell())
    assert (state.status, iterations_left(make_cell(), state)) == ("running", 30)


def test_a_cell_whose_process_died_is_not_running(make_cell: MakeCell) -> None:
    interrupt(make_cell())
    leave_claim_of_the_dead(make_cell())
    assert state_of(make_cell()).status == "interrupted"


def test_a_failed_cell_tells_why_and_is_left(make_cell: MakeCell) -> None:
    end(make_cell(), status="failed", iterations=40, value=None, reason="out of memory")
    state = state_of(make_cell())
    assert (state.status, state.reason, state.is_ended) == ("failed", "out of memory", False)
    assert iterations_left(make_cell(), state) == 100


def test_a_cell_that_cannot_be_run_tells_why_and_takes_no_time(make_cell: MakeCell) -> None:
    cell = make_cell(error="seed=x is no number")
    state = state_of(cell)
    assert (state.status, state.reason, iterations_left(cell, state)) == ("invalid", "seed=x is no number", 0)


def test_a_damaged_result_is_a_failure_that_names_the_file_and_the_remedy(make_cell: MakeCell) -> None:
    end(make_cell())
    (make_cell().record.folder / "result.json").write_text("{")
    state = state_of(make_cell())
    assert (state.status, state.is_ended) == ("failed", False)
    assert str(make_cell().record.folder / "result.json") in str(state.reason)
    assert "move its folder elsewhere" in str(state.reason)


# The plan


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


def test_faults_are_grouped_by_their_reason_whatever_file_holds_the_traceback(make_cell: MakeCell) -> None:
    a, b, c = (make_cell(name) for name in "abc")
    reasons = {a: "broken (traceback in a/error.log)", b: "too big", c: "broken (traceback in c/error.log)"}
    assert [(fault.label, fault.reason) for fault in faults(reasons)] == [
        ("policy=a seed=[1] and 1 more", "broken (traceback in a/error.log)"),
        ("policy=b seed=[1]", "too big"),
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


# The planner


@pytest.fixture
def make_planner(tmp_path: Path) -> Callable[..., Planner]:
    def make(compose: Callable[[Sequence[str]], DictConfig]) -> Planner:
        paths = PathNames(str(tmp_path / "data"), str(tmp_path / "results"), str(tmp_path / "outputs"))
        return Planner(compose, paths, print)

    return make


def counting(calls: list[Sequence[str]]) -> Callable[[Sequence[str]], DictConfig]:
    def compose(overrides: Sequence[str]) -> DictConfig:
        calls.append(overrides)
        return composed(*overrides)

    return compose


def never(overrides: Sequence[str]) -> DictConfig:
    pytest.fail(f"composed {overrides}")


def test_cells_that_differ_in_the_seed_alone_are_composed_once_and_are_those_composed_one_by_one(
    make_planner: Callable[..., Planner], tmp_path: Path
) -> None:
    overrides = [(f"policy={policy}", f"seed={seed}") for policy in ("fixed", "exp") for seed in (1, 2, 3)]
    calls: list[Sequence[str]] = []
    together = make_planner(counting(calls)).cells(overrides)
    assert [tuple(call) for call in calls] == [overrides[0], overrides[3]]
    assert together == [make_planner(counting([])).cells([each])[0] for each in overrides]
    assert len({cell.record.folder for cell in together}) == 6


def test_cells_that_differ_in_their_rates_are_composed_once_and_are_those_that_hydra_composes(
    make_planner: Callable[..., Planner],
) -> None:
    rates = [("0.001", "0.02"), ("1e-4", "2"), ("0.5", "1.5e-1")]
    calls: list[Sequence[str]] = []
    planner = make_planner(counting(calls))
    bound = planner.cells([("arm=decide/one_cycle", f"bounds.base_lr={low}", f"bounds.max_lr={high}") for low, high in rates])
    assert calls == [("arm=decide/one_cycle",)]
    by_hydra = [("arm=decide/one_cycle", f"++bounds.base_lr={low}", f"++bounds.max_lr={high}") for low, high in rates]
    composed_each = make_planner(counting([])).cells(by_hydra)
    assert [cell.record for cell in bound] == [cell.record for cell in composed_each]
    assert [cell.job.config for cell in bound if cell.job] == [cell.job.config for cell in composed_each if cell.job]
    assert len({cell.record.folder for cell in bound}) == 3


def test_what_is_made_of_the_seed_is_composed_for_each(make_planner: Callable[..., Planner]) -> None:
    of_seed = ("policy=fixed", "bounds.base_lr=${seed}")
    cells = make_planner(counting([])).cells([(*of_seed, f"seed={seed}") for seed in (1, 2)])
    typed = make_planner(counting([])).cells([("policy=fixed", f"bounds.base_lr={seed}", f"seed={seed}") for seed in (1, 2)])
    assert [cell.record for cell in cells] == [cell.record for cell in typed]


def test_changed_data_lead_to_another_cell(make_planner: Callable[..., Planner], tmp_path: Path) -> None:
    overrides = [("data=npz", f"data.path={tmp_path}/images.npz", "data.batch_size=10", "policy=fixed")]
    names = []
    for images in (80, 90):
        pixels, labels = np.zeros((images, 8, 8), np.uint8), np.arange(images) % 2
        np.savez(tmp_path / "images.npz", x_train=pixels, y_train=labels, x_test=pixels, y_test=labels)
        (cell,) = make_planner(counting([])).cells(overrides)
        assert cell.error is None
        names.append(cell.record.folder.name)
    assert names[0] != names[1]


def test_a_sweep_tells_once_what_of_its_data_is_not_used(
    make_planner: Callable[..., Planner], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels, labels = np.arange(80 * 64, dtype=np.uint16).view(np.uint8).reshape(160, 8, 8), np.arange(80) % 2
    path = tmp_path / "images.npz"
    np.savez(path, x_train=pixels[:80], y_train=labels, x_test=pixels[80:], y_test=labels, x_val=pixels, y_val=labels)
    overrides = [("data=npz", f"data.path={path}", "data.batch_size=10", "policy=fixed", f"seed={seed}") for seed in (1, 2, 3)]
    for _ in range(2):
        make_planner(counting([])).cells(overrides)
        assert capsys.readouterr().out.splitlines() == [f"{path}: not used: x_val, y_val"]


def test_an_experiment_that_leads_out_of_the_records_has_its_error_among_them(
    make_planner: Callable[..., Planner], tmp_path: Path
) -> None:
    (cell,) = make_planner(counting([])).cells([("experiment=../x",)])
    assert cell.error is not None
    assert cell.invalid.folder.parent == tmp_path / "results" / "runs" / "adhoc"


def test_a_bad_cell_has_its_reason_and_the_others_are_found(make_planner: Callable[..., Planner]) -> None:
    good, bad, worse = make_planner(counting([])).cells(
        [("policy=fixed",), ("experiment=quick", "policy=fixed", "policy.step_size=3"), ("data.batch_size=5000",)]
    )
    assert good.error is None
    assert "policy.step_size is no key" in str(bad.error)
    assert "data.batch_size=5000 is more than" in str(worse.error)
    assert [cell.invalid.folder.parent.name for cell in (good, bad, worse)] == ["adhoc", "quick", "adhoc"]


# The record of what could not be run


def test_the_record_of_an_invalid_cell_has_its_overrides_and_the_reason_and_can_be_removed(tmp_path: Path) -> None:
    overrides = ("policy=fixed", "policy.step_size=3", f"paths.results={tmp_path}", "tracking.wandb=disabled")
    record = invalid_record(tmp_path, "quick", overrides)
    assert record == invalid_record(tmp_path, "quick", overrides[:2])
    assert record != invalid_record(tmp_path, "quick", overrides[:1])
    write_invalid(record, overrides, "policy.step_size is no key")
    result = record.result()
    assert result is not None
    assert (result.status, result.reason, result.experiment) == ("failed", "policy.step_size is no key", "quick")
    assert record.config() == {"schema": SCHEMA, "overrides": ["policy=fixed", "policy.step_size=3"]}
    remove_invalid(record)
    assert not record.folder.exists()
    remove_invalid(record)


def test_an_invalid_record_has_no_row_in_tables_and_is_never_published(make_cell: MakeCell, tmp_path: Path) -> None:
    end(make_cell("a"))
    cell = make_cell("b", error="bad")
    write_invalid(cell.invalid, cell.overrides, "bad")
    found = list(store.records(tmp_path / "results" / "runs" / "e"))
    assert len(found) == 2
    assert len(arms_of(run for record in found for run in run_of(record, OWN))) == 1
    assert [path.name for path in store.publish(tmp_path / "results", "e")] == ["a"]


# What is launched


class Launcher:
    """Carries out cells at once. A cell named in `deadly` takes the process of all that were launched with it along.

    raising: ends with an error; idle: comes back without a result.
    """

    def __init__(self, cells: Sequence[Cell], deadly: str = "", raising: str = "", idle: str = "") -> None:
        self._cells = {f"{JOB}={cell.work / 'job.json'}": cell for cell in cells}
        self._deadly, self._raising, self._idle = deadly, raising, idle
        self.launched: list[list[str]] = []

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        cells = [self._cells[job] for (job,) in job_overrides]
        self.launched.append([cell.record.folder.name for cell in cells])
        if self._deadly in self.launched[-1]:
            for cell in cells:
                leave_claim_of_the_dead(cell)
            raise RuntimeError("a worker was killed")
        return [self._returned(cell) for cell in cells]

    def _returned(self, cell: Cell) -> JobReturn:
        if cell.record.folder.name == self._raising:
            return returned(JobStatus.FAILED, ValueError("no such thing"))
        if cell.record.folder.name != self._idle:
            end(cell)
        return returned(JobStatus.COMPLETED, None)


def returned(status: JobStatus, value: object) -> JobReturn:
    made = JobReturn(status=status)
    made.return_value = value
    return made


def sweeper_with(launcher: Any) -> Any:
    Plugins.instance()  # executes the modules of Hydra's own plugins, hence before the class is taken from its own
    from hydra_plugins.clrbench_cells._sweeper import CellSweeper

    sweeper = CellSweeper()
    sweeper.launcher = launcher
    return sweeper


def swept(cells: Sequence[Cell], launcher: Any) -> dict[Cell, str]:
    """Why cells failed in a sweep that `launcher` carried out."""
    carrier = Carrier(sweeper_with(launcher)._launch, print)
    carrier.carry_out(cells)
    return carrier.reasons


def test_what_has_ended_is_not_launched(make_cell: MakeCell) -> None:
    end(make_cell("a"))
    cells = [make_cell("a"), make_cell("b")]
    launcher = Launcher(cells)
    swept(cells, launcher)
    assert launcher.launched == [["b"]]


def test_a_cell_that_takes_its_process_down_is_given_up_and_takes_no_other_with_it(make_cell: MakeCell) -> None:
    cells = [make_cell(name) for name in ("a", "b", "c")]
    launcher = Launcher(cells, deadly="b")
    reasons = swept(cells, launcher)
    assert launcher.launched == [["a", "b", "c"]] * 2 + [["a"], ["b"], ["c"]]
    assert [state_of(cell).status for cell in cells] == ["finished", "missing", "finished"]
    assert [cell.record.folder.name for cell in reasons] == ["b"]
    assert "its process was lost 3 times" in reasons[cells[1]]
    assert not lock_path(cells[1].work).exists()


def test_a_cell_that_comes_back_without_a_result_is_not_tried_for_ever(make_cell: MakeCell) -> None:
    cells = [make_cell("a"), make_cell("b")]
    reasons = swept(cells, Launcher(cells, idle="b"))
    assert reasons == {cells[1]: "its process came back 3 times without a result"}


def test_a_job_is_read_as_it_was_written(tmp_path: Path) -> None:
    config = checked(composed("experiment=table1", "arm=table1/triangular2", "seed=3"))
    job = Job(config, ["experiment=table1", "seed=3"], "0123456789")
    job.write(tmp_path / "job.json")
    assert Job.read(tmp_path / "job.json") == job


def test_a_launcher_that_never_starts_anything_is_not_tried_for_ever(make_cell: MakeCell) -> None:
    class Broken:
        attempts = 0

        def launch(self, *_: object, **__: object) -> None:
            self.attempts += 1
            raise OSError("no more processes")

    cells, launcher = [make_cell("a"), make_cell("b")], Broken()
    reasons = swept(cells, launcher)
    assert launcher.attempts == 2 + len(cells)
    assert all("no more processes" in reasons[cell] for cell in cells)


def test_an_error_outside_of_a_training_fails_its_cell_alone_and_is_recorded(
    make_cell: MakeCell, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = [make_cell("a"), make_cell("b")]
    reasons = swept(cells, Launcher(cells, raising="a"))
    sweeper = sweeper_with(None)
    sweeper.config = DictConfig({"paths": {"data": "data", "results": "results", "outputs": "outputs"}})
    with pytest.raises(SystemExit) as caught:
        sweeper._fail(conclude(cells, reasons, Console(quiet=True), ROOT / "conf", Path("results")), len(cells))
    assert caught.value.code == 1
    result = cells[0].invalid.result()
    assert result is not None
    assert "no such thing" in str(result.reason)
    assert not cells[1].invalid.folder.exists()
    failed, last = capsys.readouterr().err.splitlines()
    assert failed == "failed: policy=a seed=[1]: ValueError: no such thing"
    assert last.startswith("1 of 2 runs failed")


def test_lengths_in_a_sweep_are_told_and_recorded_as_they_are_typed() -> None:
    from hydra_plugins.clrbench_cells._sweeper import combinations

    typed = ["iterations=2 epochs,8 epochs", "policy.step_size='1 epoch'"]
    found = combinations(OverridesParser.create().parse_overrides(typed))
    assert found == [[f"iterations={length} epochs", "policy.step_size='1 epoch'"] for length in (2, 8)]
    assert as_typed("data.path=/a\\\\ b") == "data.path=/a\\\\ b"  # a backslash before a blank


def test_a_run_that_begins_like_a_longer_one_is_launched_behind_it(make_cell: MakeCell) -> None:
    longest = make_cell("longest")
    cells = [dataclasses.replace(make_cell("short"), trunk=longest.work), longest, make_cell("other")]
    launcher = Launcher(cells)
    swept(cells, launcher)
    assert launcher.launched == [["longest", "other"], ["short"]]


def test_a_run_whose_longer_one_has_failed_is_launched_all_the_same(make_cell: MakeCell) -> None:
    longest = make_cell("longest")
    cells = [dataclasses.replace(make_cell("short"), trunk=longest.work), longest]
    launcher = Launcher(cells, raising="longest")
    swept(cells, launcher)
    assert launcher.launched == [["longest"], ["short"]]
