"""Weights & Biases online, and `make sync`: the real client against a server on this machine."""

import dataclasses
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import carried_out
from conftest import RESULT, ROOT, composed
from rich.console import Console as Terminal
from wandb_server import WandbServer, account

from clrbench import config
from clrbench.errors import ClrbenchError
from clrbench.lock import locked
from clrbench.store import Result
from clrbench.tracking import sync as syncing
from clrbench.tracking import wandb as tracking
from clrbench.tracking.wandb import WandbMirrors
from clrbench.training import run as running
from clrbench.training.console import Console

SHORT = ("iterations=4 epochs", "policy.step_size=1 epoch", "tracking.log_every=20")
# A line every 20 iterations with the rate; those at 40, 80, 120 and 160 have the evaluation as well.
ITERATIONS = list(range(0, 161, 20))
UNTIL_INTERRUPT = ITERATIONS[:5]
# What the client asks for before it sends the first line of the history, and in a whole run.
BEFORE_HISTORY, WHOLE_RUN = 4, 6
# Where each run was to go.
ANYWHERE = syncing.Destination(None, None)


@pytest.fixture(autouse=True)
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[WandbServer]:
    """A server, with little patience for it."""
    monkeypatch.setenv("WANDB_FINISH_TIMEOUT", "3")
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "5")
    with account(monkeypatch, tmp_path / "home") as serving:
        yield serving


def train(folder: Path, mode: str, seed: int = 1) -> tuple[Result, list[str]]:
    """One short run, and what was said about W&B."""
    paths = (f"paths.results={folder / 'results'}", f"paths.outputs={folder / 'outputs'}")
    made = config.checked(composed(*SHORT, *paths, f"tracking.wandb={mode}", f"seed={seed}"))
    said: list[str] = []
    console = Console(silent=True)
    console.say = said.append  # type: ignore[method-assign]
    result, _ = running.train(made, console, mirrors=WandbMirrors())
    return result, [line for line in said if "W&B" in line]


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch, interrupted_at: Callable[..., Any]) -> Callable[[Path, str], None]:
    """Start the same run, with Ctrl-C after iteration 97; the evaluations at 40 and 80 have been mirrored."""

    def start(folder: Path, mode: str) -> None:
        with monkeypatch.context() as patient:
            patient.setattr(tracking, "WAIT_AT_INTERRUPT", 30.0)
            with interrupted_at(97):
                train(folder, mode)

    return start


def sync(folder: Path, *options: str) -> tuple[int, str, float]:
    """`make sync`: its exit code, all that it says, and the seconds that it takes."""
    started = time.monotonic()
    done = carried_out([ROOT / "scripts" / "sync.py", "--outputs", folder / "outputs", *options], folder, timeout=60)
    return done.returncode, (done.stdout + done.stderr).strip(), time.monotonic() - started


def iterations(server: WandbServer, run_id: str) -> list[int]:
    return [line["iteration"] for line in server.lines(run_id)]


def test_an_online_run_has_group_name_history_and_summary(server: WandbServer, tmp_path: Path) -> None:
    result, said = train(tmp_path, "online")
    assert said == []
    assert list(server.buckets) == [result.run_id]
    run = server.buckets[result.run_id]
    assert (run["groupName"], run["displayName"], run["jobType"]) == ("adhoc", result.name, "triangular2")
    assert iterations(server, result.run_id) == ITERATIONS
    summary = server.summary(result.run_id)
    assert (summary["status"], summary["test_accuracy"]) == ("finished", result.value)
    assert sync(tmp_path)[:2] == (0, f"nothing to upload below {tmp_path / 'outputs'}")


def test_an_interrupted_online_run_is_one_run_with_each_line_once(
    server: WandbServer, tmp_path: Path, interrupt: Callable[[Path, str], None]
) -> None:
    interrupt(tmp_path, "online")
    (run_id,) = server.buckets
    assert iterations(server, run_id) == UNTIL_INTERRUPT
    train(tmp_path, "online")
    assert list(server.buckets) == [run_id]
    assert iterations(server, run_id) == ITERATIONS


def test_offline_runs_are_uploaded_once_however_often_they_are_synced(server: WandbServer, tmp_path: Path) -> None:
    results = [train(tmp_path, "offline", seed)[0] for seed in (1, 2)]
    assert server.requests == []
    assert sync(tmp_path)[:2] == (0, "2 runs uploaded")
    requests = len(server.requests)
    assert sync(tmp_path)[:2] == (0, f"nothing to upload below {tmp_path / 'outputs'}")
    assert len(server.requests) == requests
    assert set(server.buckets) == {result.run_id for result in results}
    for result in results:
        assert server.buckets[result.run_id]["groupName"] == "adhoc"
        assert iterations(server, result.run_id) == ITERATIONS
        assert server.summary(result.run_id)["test_accuracy"] == result.value


