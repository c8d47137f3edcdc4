"""The record of runs: what is written is read back, and no fault leaves half of anything."""

import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import RESULT
from hypothesis import given, settings
from hypothesis import strategies as st

from clrbench import store, subcommands
from clrbench.errors import ClrbenchError
from clrbench.files import replacing, write_text
from clrbench.store import Evaluation, Record, Result

METRICS = {"test_loss": 2.2, "test_accuracy": 25.0}
ROW = Evaluation(iteration=44, epoch=1.0, lr=0.005, train_loss=2.3, metrics=METRICS, seconds=0.5)


def results(folder: Path) -> list[Result]:
    """How the runs below a folder ended."""
    return [result for record in store.records(folder) if (result := record.result()) is not None]


def write_record(folder: Path, **changes: object) -> Record:
    """A record of one evaluation; without a result for status=None, which is a run under way."""
    record = Record(folder)
    record.write_config("seed: 1\n")
    record.write_evaluations([ROW])
    if changes.get("status", "finished"):
        record.write_result(dataclasses.replace(RESULT, name=folder.name, **changes))
    return record


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# What is written is read back

numbers = st.floats(allow_nan=False)
metrics = st.fixed_dictionaries({"test_loss": numbers, "bits": numbers})
rows = st.builds(Evaluation, st.integers(1, 10**9), numbers, numbers, numbers, metrics, numbers)


@settings(deadline=None, max_examples=50, derandomize=True)
@given(written=st.lists(rows, max_size=4))
def test_evaluations_come_back_exactly(tmp_path_factory, written):
    record = Record(tmp_path_factory.mktemp("record"))
    record.write_evaluations(written)
    assert record.evaluations() == written


@pytest.mark.parametrize("name", store.COLUMNS)
def test_a_metric_never_repeats_a_column_of_the_record(tmp_path, name):
    with pytest.raises(ClrbenchError, match=f"{name} is a column of evals.csv already"):
        Record(tmp_path).write_evaluations([dataclasses.replace(ROW, metrics={**METRICS, name: 1.0})])
    assert Record(tmp_path).evaluations() == []


def test_a_loss_that_is_not_a_number_comes_back_as_such(tmp_path):
    Record(tmp_path).write_evaluations([dataclasses.replace(ROW, train_loss=math.nan, metrics={"test_loss": math.inf})])
    (row,) = Record(tmp_path).evaluations()
    assert math.isnan(row.train_loss)
    assert row.metrics == {"test_loss": math.inf}


@pytest.mark.parametrize(
    "changes",
    [{}, {"status": "diverged", "value": None, "reason": "the loss is nan\nafter 7 iterations"}],
    ids=["finished", "diverged"],
)
def test_a_result_comes_back_exactly(tmp_path, changes):
    result = dataclasses.replace(RESULT, seconds=0.1 + 0.2, **changes)
    Record(tmp_path).write_result(result)
    assert Record(tmp_path).result() == result


def test_evals_csv_has_the_documented_columns_and_one_line_an_evaluation(tmp_path):
    Record(tmp_path).write_evaluations([ROW])
    assert (tmp_path / "evals.csv").read_text() == (
        "iteration,epoch,lr,train_loss,test_loss,test_accuracy,seconds\n44,1.0,0.005,2.3,2.2,25.0,0.5\n"
    )


def test_result_json_has_the_documented_keys(tmp_path):
    Record(tmp_path).write_result(RESULT)
    assert list(json.loads((tmp_path / "result.json").read_text())) == [
        *("run_id", "name", "experiment", "data", "model", "policy", "seed", "status", "iterations"),
        *("value", "seconds", "images_per_second", "versions", "commit", "host", "reason", "device"),
        *("step_id", "arm", "metric", "mode", "unit", "schema"),
    ]


def test_a_record_that_is_absent_has_no_evaluations_and_no_result(tmp_path):
    record = Record(tmp_path / "absent")
    assert record.evaluations() == []
    assert record.result() is None


def test_writing_evaluations_again_replaces_the_old_ones(tmp_path):
    Record(tmp_path).write_evaluations([ROW])
    Record(tmp_path).write_evaluations([ROW, dataclasses.replace(ROW, iteration=88)])
    assert [row.iteration for row in Record(tmp_path).evaluations()] == [44, 88]


def test_a_record_holds_its_three_files_and_nothing_else(tmp_path):
    write_record(tmp_path / "a")
    assert names(tmp_path / "a") == ["config.yaml", "evals.csv", "result.json"]


