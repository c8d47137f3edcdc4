"""Weights & Biases, with the real client writing offline."""

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import RESULT, composed

from clrbench import config
from clrbench.store import Evaluation, Record, Result
from clrbench.tracking import wandb as tracking
from clrbench.tracking.wandb import WandbMirrors
from clrbench.training import run as running
from clrbench.training.console import Console

SHORT = ("iterations=4 epochs", "policy.step_size=1 epoch", "tracking.log_every=20")


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither an account nor settings of the person who runs the tests."""
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_PROJECT", "WANDB_ENTITY", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "home" / "netrc"))


def make(folder: Path, *overrides: str) -> config.Config:
    paths = (f"paths.results={folder / 'results'}", f"paths.outputs={folder / 'outputs'}")
    return config.checked(composed(*SHORT, *overrides, *paths))


def train(made: config.Config) -> tuple[Result, Record]:
    return running.train(made, Console(), mirrors=WandbMirrors())


def offline_log(folder: Path) -> list[dict[str, Any]]:
    """What the client wrote, record by record; there must be one run alone."""
    (path,) = folder.glob("outputs/runs/*/*/wandb/offline-run-*/*.wandb")
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(path)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [json.loads(line) for line in lines]


def history(log: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The logged points, without W&B's own fields."""
    points = [entry["history"]["item"] for entry in log if entry["type"] == "history"]
    return [{name: value for name, value in point.items() if not name.startswith("_")} for point in points]


def test_an_offline_run_holds_config_group_tags_rates_and_evaluations(tmp_path: Path) -> None:
    result, record = train(make(tmp_path))
    log = offline_log(tmp_path)
    run = next(entry["run"] for entry in log if entry["type"] == "run")
    assert (run["run_id"], run["run_group"], run["job_type"], run["display_name"]) == (
        result.run_id,
        "adhoc",
        "triangular2",
        result.name,
    )
    assert run["tags"] == ["digits", "small_cnn"]
    assert run["config"]["update"]["iterations"] == 160
    points = history(log)
    evaluations = [point for point in points if "test_accuracy" in point]
    assert [(point["iteration"], point["test_accuracy"], point["train_loss"], point["test_loss"]) for point in evaluations] == [
        (row.iteration, row.metrics["test_accuracy"], row.train_loss, row.metrics["test_loss"]) for row in record.evaluations()
    ]
    rates = [(point["iteration"], point["lr"]) for point in points if "lr" in point]
    assert [iteration for iteration, _ in rates] == list(range(0, 161, 20))
    assert rates[1][1] == pytest.approx(0.002 + (0.03 - 0.002) * 20 / 40)


def test_the_summary_of_a_finished_run_alone_has_its_accuracy_and_the_iterations_to_the_targets_it_reaches() -> None:
    rows = [
        Evaluation(at, at / 10, 0.01, 1.0, {"test_loss": 1.0, "test_accuracy": accuracy}, 1.0)
        for at, accuracy in ((10, 12.0), (20, 21.0), (30, 20.5))
    ]
    summary = tracking.summary(RESULT, rows)
    assert {name: value for name, value in summary.items() if name.startswith(("final", "iterations_to"))} == {
        "final_accuracy": 25.0,
        **dict.fromkeys(("iterations_to_5", "iterations_to_10"), 10),
        **dict.fromkeys(("iterations_to_15", "iterations_to_20"), 20),
    }
    diverged = tracking.summary(dataclasses.replace(RESULT, status="diverged", value=None), rows)
    assert diverged.keys() == {"status", "iterations", "seconds", "images_per_second"}


def test_the_axes_are_iteration_for_all_metrics(tmp_path: Path) -> None:
    train(make(tmp_path))
    metrics = [entry["metric"] for entry in offline_log(tmp_path) if entry["type"] == "metric"]
    assert any(metric.get("step_metric") == "iteration" for metric in metrics)


def test_an_interrupted_run_is_one_offline_run_with_each_point_once(tmp_path: Path, interrupted_at: Callable[..., Any]) -> None:
    with interrupted_at(97):
        train(make(tmp_path))
    train(make(tmp_path))
    iterations = [point["iteration"] for point in history(offline_log(tmp_path)) if "test_accuracy" in point]
    assert iterations == [40, 80, 120, 160]


def test_without_an_account_auto_means_offline_and_disabled_means_nothing(tmp_path: Path) -> None:
    train(make(tmp_path / "auto"))
    assert list((tmp_path / "auto").glob("outputs/runs/adhoc/*/wandb/offline-run-*"))
    train(make(tmp_path / "disabled", "tracking.wandb=disabled"))
    assert not list((tmp_path / "disabled").glob("outputs/runs/adhoc/*/wandb"))


def said_by(monkeypatch: pytest.MonkeyPatch, made: config.Config, begin: Callable[..., Any]) -> tuple[Result, list[str]]:
    """Train with a W&B client whose start is `begin`; returns the result and what was said about W&B."""
    said: list[str] = []
    console = Console()
    monkeypatch.setattr(console, "say", said.append)
    monkeypatch.setattr(tracking.WandbMirror, "_begin", begin)
    result, _ = running.train(made, console, mirrors=WandbMirrors())
    return result, [line for line in said if "W&B" in line]


def test_trouble_with_wandb_is_one_line_and_never_reaches_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Any) -> None:
        raise ConnectionError("the server\nrefuses")

    result, said = said_by(monkeypatch, make(tmp_path), refuse)
    assert result.status == "finished"
    assert said == [f"W&B: the server refuses; {tracking.LATER}"]


def test_a_client_that_never_answers_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "WAIT_AT_END", 0.2)
    result, said = said_by(monkeypatch, make(tmp_path), lambda _: time.sleep(60))
    assert result.status == "finished"
    assert len(said) == 1
    assert said[0].startswith("W&B did not answer")


def test_a_server_that_cannot_be_reached_costs_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "3")
    monkeypatch.setattr(tracking, "WAIT_AT_END", 6.0)
    result, _ = train(make(tmp_path, "tracking.wandb=online"))
    assert result.status == "finished"
