"""The dashboard: what a browser shows of the record, live, from this machine only, and however often it is filled."""

import contextlib
import dataclasses
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from browser import Visit, browser, needs_browser
from conftest import RESULT, ROOT

from clrbench.store import Evaluation, Record, run_folder
from clrbench.tracking.trackio import newest
from clrbench.tracking.trackio_arms import SUFFIX, Point, ShownCurve, mean

pytestmark = pytest.mark.skipif(importlib.util.find_spec("trackio") is None, reason="Trackio is not installed")

COMMAND = (sys.executable, str(ROOT / "scripts" / "dashboard.py"), "--no-browser")
HANGS_AFTER = 60
# What would send Trackio's data elsewhere, or Trackio itself to a proxy.
ELSEWHERE = {
    "TRACKIO_SPACE_ID": "someone/space",
    "TRACKIO_BUCKET_ID": "someone/bucket",
    "TRACKIO_SERVER_URL": "http://127.0.0.1:9",
    "GRADIO_SHARE": "true",
    "SYSTEM": "spaces",
    "http_proxy": "http://127.0.0.1:9",
}


def row(at: int) -> Evaluation:
    """The evaluation at the end of an epoch of 44 iterations."""
    return Evaluation(44 * at, float(at), 0.001 * at, 2.3 / at, {"test_loss": 2.4 / at, "test_accuracy": 20.0 * at}, 0.5 * at)