def test_project_and_entity_can_be_chosen_at_the_sync(server: WandbServer, tmp_path: Path) -> None:
    result, _ = train(tmp_path, "offline")
    assert sync(tmp_path, "--project", "elsewhere", "--entity", "team")[0] == 0
    run = server.buckets[result.run_id]
    assert (run["project"], run["entity"]) == ("elsewhere", "team")


def test_a_run_synced_while_interrupted_and_again_at_its_end_is_one_run(
    server: WandbServer, tmp_path: Path, interrupt: Callable[[Path, str], None]
) -> None:
    interrupt(tmp_path, "offline")
    assert sync(tmp_path)[0] == 0
    (run_id,) = server.buckets
    assert iterations(server, run_id) == UNTIL_INTERRUPT
    result, _ = train(tmp_path, "offline")
    assert sync(tmp_path)[:2] == (0, "1 runs uploaded")
    assert list(server.buckets) == [run_id]
    assert iterations(server, run_id) == ITERATIONS
    assert server.summary(run_id)["test_accuracy"] == result.value


def test_a_run_under_way_is_left_for_later(server: WandbServer, tmp_path: Path) -> None:
    result, _ = train(tmp_path, "offline")
    with locked(tmp_path / "outputs" / "runs" / "adhoc" / result.name):
        code, said, _ = sync(tmp_path)
    assert (code, "1 under way" in said, server.requests) == (0, True, [])


