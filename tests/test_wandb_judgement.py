"""The judgement of a range test on Weights & Biases: one run with the picture and the bounds, by the real client."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, composed
from rich.console import Console
from wandb_server import WandbServer, account

from clrbench.config import Config
from clrbench.lock import locked
from clrbench.range_test.measuring import to_measure
from clrbench.range_test.records import Measured, judged
from clrbench.runs import EVIDENCE, run_of
from clrbench.store import records
from clrbench.sweep.ramps import carry_out, look_up
from clrbench.tracking.judgement import mirror_judgement
from clrbench.tracking.sync import Destination, sync

PNG = b"\x89PNG\r\n"


@pytest.fixture(autouse=True)
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[WandbServer]:
    """A server, with little patience for it."""
    monkeypatch.setenv("WANDB_FINISH_TIMEOUT", "3")
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "5")
    with account(monkeypatch, tmp_path / "home") as serving:
        yield serving


@pytest.fixture(scope="module")
def measured() -> Measured:
    """The shipped range test of the digits."""
    runs = [run for record in records(ROOT / "results" / "evidence" / "range_test") for run in run_of(record, EVIDENCE)]
    return judged([run for run in runs if run.result.data == "digits"], "rise_and_slow")


def asked(folder: Path, mode: str, *overrides: str) -> Config:
    paths = (f"paths.results={folder / 'results'}", f"paths.outputs={folder / 'outputs'}")
    return to_measure(composed("bounds=range_test", *overrides, *paths, f"tracking.wandb={mode}"))


def upload(folder: Path) -> None:
    """`make sync`."""
    sync(folder / "outputs", folder / "results", Destination(None, None), Console(quiet=True))


def assert_is_there_once(server: WandbServer, measured: Measured) -> None:
    (run_id,) = server.buckets
    run = server.buckets[run_id]
    assert (run["groupName"], run["jobType"], run["tags"]) == ("range_test", "judgement", ["digits", "small_cnn"])
    (line,) = server.lines(run_id)
    assert line["picture"]["_type"] == "image-file"
    assert server.uploads[run_id][line["picture"]["path"]].startswith(PNG)
    summary, bounds = server.summary(run_id), measured.bounds
    assert (summary["verdict"], summary["base_lr"], summary["max_lr"]) == (bounds.verdict, bounds.base_lr, bounds.max_lr)
    assert (summary["max_lr_low"], summary["max_lr_high"]) == bounds.max_interval
    assert all(reason in summary["reasons"] for reason in bounds.reasons)


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_it_is_one_run_beside_its_ramps_however_often_it_is_judged_and_synced(
    mode: str, server: WandbServer, tmp_path: Path, measured: Measured
) -> None:
    for _ in range(2):
        mirror_judgement(measured, asked(tmp_path, mode), pytest.fail)
        assert (server.requests == []) == (mode == "offline")
    for _ in range(2):
        upload(tmp_path)
    assert_is_there_once(server, measured)


def test_from_another_machine_it_is_still_the_same_run(server: WandbServer, tmp_path: Path, measured: Measured) -> None:
    for machine in ("one", "other"):
        mirror_judgement(measured, asked(tmp_path / machine, "online"), pytest.fail)
    assert_is_there_once(server, measured)


def test_an_upload_that_broke_off_is_completed_with_the_picture(
    server: WandbServer, tmp_path: Path, measured: Measured
) -> None:
    mirror_judgement(measured, asked(tmp_path, "offline"), pytest.fail)
    (log,) = tmp_path.rglob("*.wandb")
    log.with_name(f"{log.name}.syncstate").touch()  # what the client leaves
    upload(tmp_path)
    assert_is_there_once(server, measured)


def test_a_server_that_dies_costs_a_line_and_a_sync_brings_the_rest(
    server: WandbServer, tmp_path: Path, measured: Measured
) -> None:
    said: list[str] = []
    server.dies_after = 4
    mirror_judgement(measured, asked(tmp_path, "online"), said.append)
    assert len(said) == 1
    assert "`make sync` uploads what is missing later" in said[0]
    server.dies_after = None
    upload(tmp_path)
    assert_is_there_once(server, measured)


def test_what_another_process_mirrors_and_what_is_disabled_is_left_alone(
    server: WandbServer, tmp_path: Path, measured: Measured
) -> None:
    mirror_judgement(measured, asked(tmp_path, "disabled"), pytest.fail)
    assert not (tmp_path / "outputs").exists()
    mirror_judgement(measured, asked(tmp_path / "first", "offline"), pytest.fail)
    (folder,) = (tmp_path / "first").glob("outputs/runs/range_test/*")
    with locked(tmp_path / folder.relative_to(tmp_path / "first")):
        mirror_judgement(measured, asked(tmp_path, "online"), pytest.fail)
    assert server.requests == []


def test_whoever_carries_out_a_range_test_has_it_mirrored_and_whoever_looks_it_up_does_not(
    server: WandbServer, tmp_path: Path
) -> None:
    short = ("range_test.epochs=2", "range_test.points=5", "range_test.seeds=[1]")
    mirrored = tmp_path / "outputs" / "runs" / "range_test"
    carry_out(asked(tmp_path, "offline", *short), print)
    assert len(list(mirrored.glob("judgement-*/picture.png"))) == 1
    look_up(asked(tmp_path, "offline", *short, "range_test.rule=third"), print)
    assert len(list(mirrored.glob("judgement-*"))) == 1