def test_records_and_results_are_listed_by_name_and_runs_under_way_have_no_result(tmp_path):
    for name, status in (("c", "finished"), ("a", "failed"), ("b", None)):
        write_record(tmp_path / name, status=status)
    (tmp_path / "no-record").mkdir()
    assert [record.folder.name for record in store.records(tmp_path)] == ["a", "b", "c"]
    assert [(result.name, result.status) for result in results(tmp_path)] == [("a", "failed"), ("c", "finished")]


def test_an_experiment_without_a_folder_has_no_records(tmp_path):
    assert list(store.records(tmp_path / "absent")) == []


def test_the_config_comes_back(tmp_path):
    Record(tmp_path).write_config("schema: 2\nseed: 1\npolicy:\n  step_size: 4 epochs\n")
    assert Record(tmp_path).config() == {"schema": 2, "seed": 1, "policy": {"step_size": "4 epochs"}}


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", "null", '{"schema": 2, "run_id": "x"}', '{"schema": "two"}', "\xff"], ids=repr
)
def test_a_damaged_result_is_refused_in_one_line_that_names_the_file_and_the_remedy(tmp_path, damage):
    (tmp_path / "result.json").write_bytes(damage.encode("latin-1"))
    with pytest.raises(ClrbenchError) as caught:
        Record(tmp_path).result()
    line = str(caught.value)
    assert line.startswith(f"{tmp_path / 'result.json'}: ")
    assert "move its folder elsewhere" in line
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize(
    "odd",
    [
        *({"value": math.nan}, {"value": "55"}, {"value": None}, {"iterations": "8"}, {"arm": ["a"]}, {"seed": True}),
        *({"status": "running"}, {"status": ["a"]}, {"mode": "MAX"}, {"seconds": -1.0}, {"versions": 1}),
    ],
    ids=repr,
)
def test_a_result_with_an_odd_value_is_refused_by_its_name(tmp_path, odd):
    (tmp_path / "result.json").write_text(json.dumps(dataclasses.asdict(RESULT) | odd))
    with pytest.raises(ClrbenchError, match=f"is damaged .*{next(iter(odd))} is"):
        Record(tmp_path).result()


def test_evaluations_that_are_no_csv_are_refused_in_one_line(tmp_path):
    (tmp_path / "evals.csv").write_text(f"iteration,epoch\n{'1' * 200_000},1\n")
    with pytest.raises(ClrbenchError, match=r"evals\.csv: is damaged \(Error: field larger"):
        Record(tmp_path).evaluations()


# Faults while a file is written


def test_a_file_is_written_with_its_folders(tmp_path):
    write_text(tmp_path / "deep" / "er" / "file", "häl\n")
    assert (tmp_path / "deep" / "er" / "file").read_bytes() == "häl\n".encode()