def test_a_server_that_dies_amid_a_sync_costs_seconds_and_nothing_is_lost_or_doubled(
    server: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = [train(tmp_path, "offline", seed)[0] for seed in (1, 2)]
    monkeypatch.setattr(syncing, "PARALLEL", 1)
    server.dies_after = 1 + WHOLE_RUN
    with pytest.raises(ClrbenchError, match=r"does not answer.*`make sync` uploads the rest later"):
        syncing.sync(tmp_path / "outputs", tmp_path / "results", ANYWHERE, Terminal(quiet=True))
    server.dies_after = None
    assert sync(tmp_path)[:2] == (0, "1 runs uploaded")
    for result in results:
        assert iterations(server, result.run_id) == ITERATIONS


@pytest.mark.parametrize("trouble", ["no key", "wrong key", "refused"])
def test_a_sync_without_key_or_server_ends_within_seconds_in_a_line_that_helps(
    trouble: str, server: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(tmp_path, "offline")
    if trouble == "no key":
        monkeypatch.delenv("WANDB_API_KEY")
    server.refuses_key = trouble == "wrong key"
    if trouble == "refused":
        server.stop()
    code, said, seconds = sync(tmp_path)
    assert (code, said.count("\n")) == (1, 0)
    assert said.startswith("error: W&B")
    assert {"no key": "`wandb login`", "wrong key": "--relogin", "refused": "does not answer"}[trouble] in said
    assert "make sync" in said
    assert seconds < 30


@pytest.mark.parametrize("trouble", ["wrong key", "refused"])
def test_a_run_whose_server_turns_it_away_is_mirrored_offline_and_synced_later(
    trouble: str, server: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.refuses_key = trouble == "wrong key"
    if trouble == "refused":
        monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    started = time.monotonic()
    result, said = train(tmp_path, "online")
    assert time.monotonic() - started < tracking.WAIT_AT_END
    assert result.status == "finished"
    assert len(said) == 1
    assert "`make sync` uploads it later" in said[0]
    server.refuses_key = False
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    assert sync(tmp_path)[0] == 0
    assert iterations(server, result.run_id) == ITERATIONS


def test_a_run_whose_server_dies_midway_is_completed_by_a_sync(server: WandbServer, tmp_path: Path) -> None:
    server.dies_after = BEFORE_HISTORY
    result, said = train(tmp_path, "online")
    assert result.status == "finished"
    assert len(said) == 1
    assert "`make sync`" in said[0]
    server.dies_after = None
    assert sync(tmp_path)[:2] == (0, "1 runs uploaded")
    assert iterations(server, result.run_id) == ITERATIONS


def test_a_mirror_that_was_given_up_says_nothing_more(
    server: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "WAIT_AT_END", 0.5)
    mirrors: list[tracking.WandbMirror] = []
    start = tracking.WandbMirror.start
    monkeypatch.setattr(tracking.WandbMirror, "start", lambda self: (mirrors.append(self), start(self))[1])
    server.dies_after = 0
    _, said = train(tmp_path, "online")
    (mirror,) = mirrors
    assert mirror._thread is not None
    mirror._thread.join(30)
    assert not mirror._thread.is_alive()
    assert len(said) == 1
    assert "did not answer" in said[0]


def test_a_run_that_was_deleted_on_wandb_does_not_keep_others_from_it(server: WandbServer, tmp_path: Path) -> None:
    kept, deleted = (train(tmp_path, "offline", seed)[0] for seed in (1, 2))
    server.deleted.add(deleted.run_id)
    code, said, _ = sync(tmp_path)
    assert code == 1
    assert iterations(server, kept.run_id) == ITERATIONS
    left_out, uploaded, _ = said.splitlines()
    assert left_out.startswith("left out: ")
    assert deleted.run_id in left_out
    assert "deleted" in left_out
    assert uploaded == "1 runs uploaded"


def test_wandb_can_be_filled_from_the_records_alone_and_they_say_all(server: WandbServer, tmp_path: Path) -> None:
    result, _ = train(tmp_path, "disabled")
    shutil.rmtree(tmp_path / "outputs")
    assert sync(tmp_path)[1].startswith("nothing to upload")
    for _ in range(2):
        assert sync(tmp_path, "--every")[:2] == (0, "1 runs uploaded")
    run = server.buckets[result.run_id]
    assert (run["groupName"], run["displayName"], run["jobType"]) == ("adhoc", result.name, "triangular2")
    evaluations = [line["iteration"] for line in server.lines(result.run_id) if "test_accuracy" in line]
    assert evaluations == [40, 80, 120, 160]
    assert server.summary(result.run_id)["final_accuracy"] == result.value


def test_wandb_calls_a_run_finished_only_at_the_end_of_its_budget(
    server: WandbServer, tmp_path: Path, interrupt: Callable[[Path, str], None]
) -> None:
    interrupt(tmp_path, "online")
    (run,) = server.buckets.values()
    assert run["exitcode"] == 130
    train(tmp_path, "online")
    assert run["exitcode"] == 0
    assert tracking.exit_code(dataclasses.replace(RESULT, status="failed")) == 1
    assert tracking.exit_code(dataclasses.replace(RESULT, status="diverged")) == 1


def test_an_interrupted_run_that_is_synced_is_not_finished(
    server: WandbServer, tmp_path: Path, interrupt: Callable[[Path, str], None]
) -> None:
    interrupt(tmp_path, "offline")
    assert sync(tmp_path)[0] == 0
    (run,) = server.buckets.values()
    assert run["exitcode"] == 130


def test_an_agent_that_repeats_a_setting_gets_a_finished_run_under_its_own_id(
    server: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, _ = train(tmp_path, "online")
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep")
    monkeypatch.setenv("WANDB_RUN_ID", "from-agent")
    again, _ = train(tmp_path, "online")
    assert again == result
    assert server.buckets["from-agent"]["exitcode"] == 0
    assert iterations(server, "from-agent") == ITERATIONS
    assert server.summary("from-agent")["final_accuracy"] == result.value


def test_the_run_has_its_policy_in_its_config_and_the_users_tags_and_project(
    server: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("PROJECT", "mine"), ("TAGS", "a, b"), ("NAME", "n"), ("RUN_GROUP", "g")):
        monkeypatch.setenv(f"WANDB_{name}", value)
    result, said = train(tmp_path, "online")
    run = server.buckets[result.run_id]
    assert json.loads(run["config"])["policy"]["value"]["name"] == "triangular2"
    assert (run["project"], run["tags"]) == ("mine", ["digits", "small_cnn", "a", "b"])
    assert (run["groupName"], run["displayName"]) == ("adhoc", result.name)
    assert len(said) == 1
    assert "WANDB_NAME, WANDB_RUN_GROUP not used" in said[0]


@pytest.mark.parametrize("mode", ["auto", "online"])
def test_a_malformed_key_means_offline_in_one_line(
    mode: str, server: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "abc")
    result, said = train(tmp_path, mode)
    assert result.status == "finished"
    assert len(said) == 1
    assert "mirrored offline" in said[0]
    assert list(tmp_path.glob("outputs/runs/adhoc/*/wandb/offline-run-*"))


@pytest.mark.parametrize("how", ["WANDB_MODE", "wandb disabled"])
@pytest.mark.parametrize("mode", ["auto", "online", "offline"])
def test_where_wandb_is_disabled_nothing_is_recorded_and_nothing_synced_later(
    how: str, mode: str, server: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if how == "WANDB_MODE":
        monkeypatch.setenv("WANDB_MODE", "disabled")
    else:
        subprocess.run([sys.executable, "-m", "wandb", "disabled"], check=True, capture_output=True)
    _, said = train(tmp_path, mode)
    assert not list(tmp_path.glob("outputs/runs/*/*/wandb"))
    assert len(said) == (mode != "auto")
    assert "nothing is uploaded" in sync(tmp_path)[1]
    monkeypatch.delenv("WANDB_MODE", raising=False)
    shutil.rmtree(tmp_path / "wandb", ignore_errors=True)
    assert sync(tmp_path)[1].startswith("nothing to upload")
    assert server.requests == []
