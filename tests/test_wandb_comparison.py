"""The workspace and the report on W&B: the real client against a server on this machine."""

import importlib.util
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import carried_out
from conftest import ROOT, composed
from made_up import CYCLES, write_arm, write_run, write_table1
from wandb_server import WandbServer, account

from clrbench import config
from clrbench.errors import ClrbenchError
from clrbench.report import outputs
from clrbench.report.contents import gather
from clrbench.tracking.judgement import PICTURE
from clrbench.tracking.wandb import WandbMirrors
from clrbench.tracking.wandb_comparison import Saved, save, selected
from clrbench.training import run as running
from clrbench.training.console import Console

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("wandb_workspaces") is None, reason="wandb-workspaces is not installed"),
    # The client's own, and nothing that a user sees.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:wandb_workspaces"),
]

TITLE = "clrbench: table1"
WORKSPACE = "table1: cifar10_full on cifar10"
# What the client asks for until the first workspace is saved.
UNTIL_WORKSPACE = 8


@pytest.fixture(autouse=True)
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[WandbServer]:
    """A server with a project in the account."""
    with account(monkeypatch, tmp_path / "home") as serving:
        serving.projects.add("clrbench")
        yield serving


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Three runs each of two policies: fixed gets to 81%, cycling to 76%; and one that ships with the project."""
    folder = tmp_path / "results"
    write_arm(folder, "fixed", (81.0, 81.2, 81.4), source="runs", curve=(60.0, 71.0))
    write_arm(folder, "cycling", (76.0, 76.2, 76.4), source="runs", curve=(60.0, 71.0), schedule=CYCLES)
    write_run(folder, "fixed", 1, 99.9, source="evidence", experiment="table3")
    return folder


def saved(
    results: Path, experiment: str | None = "table1", project: str = "clrbench", entity: str | None = None
) -> list[Saved]:
    return save(project, entity, TITLE, selected(gather(results, ROOT / "conf"), experiment))


def command(results: Path, *options: str) -> tuple[int, str, float]:
    """The script: its exit code, all that it says, and the seconds that it takes."""
    started = time.monotonic()
    words = [ROOT / "scripts" / "wandb_dashboard.py", "--results", results, *options]
    done = carried_out(words, results.parent, timeout=60)
    return done.returncode, (done.stdout + done.stderr).strip(), time.monotonic() - started


def panels(workspace: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for part in workspace["section"]["panelBankConfig"]["sections"] for panel in part["panels"]]


def drawn(workspace: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The settings of each chart, by its metric."""
    return {panel["config"]["metrics"][0]: panel["config"] for panel in panels(workspace) if "metrics" in panel["config"]}


def filters(runset: dict[str, Any]) -> list[tuple[str, str, Any]]:
    return [(one["key"]["name"], one["op"], one["value"]) for one in runset["filters"]["filters"]]


def test_the_command_saves_a_workspace_an_experiment_and_a_report_and_says_where(server: WandbServer, results: Path) -> None:
    code, said, _ = command(results)
    assert code == 0
    workspace, report = said.splitlines()
    assert workspace.startswith(f"workspace {WORKSPACE}: {server.url}/somebody/clrbench?nw=")
    assert report.startswith(f"report clrbench: the claims of the paper: {server.url}/somebody/clrbench/reports/")
    assert [(view["type"], view["displayName"]) for view in server.views] == [
        ("project-view", WORKSPACE),
        ("runs", "clrbench: the claims of the paper"),
    ]


def test_a_workspace_draws_accuracy_rate_final_accuracy_and_iterations_to_the_highest_targets(
    server: WandbServer, results: Path
) -> None:
    saved(results)
    spec = server.spec(WORKSPACE)
    charts = drawn(spec)
    band = {"groupBy": "jobType", "groupAgg": "mean", "groupArea": "minmax"}
    assert charts["test_accuracy"].items() >= {"xAxis": "epoch", **band}.items()
    assert charts["lr"].items() >= {"xAxis": "iteration", **band}.items()
    assert charts["final_accuracy"].items() >= band.items()
    assert [name for name in charts if name.startswith("iterations_to")] == [f"iterations_to_{at}" for at in (70, 75, 80)]
    assert (charts["test_accuracy"]["yAxisMin"], charts["test_accuracy"]["yAxisMax"]) == (70, 84)
    # A mean over the runs that get there would hide those that never do.
    assert "groupBy" not in charts["iterations_to_80"]
    assert panels(spec)[-1]["viewType"] == "Run Comparer"


