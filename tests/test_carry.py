"""What of a sweep is launched, in which order, and what follows from a launch that failed."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, composed
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from joblib import cpu_count
from made_up_cells import MakeCell, end, leave_claim_of_the_dead
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from clrbench.analysis.commands import as_typed
from clrbench.config import checked
from clrbench.errors import ConfigError
from clrbench.lock import lock_path
from clrbench.store import Record
from clrbench.sweep import carry
from clrbench.sweep.carry import Carrier, conclude
from clrbench.sweep.cells import Cell, state_of
from clrbench.sweep.job import JOB, Job


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


def test_records_that_could_not_be_written_are_counted_and_not_pointed_to(
    make_cell: MakeCell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def written(record: Record, *_: object) -> None:
        if record != cells[0].invalid:
            raise OSError(28, "No space left on device")
        record.folder.mkdir(parents=True)

    cells = [make_cell("a"), make_cell("b"), make_cell("c")]
    monkeypatch.setattr(carry, "write_invalid", written)
    sweeper = sweeper_with(None)
    sweeper.config = DictConfig({"paths": {"data": "data", "results": "results", "outputs": "outputs"}})
    with pytest.raises(SystemExit):
        sweeper._fail(carry.failures(cells, {}), len(cells))
    last = capsys.readouterr().err.splitlines()[-1]
    assert f" Their records: {cells[0].invalid.folder.parent}; 2 could not be recorded; what" in last


def test_lengths_in_a_sweep_are_told_and_recorded_as_they_are_typed() -> None:
    from hydra_plugins.clrbench_cells._sweeper import combinations

    typed = ["iterations=2 epochs,8 epochs", "policy.step_size='1 epoch'"]
    found = combinations(OverridesParser.create().parse_overrides(typed))
    assert found == [[f"iterations={length} epochs", "policy.step_size='1 epoch'"] for length in (2, 8)]
    assert as_typed("data.path=/a\\\\ b") == "data.path=/a\\\\ b"  # a backslash before a blank


@pytest.mark.parametrize(
    ("typed", "remedy"),
    [
        ("seed=range(3,1)", "range goes from the first up to below the last"),
        ("seed=glob(*)", "glob finds choices of a group only"),
        ("policy=glob(zzz*)", "glob finds choices of a group only"),
    ],
)
def test_a_sweep_over_nothing_is_refused_by_what_was_typed(typed: str, remedy: str) -> None:
    from hydra_plugins.clrbench_cells._sweeper import combinations

    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        parsed = OverridesParser.create(GlobalHydra.instance().config_loader()).parse_overrides(["data=digits", typed])
        with pytest.raises(ConfigError, match=f"^{re.escape(typed)} has no values: {remedy}"):
            combinations(parsed)


@pytest.mark.parametrize(
    ("settings", "workers"),
    [
        ({"_target_": "SlurmLauncher", "array_parallelism": 256}, 256),
        ({"_target_": "WorkersLauncher", "n_jobs": 3}, 3),
        ({"_target_": "WorkersLauncher", "n_jobs": -1}, cpu_count()),
        ({"_target_": "WorkersLauncher", "n_jobs": -2}, max(1, cpu_count() - 1)),
        ({"_target_": "RayLauncher"}, cpu_count()),
        ({"_target_": "hydra.BasicLauncher"}, 1),
    ],
)
def test_hours_are_reckoned_with_the_runs_that_the_launcher_carries_out_at_a_time(
    settings: dict[str, Any], workers: int
) -> None:
    sweeper = sweeper_with(None)
    sweeper.config = OmegaConf.create({"hydra": {"launcher": settings}})
    assert sweeper._workers == workers


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