def write_run(folder: Path, evaluations: int, policy: str = "triangular2", ended: bool = True) -> Record:
    """The record of a run with so many evaluations."""
    record = Record(folder)
    record.write_config(f"policy: {{name: {policy}}}\nidentity: {{seed: 1, policy: {{max_lr: 0.03}}}}\n")
    record.write_evaluations([row(at) for at in range(1, evaluations + 1)])
    if ended:
        record.write_result(dataclasses.replace(RESULT, name=folder.name, policy=policy))
    return record


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two runs of an experiment, and one that ships with the project."""
    write_run(tmp_path / "results" / "runs" / "quick" / "fixed-132-s1", 3, "fixed")
    write_run(tmp_path / "results" / "runs" / "quick" / "triangular2-132-s1", 3)
    write_run(tmp_path / "results" / "evidence" / "quick" / "triangular2-132-s1", 3)
    return tmp_path / "results"


@contextlib.contextmanager
def started(results: Path, *options: str) -> Iterator[str]:
    """The address of a dashboard, which by its end has said one line, written nothing to the user's home, and ends well."""
    home = results.parent / "home"
    home.mkdir(exist_ok=True)
    with subprocess.Popen(
        [*COMMAND, "--results", str(results), "--outputs", str(results.parent / "outputs"), "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | ELSEWHERE | {"HOME": str(home), "TRACKIO_DIR": str(home / "trackio")},
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            assert line.startswith("dashboard at http://127.0.0.1:"), line
            yield line.split()[2]
        finally:
            process.send_signal(signal.SIGINT)
            rest = process.communicate(timeout=HANGS_AFTER)
    assert rest == ("", "")
    assert process.returncode == 0
    assert list(home.iterdir()) == []


def ask(url: str, question: str, headers: Mapping[str, str] | None = None, **arguments: Any) -> Any:
    """What the dashboard at `url` answers to the page's own questions."""
    address = f"{url.partition('?')[0]}api/{question}"
    sent = {"Content-Type": "application/json", **(headers or {})}
    with urllib.request.urlopen(urllib.request.Request(address, json.dumps(arguments).encode(), sent), timeout=30) as answer:
        return json.load(answer)["data"]


def shown(url: str, project: str = "quick") -> dict[str, list[int]]:
    """The iterations of each run that the dashboard shows."""
    runs = [{"run": run["name"], "run_id": run["id"]} for run in ask(url, "get_runs_for_project", project=project)]
    answers = ask(url, "get_logs_batch", project=project, runs=runs)
    return {answer["run"]: [row["step"] for row in answer["logs"]] for answer in answers}


def wait_until(seen: Callable[[], Any]) -> None:
    end = time.monotonic() + HANGS_AFTER
    while not seen():
        assert time.monotonic() < end, "the dashboard does not follow the record"
        time.sleep(0.1)


def complaint(*options: str, **environment: str) -> str:
    """The one line with which a dashboard refuses to start."""
    done = subprocess.run(
        [*COMMAND, *options], capture_output=True, text=True, check=False, timeout=HANGS_AFTER, env=os.environ | environment
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    return done.stderr


# In the browser


@needs_browser
def test_a_browser_shows_the_curves_of_all_runs_by_policy_and_new_rows_as_they_come(results: Path) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    write_run(results / "runs" / "quick" / hostile, 2)
    with started(results) as url, browser() as opened:
        visit = Visit(
            opened, ("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:"), viewport={"width": 1400, "height": 1000}
        )
        page = visit.page
        runs_of_quick = url.replace(f"quick{SUFFIX}", "quick").replace("x_axis=epoch", "x_axis=step")
        page.goto(runs_of_quick)
        for metric in ("test_accuracy", "lr", "train_loss", "test_loss"):
            page.wait_for_selector(f'.plot-container[data-metric="{metric}"] :is(canvas, svg)')
        for name in ("fixed-132-s1", "triangular2-132-s1", "evidence/triangular2-132-s1", hostile):
            page.locator(".checkbox-list").get_by_text(name, exact=True).wait_for()
        page.get_by_label("Group by").click()
        page.locator("li.item", has_text="Group").click()
        groups = page.locator(".run-group-section")
        groups.filter(has_text="fixed").get_by_text("(1)").wait_for()
        groups.filter(has_text="triangular2").get_by_text("(3)").wait_for()
        page.wait_for_function("trackio.getViewState().latest_x === 132")
        write_run(results / "runs" / "quick" / "triangular2-132-s1", 4)
        page.wait_for_function("trackio.getViewState().latest_x === 176")
        page.goto(url)
        page.wait_for_function("trackio.getViewState().x_axis === 'epoch' && trackio.getViewState().latest_x === 4")
        assert visit.troubles == []


# A mirror of the record


def test_however_often_it_is_filled_it_shows_each_row_once_and_what_is_gone_no_more(results: Path) -> None:
    rows = [44, 88, 132]
    everything = {"fixed-132-s1": rows, "triangular2-132-s1": rows, "evidence/triangular2-132-s1": rows}
    for _ in range(2):
        with started(results) as url:
            assert shown(url) == everything
    shutil.rmtree(results / "runs" / "quick" / "fixed-132-s1")
    write_run(results / "runs" / "quick" / "triangular2-132-s1", 1)
    with started(results) as url:
        assert shown(url) == {"triangular2-132-s1": [44], "evidence/triangular2-132-s1": rows}


def test_it_follows_a_run_that_begins_goes_on_ends_is_made_anew_and_is_removed(results: Path) -> None:
    folder = run_folder(results, "live", "exp-176-s1")
    with started(results) as url:

        def status() -> str:
            known = ask(url, "get_run_configs", project="live")
            return str(known.get("exp-176-s1", {}).get("status"))  # there is none while a run is made anew

        assert shown(url, "live") == {}
        write_run(folder, 1, ended=False)
        wait_until(lambda: shown(url, "live") == {"exp-176-s1": [44]})
        write_run(folder, 3, ended=False)
        wait_until(lambda: shown(url, "live") == {"exp-176-s1": [44, 88, 132]})
        assert status() == "unfinished"
        write_run(folder, 3)
        wait_until(lambda: status() == "finished")
        assert shown(url, "live") == {"exp-176-s1": [44, 88, 132]}
        Record(folder).write_evaluations(
            [Evaluation(40, 1.0, 0.1, float("nan"), {"test_loss": 2.0, "test_accuracy": 10.0}, 0.5)]
        )
        wait_until(lambda: shown(url, "live") == {"exp-176-s1": [40]})
        shutil.rmtree(folder)
        wait_until(lambda: shown(url, "live") == {})


def test_experiments_and_runs_of_any_name_are_shown_and_what_is_no_record_is_left_out_in_a_line(results: Path) -> None:
    names = ("a.b", "a b", "ab", "ü" * 100, "registry-x", "x_configs", os.fsdecode(b"\xff"))
    for name in names:
        write_run(results / "runs" / name / os.fsdecode(b"run-\xfe"), 1)
    quick = results / "runs" / "quick"
    write_run(quick / os.fsdecode(b"damaged-\xff\n\x1b[2J"), 1).folder.joinpath("evals.csv").write_text("no table\n1\n")
    write_run(quick / "damaged-too", 1).write_config(f"identity: {{seed: {10**30}}}\n")
    command = [*COMMAND, "--results", str(results), "--outputs", str(results.parent / "outputs"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        no_table, no_number = sorted(process.stdout.readline() for _ in range(2))
        assert no_table.startswith(f"left out: {quick}/damaged-???[2J/evals.csv: is damaged")
        assert no_number.startswith(f"left out: {quick}/damaged-too: Trackio does not take it")
        url = process.stdout.readline().split()[2]
        projects = [project for project in ask(url, "get_all_projects") if not project.endswith(SUFFIX)]
        assert len(projects) == len(names) + 1
        assert [shown(url, project) for project in projects if project != "quick"] == [{"run-\\xfe": [44]}] * len(names)
        assert len(shown(url)) == 3
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=HANGS_AFTER) == ("", "")


# Where it opens, and the arms


def test_it_opens_on_the_newest_experiment_over_epochs_with_every_curve_as_it_is(results: Path) -> None:
    newer = write_run(results / "runs" / "newer" / "fixed-132-s1", 1).folder
    for file in newer.iterdir():
        os.utime(file, (2e9, 2e9))
    with started(results) as url:
        query = urllib.parse.parse_qs(urllib.parse.urlparse(url).query)
    assert query == {
        "selected_project": [f"newer{SUFFIX}"],
        "x_axis": ["epoch"],
        "smoothing": ["0"],
        "hide_empty_tabs": ["true"],
    }


def test_shipped_records_are_opened_only_where_there_are_none_of_ones_own(results: Path) -> None:
    write_run(results / "evidence" / "shipped" / "fixed-132-s1", 1)
    assert newest(results) == f"quick{SUFFIX}"
    shutil.rmtree(results / "runs")
    shutil.rmtree(results / "evidence" / "quick")
    assert newest(results) == f"shipped{SUFFIX}"


def test_an_arm_is_one_line_the_mean_over_its_finished_seeds_and_follows_them(results: Path) -> None:
    live = run_folder(results, "live", "exp-132-s")

    def seed(number: int, factor: float, ended: bool = True) -> None:
        record = write_run(live.with_name(f"{live.name}{number}"), 0, "exp", ended)
        record.write_config(f"policy: {{name: exp}}\nidentity: {{seed: {number}, policy: {{max_lr: 0.03}}}}\n")
        rows = [dataclasses.replace(row(at), metrics={"test_loss": 1.0, "test_accuracy": factor * at}) for at in (1, 2, 3)]
        record.write_evaluations(rows if ended else rows[:1])

    def arms(url: str) -> list[list[tuple[int, float]]]:
        project = f"live{SUFFIX}"
        lines = [{"run": run["name"], "run_id": run["id"]} for run in ask(url, "get_runs_for_project", project=project)]
        answers = ask(url, "get_logs_batch", project=project, runs=lines)
        return [[(log["step"], log["test_accuracy"]) for log in answer["logs"]] for answer in answers]

    with started(results) as url:
        seed(1, 10.0)
        seed(2, 20.0)
        seed(3, 99.0, ended=False)
        wait_until(lambda: arms(url) == [[(44, 15.0), (88, 30.0), (132, 45.0)]])
        seed(3, 30.0)
        wait_until(lambda: arms(url) == [[(44, 20.0), (88, 40.0), (132, 60.0)]])
        for folder in live.parent.iterdir():
            shutil.rmtree(folder)
        wait_until(lambda: arms(url) == [])


def test_the_mean_is_of_what_each_seed_has_measured() -> None:
    points = [Point(44, datetime(2026, 1, 1, tzinfo=UTC), {"lr": 0.1, name: 2.0}) for name in ("val_loss", "test_loss")]
    line = mean([ShownCurve([point], {"status": "diverged"}, "arm") for point in points])
    assert [point.values for point in line.points] == [{"lr": 0.1}]


# To this machine only


def test_it_takes_no_writes_from_the_page_and_no_questions_under_another_name(results: Path) -> None:
    with started(results) as url:
        for question, headers in (
            ({"question": "delete_run", "project": "quick", "run": "fixed-132-s1"}, {}),
            ({"question": "get_all_projects"}, {"Host": "elsewhere.example"}),
        ):
            with pytest.raises(urllib.error.HTTPError, match="400"):
                ask(url, headers=headers, **question)
        assert len(shown(url)) == 3


def test_where_the_port_is_taken_it_has_the_next_one(results: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with started(results, "--port", str(port)) as url:
            assert port < int(url.split(":")[2].partition("/")[0]) < port + 100


# What is wrong, in one line


def test_it_says_in_one_line_why_it_cannot_start(results: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert complaint("--results", str(empty)).startswith(f"error: {empty}: no records of runs there: `make sweep`")
    (tmp_path / "without" / "trackio").mkdir(parents=True)
    (tmp_path / "without" / "trackio" / "__init__.py").write_text("raise ModuleNotFoundError('trackio')")
    options = ("--results", str(results), "--outputs", str(tmp_path / "outputs"))
    assert "pip install 'clrbench[dashboard]'" in complaint(*options, PYTHONPATH=str(tmp_path / "without"))
    assert "--port" in complaint(*options, "--port", "70000")
    with started(results):
        assert "another dashboard" in complaint(*options)
    shutil.rmtree(tmp_path / "outputs")
    (tmp_path / "outputs").write_text("a file")
    assert "--outputs" in complaint(*options)