def test_a_workspace_opens_with_accuracy_the_rate_below_it_and_then_final_accuracy(server: WandbServer, results: Path) -> None:
    saved(results)
    curves, outcomes, _ = server.spec(WORKSPACE)["section"]["panelBankConfig"]["sections"]
    assert [panel["config"]["metrics"] for panel in curves["panels"]] == [["test_accuracy"], ["lr"]]
    assert (curves["flowConfig"]["columnsPerPage"], curves["flowConfig"]["rowsPerPage"]) == (1, 2)
    assert outcomes["panels"][0]["config"]["metrics"] == ["final_accuracy"]
    assert (outcomes["flowConfig"]["columnsPerPage"], outcomes["flowConfig"]["rowsPerPage"]) == (4, 1)
    assert curves["isOpen"]
    assert outcomes["isOpen"]


def test_all_that_is_drawn_is_what_runs_log(server: WandbServer, tmp_path: Path) -> None:
    paths = (f"paths.results={tmp_path / 'results'}", f"paths.outputs={tmp_path / 'outputs'}")
    made = config.checked(composed("iterations=4 epochs", "policy.step_size=1 epoch", "tracking.wandb=online", *paths))
    result, _ = running.train(made, Console(silent=True), mirrors=WandbMirrors())
    saved(tmp_path / "results", "adhoc")
    charts = drawn(server.spec("adhoc: small_cnn on digits"))
    lines = server.lines(result.run_id)
    for name in ("test_accuracy", "lr"):
        point = {name, charts.pop(name)["xAxis"]}
        assert any(point <= line.keys() for line in lines)
    assert len(charts) == 4
    assert charts.keys() <= server.summary(result.run_id).keys()
    assert filters(server.spec("adhoc: small_cnn on digits")["section"]["runSets"][0]) == [
        ("group", "=", server.buckets[result.run_id]["groupName"]),
        *(("tags", "IN", [tag]) for tag in server.buckets[result.run_id]["tags"]),
    ]


def test_arms_of_one_policy_are_told_apart_by_their_setting(server: WandbServer, results: Path) -> None:
    for step_size in (100, 200):
        schedule = {**CYCLES, "step_size": step_size}
        write_arm(results, "cycling", (80.0, 80.2), source="runs", experiment="step_size", schedule=schedule)
    saved(results, "step_size")
    assert drawn(server.spec("step_size: cifar10_full on cifar10"))["test_accuracy"]["groupBy"] == "policy.value.step_size"


@pytest.mark.parametrize("name", ["it's", "a=b and c<d", 'back\\slash "quoted"'])
def test_whatever_an_experiment_is_called_its_own_runs_alone_are_shown(name: str, server: WandbServer, results: Path) -> None:
    write_arm(results, "fixed", (80.0, 80.2), source="runs", experiment=name)
    saved(results, name)
    (workspace, report) = server.views
    assert workspace["displayName"].endswith(": cifar10_full on cifar10")
    shown = server.spec(workspace["displayName"])["section"]["runSets"][0]
    (grid,) = [block for block in server.spec(report["displayName"])["blocks"] if block["type"] == "panel-grid"]
    assert (
        filters(shown)
        == filters(grid["metadata"]["runSets"][0])
        == [
            ("group", "=", name),
            ("tags", "IN", ["cifar10"]),
            ("tags", "IN", ["cifar10_full"]),
        ]
    )


def test_a_workspace_of_range_tests_shows_their_pictures(server: WandbServer, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "results" / "evidence" / "range_test", tmp_path / "runs" / "range_test")
    saved(tmp_path, "range_test")
    shown = [panel["config"] for panel in panels(server.spec("range_test: small_cnn on digits"))]
    assert [config["mediaKeys"] for config in shown if "mediaKeys" in config] == [[PICTURE]]
    assert not any(metric.startswith(("final", "iterations")) for config in shown for metric in config.get("metrics", []))


def corners(grid: dict[str, Any]) -> list[tuple[int, int, int, int]]:
    """Left, top, right and bottom of each panel of a report's grid."""
    layouts = [panel["layout"] for panel in grid["metadata"]["panelBankSectionConfig"]["panels"]]
    return [(at["x"], at["y"], at["x"] + at["w"], at["y"] + at["h"]) for at in layouts]


def texts(blocks: list[dict[str, Any]]) -> list[str]:
    return [block["content"] for block in blocks if block["type"] == "markdown-block"]