def test_a_write_that_raises_leaves_the_old_file_and_nothing_else(tmp_path):
    write_text(tmp_path / "file", "old")

    def write_half() -> None:
        with replacing(tmp_path / "file") as partial:
            partial.write_text("ne")
            raise RuntimeError("halfway")

    with pytest.raises(RuntimeError, match="halfway"):
        write_half()
    assert (tmp_path / "file").read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    write_text(tmp_path / "file", "old")

    def full(path: Path, text: str, encoding: str) -> None:
        path.write_bytes(b"ne")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        write_text(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "old"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_step_of_the_replacement_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step):
    write_text(tmp_path / "file", "old")

    def fail(*arguments: object, **settings: object) -> None:
        raise OSError("input/output error")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="input/output"):
        write_text(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "old"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("files", [(), ("PARTIAL",), ("PARTIAL", "TARGET"), ("/tmp/tmp7", "PARTIAL")])
def test_an_error_of_the_replacement_names_the_file_that_is_replaced(tmp_path, files):
    path = tmp_path / "file"

    def fail() -> None:
        with replacing(path) as partial:
            named = [{"PARTIAL": str(partial), "TARGET": str(path)}.get(name, name) for name in files]
            raise OSError(28, "No space left on device", *named[:1], *([None, named[1]] if len(named) > 1 else []))

    with pytest.raises(OSError, match=r"No space left on device") as caught:
        fail()
    assert (caught.value.errno, caught.value.filename, caught.value.filename2) == (28, str(path), None)


def test_an_error_of_another_file_is_raised_as_it_is(tmp_path):
    def fail() -> None:
        with replacing(tmp_path / "file"):
            (tmp_path / "nowhere").read_text()

    with pytest.raises(FileNotFoundError) as caught:
        fail()
    assert caught.value.filename == str(tmp_path / "nowhere")


def test_nothing_waits_for_the_disk_where_kills_alone_are_to_be_survived(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda file: pytest.fail("waited"))
    write_text(tmp_path / "file", "new", flush=False)
    assert (tmp_path / "file").read_text() == "new"


KILLED_BETWEEN_WRITE_AND_RENAME = """
import os, signal, sys
from pathlib import Path
from clrbench.files import write_text
os.fsync = lambda file: os.kill(os.getpid(), signal.SIGKILL)
write_text(Path(sys.argv[1]), "new")
"""


def test_a_kill_between_write_and_rename_leaves_the_old_file(tmp_path):
    write_text(tmp_path / "file", "old")
    command = [sys.executable, "-c", KILLED_BETWEEN_WRITE_AND_RENAME, str(tmp_path / "file")]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert (tmp_path / "file").read_text() == "old"


def test_what_a_kill_left_is_no_obstacle_to_the_next_write(tmp_path):
    (tmp_path / f".file.{os.getpid()}").write_text("half of something longer")
    write_text(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "new"
    assert names(tmp_path) == ["file"]


# Publishing


def write_runs(root: Path, **statuses: str | None) -> None:
    for name, status in statuses.items():
        write_record(store.run_folder(root, "quick", name), status=status)


def test_publishing_copies_finished_and_diverged_records_but_not_failed_or_running_ones(tmp_path):
    write_runs(tmp_path, a="finished", b="diverged", c="failed", d=None)
    published = store.publish(tmp_path, "quick")
    evidence = tmp_path / "evidence" / "quick"
    assert published == [evidence / "a", evidence / "b"]
    assert names(evidence) == ["a", "b"]
    for name in ("config.yaml", "evals.csv", "result.json"):
        assert (evidence / "a" / name).read_bytes() == (tmp_path / "runs" / "quick" / "a" / name).read_bytes()


def test_publishing_leaves_the_runs_where_they_are(tmp_path):
    write_runs(tmp_path, a="finished")
    store.publish(tmp_path, "quick")
    assert names(tmp_path / "runs" / "quick") == ["a"]


def test_publishing_twice_doubles_nothing(tmp_path):
    write_runs(tmp_path, a="finished", b="diverged")
    store.publish(tmp_path, "quick")
    assert store.publish(tmp_path, "quick") == []
    assert names(tmp_path / "evidence" / "quick") == ["a", "b"]


def test_publishing_adds_the_runs_that_are_new(tmp_path):
    write_runs(tmp_path, a="finished")
    store.publish(tmp_path, "quick")
    write_runs(tmp_path, b="finished")
    assert store.publish(tmp_path, "quick") == [tmp_path / "evidence" / "quick" / "b"]


def test_a_published_record_stays_as_it_is(tmp_path):
    write_runs(tmp_path, a="finished")
    store.publish(tmp_path, "quick")
    write_record(store.run_folder(tmp_path, "quick", "a"), host="another")
    store.publish(tmp_path, "quick")
    (result,) = results(tmp_path / "evidence" / "quick")
    assert result.host == "laptop"


def test_publishing_goes_on_after_one_that_was_killed_in_the_middle_of_a_copy(tmp_path):
    write_runs(tmp_path, a="finished")
    (tmp_path / "evidence" / "quick" / ".a").mkdir(parents=True)
    (tmp_path / "evidence" / "quick" / ".a" / "config.yaml").write_text("half")
    store.publish(tmp_path, "quick")
    assert names(tmp_path / "evidence" / "quick") == ["a"]
    assert [result.name for result in results(tmp_path / "evidence" / "quick")] == ["a"]


@pytest.mark.parametrize("statuses", [{}, {"a": "failed", "b": None}], ids=["no run", "none finished"])
def test_publishing_nothing_is_refused_in_one_line_that_says_what_to_run(tmp_path, statuses):
    write_runs(tmp_path, **statuses)
    with pytest.raises(ClrbenchError) as caught:
        store.publish(tmp_path, "quick")
    assert str(caught.value).endswith("no finished record: run `make sweep EXPERIMENT=quick` first")
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "evidence").exists()


@pytest.mark.parametrize("name", ["", ".", "..", "../runs/quick", "quick/"])
def test_publishing_takes_the_plain_name_of_an_experiment(tmp_path, name):
    write_runs(tmp_path, a="finished")
    with pytest.raises(ClrbenchError, match=r"is no experiment: name a folder in .*runs, as table1"):
        store.publish(tmp_path, name)
    assert not (tmp_path / "evidence").exists()


def test_publishing_again_does_not_ask_for_a_commit(tmp_path, monkeypatch, capsys):
    write_runs(tmp_path, a="finished")
    monkeypatch.setattr(sys, "argv", ["publish", "quick", "--results", str(tmp_path)])
    subcommands.publish()
    assert "1 new records; commit" in capsys.readouterr().out
    subcommands.publish()
    assert capsys.readouterr().out == f"no new records: {tmp_path / 'evidence' / 'quick'} has all that have finished\n"
