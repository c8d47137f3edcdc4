"""`clrbench.compare`: the sweep of the command, from Python."""

import functools
import subprocess
import sys
from pathlib import Path
from typing import Any

import own_tasks
import pytest
import pytorch_lightning as pl
from conftest import composed

import clrbench
from clrbench.config import PathNames
from clrbench.errors import ClrbenchError
from clrbench.stats import interval
from clrbench.store import records
from clrbench.sweep.planner import Planner
from clrbench.tasks.own_recorder import OwnRecorder

UNTRACKED = "tracking.wandb=disabled"
TRIANGULAR = "triangular2 policy.step_size=10"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    own_tasks.SEEN.clear()
    return tmp_path


def compare(module: Any = own_tasks.Regression, data: Any = own_tasks.Lines, *choices: str, **settings: Any) -> Any:
    usual: dict[str, Any] = {"monitor": "val_mse", "mode": "min", "unit": "m2", "bounds": (0.001, 0.03)}
    usual |= {"policies": ["fixed", TRIANGULAR], "iterations": 21, "seeds": (1, 2), "processes": 1}
    return clrbench.compare(module, data, UNTRACKED, "trainer.threads=1", *choices, **usual | settings)


def test_runs_and_paired_differences_come_back_as_data_frames_and_records_stay(folder: Path) -> None:
    found = compare(margin=0.01)
    assert found.runs["arm"].to_list() == ["fixed", "fixed", "triangular2", "triangular2"]
    assert found.runs["seed"].to_list() == [1, 2, 1, 2]
    assert {"test_mse", "val_mse", "val_size"} < set(found.runs.columns)
    fixed, cycles = (found.runs.filter(arm=arm)["test_mse"].to_list() for arm in ("fixed", "triangular2"))
    differences = [other - one for one, other in zip(fixed, cycles, strict=True)]
    (row,) = found.differences.rows(named=True)
    assert (row["arm"], row["against"], row["seeds"], row["verdict"]) == ("triangular2", "fixed", 2, "open")
    assert row["difference"] == pytest.approx(sum(differences) / 2)
    assert (row["low"], row["high"]) == pytest.approx(interval(differences))
    assert "triangular2" in repr(found)
    assert [record.folder.name for record in records(folder / "results/runs/adhoc")] == sorted(found.runs["run"])


def test_its_runs_are_those_of_the_command() -> None:
    typed = (
        *("task=lightning", "task.module._target_=own_tasks.Regression", "task.data._target_=own_tasks.Lines"),
        *("+task.module.width=4", "task.monitor=val_mse", "task.mode=min", "bounds.base_lr=0.001", "bounds.max_lr=0.03"),
        *("policy=triangular2", "policy.step_size=10", "iterations=21", "seed=2"),
    )
    cells = Planner(lambda texts: composed(*texts), PathNames("data", "results", "outputs"), print).cells([typed])
    found = compare(functools.partial(own_tasks.Regression, width=4), policies=[TRIANGULAR], seeds=[2])
    assert found.runs["run"].to_list() == [cells[0].record.folder.name]


def test_the_same_call_trains_nothing_anew_and_goes_on_with_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    original = OwnRecorder.on_train_batch_end

    def die(self: OwnRecorder, *arguments: Any) -> None:
        original(self, *arguments)
        if self._batches == 9 and len(own_tasks.SEEN) > 21:
            raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(OwnRecorder, "on_train_batch_end", die)
        with pytest.raises(KeyboardInterrupt):
            compare(seeds=[1])
    own_tasks.SEEN.clear()
    found = compare(seeds=[1])
    assert len(own_tasks.SEEN) == 21 - 7  # from the end of the second run's first epoch
    own_tasks.SEEN.clear()
    assert compare(seeds=[1]).runs.equals(found.runs)
    assert not own_tasks.SEEN


def test_without_policies_three_fixed_rates_a_decline_and_cycles_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    found = compare(policies=None, seeds=[1], iterations=8)
    assert set(found.runs["arm"]) == {
        "fixed_base",
        "fixed_middle",
        "fixed_max",
        "linear",
        "triangular",
        "triangular2",
        "one_cycle",
    }
    assert "task.module" not in capsys.readouterr().out.split("7/7")[0]  # what all share tells none from another


def test_what_runs_have_to_say_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    compare(own_tasks.Homonym, iterations=7)
    said = capsys.readouterr().out
    assert said.count("LinearLR: the module's own schedule of the rate is left out") == 1
    assert said.count("lr, epoch, seconds: left out of what validation_step logs") == 1


def test_a_run_that_fails_is_told_and_the_others_are_kept(folder: Path) -> None:
    with pytest.raises(ClrbenchError, match=r"2 of 2 runs failed; the same call tries .*is never logged"):
        compare(own_tasks.Blind, seeds=[1])
    assert len(list(records(folder / "results/runs/adhoc"))) == 2