def test_the_report_is_the_answer_the_figure_and_the_table_of_the_page(server: WandbServer, tmp_path: Path) -> None:
    write_table1(tmp_path, source="runs")
    saved(tmp_path)
    blocks = server.spec(TITLE)["blocks"]
    contents = gather(tmp_path, ROOT / "conf")
    assert contents.answer is not None
    page = outputs.files(contents, tmp_path, ROOT / "conf")[tmp_path / "summary.md"]
    answer, table = texts(blocks)
    for paragraph in answer.split("\n\n")[:-1]:
        assert paragraph in page
    assert answer.endswith("The answer is computed from your own runs. The charts draw your own runs.")
    # The client puts an empty paragraph first.
    assert [block["type"] for block in blocks][1:4] == ["markdown-block", "panel-grid", "markdown-block"]
    figure = blocks[2]["metadata"]["panelBankSectionConfig"]["panels"]
    assert [panel["config"]["metrics"] for panel in figure] == [["test_accuracy"], ["lr"]]
    assert table.startswith("| claim | verdict | measured here, 95% interval | in the paper |")
    assert "](" not in table


def test_a_report_on_another_experiment_than_the_answers_has_its_charts_side_by_side(
    server: WandbServer, results: Path
) -> None:
    saved(results)
    blocks = server.spec(TITLE)["blocks"]
    (grid,) = [block for block in blocks if block["type"] == "panel-grid"]
    assert corners(grid) == [
        (0, 0, 24, 10),
        (0, 10, 24, 15),
        *[(0, 15, 8, 21), (8, 15, 16, 21), (16, 15, 24, 21), (0, 21, 8, 27)],
    ]


def test_an_answer_without_runs_of_ones_own_says_where_its_figure_is(server: WandbServer, results: Path) -> None:
    shutil.copytree(ROOT / "results" / "evidence" / "table1", results / "evidence" / "table1")
    write_arm(results, "fixed", (80.0, 80.2), source="runs", experiment="mine")
    saved(results, None)
    answer = texts(server.spec(TITLE)["blocks"])[0]
    assert "computed from the records that ship with clrbench" in answer
    saved(results, "mine")
    assert texts(server.spec(TITLE)["blocks"]) == []


def test_a_damaged_record_is_named_and_left_out(results: Path) -> None:
    record = write_run(results, "decay", 1, 96.0, source="runs")
    (record.folder / "result.json").write_text("{")
    code, said, _ = command(results)
    assert code == 0
    assert f"left out: {record.folder / 'result.json'}: is damaged" in said


def test_saving_again_updates_what_is_there(server: WandbServer, results: Path) -> None:
    first = saved(results)
    write_run(results, "decay", 1, 96.0, source="runs")
    assert saved(results) == first
    assert len(server.views) == 2
    assert "iterations_to_95" in drawn(server.spec(WORKSPACE))


def test_an_entity_can_be_chosen(server: WandbServer, results: Path) -> None:
    saved(results, entity="team")
    assert {view["entityName"] for view in server.views} == {"team"}


@pytest.mark.parametrize("trouble", ["no key", "wrong key", "refused", "no project"])
def test_trouble_ends_within_seconds_in_a_line_that_helps(
    trouble: str, server: WandbServer, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if trouble == "no key":
        monkeypatch.delenv("WANDB_API_KEY")
    server.refuses_key = trouble == "wrong key"
    if trouble == "refused":
        server.stop()
    if trouble == "no project":
        server.projects.clear()
    code, said, seconds = command(results)
    assert (code, said.count("\n")) == (1, 0)
    assert said.startswith("error: W&B")
    help_ = {"no key": "`wandb login`", "wrong key": "--relogin", "refused": "does not answer", "no project": "--project"}
    assert help_[trouble] in said
    assert "nothing is lost" not in said
    assert seconds < 30
    assert server.views == []


def test_a_server_that_dies_midway_costs_seconds_and_the_same_command_saves_the_rest(
    server: WandbServer, results: Path
) -> None:
    server.dies_after = UNTIL_WORKSPACE
    code, said, seconds = command(results)
    assert (code, said.count("\n"), seconds < 30) == (1, 0, True)
    assert said.startswith("error: W&B")
    assert said.endswith("the same command saves the rest later")
    assert [view["displayName"] for view in server.views] == [WORKSPACE]
    server.dies_after = None
    assert command(results)[0] == 0
    assert [view["type"] for view in server.views] == ["project-view", "runs"]


@pytest.mark.parametrize(("experiment", "said"), [(None, "EXPERIMENT=quick"), ("table3", "in the experiment table3")])
def test_without_runs_of_ones_own_there_is_nothing_to_compare(experiment: str | None, said: str, tmp_path: Path) -> None:
    write_run(tmp_path, "fixed", 1, 99.9, source="evidence", experiment="table3")
    with pytest.raises(ClrbenchError, match=f"none of your runs has ended.*{said}"):
        saved(tmp_path, experiment)


def test_without_the_package_an_error_says_how_to_get_it(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb_workspaces.workspaces", None)
    with pytest.raises(ClrbenchError, match=r"wandb-workspaces is not installed: pip install 'clrbench\[workspaces\]'"):
        saved(results)