@pytest.mark.parametrize(
    ("arguments", "settings", "error"),
    [
        ([own_tasks.Regression()], {}, r"module: an instance of Regression is no class.*functools.partial\(CharLM, width=64\)"),
        ([functools.partial(own_tasks.Regression, 4)], {}, r"its settings need names, as in functools.partial\(Regression"),
        ([functools.partial(own_tasks.Regression, width=object())], {}, "module: width=<object.*> is no setting: take numbers"),
        ([], {"mode": None}, r"is less of val_mse better, or more\?"),
        ([], {"policies": ["triangular3"]}, "policy=triangular3 is unknown: choose one of"),
        ([], {"bounds": (0.03, 0.001)}, "bounds.max_lr=0.001 is not above bounds.base_lr=0.03"),
        ([own_tasks.Regression, own_tasks.Lines, "data=null"], {}, "data=null chooses nothing"),
    ],
)
def test_a_mistake_is_told_in_one_line_before_anything_is_trained(arguments: Any, settings: Any, error: str) -> None:
    with pytest.raises(ClrbenchError, match=error) as told:
        compare(*arguments, **settings)
    assert "\n" not in str(told.value)
    assert not own_tasks.SEEN


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"seeds": ()}, r"seeds=\(\) is empty"),
        ({"seeds": (1, 1)}, r"seeds=\(1, 1\) names 1 more than once"),
        ({"policies": []}, r"policies=\[\]: give a list"),
        ({"policies": "fixed"}, "policies='fixed': give a list"),
        ({"bounds": (0.01, 0.5, 9.0)}, "bounds=.*: give base_lr and max_lr"),
        ({"policies": 3}, "policies=3: give a list"),
        ({"policies": [["fixed"]]}, r"policies=\[\['fixed'\]\]: give a list of texts"),
        ({"policies": ["fixed 'x"]}, r"policies=\[\"fixed 'x\"\]: No closing quotation"),
        ({"bounds": 0.1}, "bounds=0.1: give base_lr and max_lr"),
        ({"bounds": None}, "bounds=None: give base_lr and max_lr"),
        ({"processes": 0}, "processes=0 is impossible: it must be a whole number of at least 1, or be left out for one a core"),
        ({"processes": -1}, "processes=-1 is impossible"),
        ({"processes": "2"}, "processes='2' is impossible"),
        ({"processes": 1.5}, "processes=1.5 is impossible"),
    ],
)
def test_values_of_another_kind_and_lists_that_name_nothing_or_something_twice_are_refused(
    settings: dict[str, Any], error: str
) -> None:
    with pytest.raises(ClrbenchError, match=error):
        compare(**settings)


def test_a_choice_that_is_no_text_is_refused() -> None:
    with pytest.raises(ClrbenchError, match="3 is no choice: write it as behind the command"):
        compare(own_tasks.Regression, own_tasks.Lines, 3)  # type: ignore[arg-type]


def test_a_class_within_a_function_is_refused() -> None:
    class Inner(pl.LightningDataModule):
        pass

    with pytest.raises(ClrbenchError, match="data: Inner is defined within a function, where no run finds it"):
        compare(own_tasks.Regression, Inner)


def test_a_changed_cell_of_a_notebook_is_warned_about(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def defined(text: str, number: int) -> Any:
        names = {"__name__": "__main__", "Regression": own_tasks.Regression}
        exec(f"{text}class Mine(Regression):\n    def on_fit_start(self):\n        self.number = {number}\n", names)
        monkeypatch.setattr(sys.modules["__main__"], "Mine", names["Mine"], raising=False)
        return names["Mine"]

    for text, number, warned in (("", 1, False), ("# further down\n", 1, False), ("", 2, True)):
        compare(defined(text, number), policies=["fixed"], seeds=[1], iterations=2)
        assert ("the code of __main__.Mine has changed" in capsys.readouterr().out) == warned


NOTEBOOK = """
import clrbench, own_tasks

class Mine(own_tasks.Regression):
    pass

class Data(own_tasks.Lines):
    pass

found = clrbench.compare(Mine, Data, "tracking.wandb=disabled", monitor="val_mse", mode="min", bounds=(0.001, 0.03),
                         policies=["fixed"], iterations=7, seeds=(1, 2), processes=2)
print(found.runs["test_mse"].to_list())
"""


def test_classes_of_a_notebook_train_in_several_processes(folder: Path) -> None:
    """As a program from standard input: its classes, like those of a notebook, are in no file."""
    environment = {"PYTHONPATH": str(Path(__file__).parent), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    started = functools.partial(subprocess.run, capture_output=True, text=True, check=True, timeout=240)
    done = started([sys.executable, "-"], input=NOTEBOOK, cwd=folder, env=environment)
    here = compare(functools.partial(own_tasks.Regression), policies=["fixed"], iterations=7)
    assert done.stdout.count("LinearLR: the module's own schedule of the rate is left out") == 1
    assert done.stdout.splitlines()[-1] == str(here.runs["test_mse"].to_list())
