"""What sweeps promise, with real commands: nothing twice, nothing lost, and each fault told where it is looked for."""

import contextlib
import csv
import json
import os
import pty
import random
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from made_up import write_images

from clrbench.store import Record, records

HANGS_AFTER = 240
IN_THIS_PROCESS = "hydra.launcher.n_jobs=1"
NETS = "faulty_nets"
INTERRUPTED = "error: interrupted; the same command goes on from the last evaluation"


def command(folder: Path, *overrides: str) -> list[str]:
    paths = (f"paths.results={folder}/results", f"paths.outputs={folder}/outputs")
    return [sys.executable, "train.py", "-m", "tracking.wandb=disabled", *overrides, *paths]


def start(folder: Path, *overrides: str, name: str = "sweep", **environment: str) -> subprocess.Popen[str]:
    """A sweep in a process group of its own; what it says goes to files, for a pipe would wait for orphans."""
    folder.mkdir(exist_ok=True)
    with (folder / f"{name}.out").open("w") as stdout, (folder / f"{name}.err").open("w") as stderr:
        return subprocess.Popen(
            command(folder, *overrides),
            cwd=ROOT,
            stdout=stdout,
            stderr=stderr,
            text=True,
            start_new_session=True,
            env=os.environ | {"PYTHONPATH": str(ROOT / "tests")} | environment,
        )


def run(folder: Path, *overrides: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, *overrides),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=HANGS_AFTER,
        env=os.environ | {"PYTHONPATH": str(ROOT / "tests"), "STARTS": str(folder.parent / "starts")},
        **settings,
    )


def wait_until(seen: Callable[[], Any], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + HANGS_AFTER
    while not seen():
        assert process.poll() is None, "the sweep ended too early"
        assert time.monotonic() < end, "the sweep hangs"
        time.sleep(0.02)


def kill(process: subprocess.Popen[str]) -> None:
    """Kill what is left of the sweep, with all its workers."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def has_processes(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def claims(folder: Path) -> list[Path]:
    return sorted(folder.glob("outputs/runs/*/*/claim.lock"))


def rows(folder: Path) -> int:
    return sum(len(path.read_text().splitlines()) - 1 for path in folder.glob("results/runs/*/*/evals.csv"))


def contents(folder: Path) -> dict[str, Any]:
    """All that the records of a sweep hold, but for how long it took and from which commit."""
    found = {}
    for record in records(folder / "results" / "runs" / "adhoc"):
        assert sorted(path.name for path in record.folder.iterdir()) == ["config.yaml", "evals.csv", "result.json"]
        result = json.loads((record.folder / "result.json").read_text())
        evaluations = list(csv.DictReader((record.folder / "evals.csv").open()))
        for timed in (result, *evaluations):
            for key in ("seconds", "images_per_second", "commit"):
                timed.pop(key, None)
        found[record.folder.name] = (result, evaluations, record.config())
    return found


def table_of(output: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in output.splitlines() if line.startswith("│")]


def results_by_status(folder: Path) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for record in records(folder / "results" / "runs" / "adhoc"):
        result = record.result()
        found.setdefault(result.status if result else "none", []).append(record)
    return found


# Nothing twice


def test_two_sweeps_of_the_same_cells_at_once_run_each_cell_once_and_both_end_with_the_full_table(tmp_path: Path) -> None:
    cells = (f"model.net._target_={NETS}.Counted", "policy=fixed,exp", "seed=1,2,3", "iterations=200", IN_THIS_PROCESS)
    environment = {"STARTS": str(tmp_path / "starts"), "TOGETHER": "2"}
    both = [start(tmp_path, *cells, name=name, **environment) for name in ("one", "other")]
    assert [process.wait(timeout=HANGS_AFTER) for process in both] == [0, 0]
    starts = (tmp_path / "starts").read_text().split()
    assert len(starts) == 6
    assert set(starts) == {str(process.pid) for process in both}
    assert [len(found) for found in results_by_status(tmp_path).values()] == [6]
    assert claims(tmp_path) == []
    for name in ("one", "other"):
        assert [row[0:3:2] for row in table_of((tmp_path / f"{name}.out").read_text())] == [["fixed", "3"], ["exp", "3"]]
        assert (tmp_path / f"{name}.err").read_text() == ""


# Nothing lost


KILLS = ["start"] * 11 + ["workers"] * 2 + ["driver"] * 2 + ["group"]
LONG = ("policy=fixed,triangular", "seed=1,2", "iterations=1200", "policy.base_lr=0.01", "trainer.evaluate_every=20")


def test_twenty_kills_at_random_moments_and_one_more_command_end_like_an_undisturbed_sweep(tmp_path: Path) -> None:
    randomly = random.Random(7)
    killed = 0
    for kind in randomly.sample(KILLS, len(KILLS)):
        process = start(tmp_path / "disturbed", *LONG)
        try:
            killed += _disturb(kind, process, tmp_path / "disturbed", randomly)
        except BaseException:
            kill(process)
            raise
        process.wait()
    assert killed == 20
    done = run(tmp_path / "disturbed", *LONG)
    assert (done.returncode, done.stderr) == (0, "")
    assert claims(tmp_path / "disturbed") == []
    assert run(tmp_path / "undisturbed", *LONG, IN_THIS_PROCESS).returncode == 0
    undisturbed = contents(tmp_path / "undisturbed")
    assert len(undisturbed) == 4
    assert contents(tmp_path / "disturbed") == undisturbed


def _disturb(kind: str, process: subprocess.Popen[str], folder: Path, randomly: random.Random) -> int:
    """Kill `process` in the end, and say how many processes were killed on the way to it."""
    if kind == "start":
        time.sleep(randomly.uniform(0, 4))
        randomly.choice((os.kill, os.killpg))(process.pid, signal.SIGKILL)
        return 1
    workers = 2 if kind == "workers" else 0
    for _ in range(workers):
        wait_until(lambda: _kills_a_trainer(folder, process, randomly), process)
    before = rows(folder)
    wait_until(lambda: rows(folder) > before, process)
    time.sleep(randomly.uniform(0, 0.1))
    (os.kill if kind == "driver" else os.killpg)(process.pid, signal.SIGKILL)
    return workers + 1


def _kills_a_trainer(folder: Path, driver: subprocess.Popen[str], randomly: random.Random) -> bool:
    # There may be none at the moment, or the chosen one may end before the signal reaches it.
    with contextlib.suppress(IndexError, ProcessLookupError):
        os.kill(randomly.choice(_trainers(folder, driver)), signal.SIGKILL)
        return True
    return False


def _trainers(folder: Path, driver: subprocess.Popen[str]) -> list[int]:
    """The living workers that hold a claim; the driver too holds one for a moment, when it clears what a dead worker left."""
    found = [re.search(r"^pid=(\d+)$", text, re.MULTILINE) for text in map(_text, claims(folder))]
    holders = {int(match[1]) for match in found if match} - {driver.pid}
    return sorted(pid for pid in holders if Path(f"/proc/{pid}").exists())


def _text(path: Path) -> str:
    """The contents of a file that may go away at any moment."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def test_workers_end_with_a_driver_that_was_killed(tmp_path: Path) -> None:
    process = start(tmp_path, "seed=1,2", "iterations=100000", "trainer.evaluate_every=20")
    wait_until(lambda: rows(tmp_path), process)
    process.kill()
    process.wait()
    _wait_for_the_end_of_all(process.pid)


def _wait_for_the_end_of_all(group: int) -> None:
    end = time.monotonic() + 30
    while has_processes(group):
        assert time.monotonic() < end, "processes of the sweep go on"
        time.sleep(0.1)


# Interrupted


@pytest.mark.parametrize(("number", "moment"), [("SIGINT", "training"), ("SIGINT", "start"), ("SIGTERM", "training")])
def test_an_interrupted_sweep_ends_soon_with_one_line_and_leaves_no_claim_and_no_process(
    tmp_path: Path, number: str, moment: str
) -> None:
    process = start(tmp_path, "policy=fixed", "seed=1,2,3", "iterations=100000", "trainer.evaluate_every=20")
    log = tmp_path / "outputs" / "sweeps" / "workers.log"
    wait_until(log.exists if moment == "start" else lambda: len(claims(tmp_path)) == 2 and rows(tmp_path), process)
    if moment == "start":
        time.sleep(1.5)  # in the midst of the workers' imports
    # Ctrl-C reaches all processes of a terminal, a termination the one that it is sent to.
    (os.killpg if number == "SIGINT" else os.kill)(process.pid, getattr(signal, number))
    assert process.wait(timeout=30) == 1
    assert (tmp_path / "sweep.err").read_text().splitlines() == [INTERRUPTED]
    assert (tmp_path / "sweep.out").read_text() == ""
    assert claims(tmp_path) == []
    _wait_for_the_end_of_all(process.pid)


# Faults


def test_bad_diverging_and_failing_cells_are_recorded_and_told_while_the_others_finish(tmp_path: Path) -> None:
    cells = (
        *("policy=fixed,triangular", "policy.step_size=20", "bounds.max_lr=0.02,1000", "iterations=400"),
        f"model.net._target_={NETS}.Counted,{NETS}.Failing",
    )
    done = run(tmp_path / "sweep", *cells)
    assert done.returncode == 1
    found = results_by_status(tmp_path / "sweep")
    assert {status: len(found[status]) for status in found} == {"finished": 1, "diverged": 1, "failed": 6}
    reasons = [str(_result(record).reason) for record in found["failed"]]
    assert sum("RuntimeError: the net is broken (traceback in " in reason for reason in reasons) == 2
    assert sum("policy.step_size is no key" in reason for reason in reasons) == 4
    assert "loss" in str(_result(found["diverged"][0]).reason)
    invalid = [record for record in found["failed"] if record.folder.name.startswith("invalid-")]
    assert len(invalid) == 4
    assert all("policy=fixed" in record.config()["overrides"] for record in invalid)
    *lines, last = done.stderr.splitlines()
    assert len(lines) == len({re.sub(r" \(traceback in .*", "", reason) for reason in reasons}) == 2
    assert all(line.startswith("failed: policy=") and line.endswith(tuple(reasons)) for line in lines)
    assert last.startswith("6 of 8 runs failed")
    assert str(tmp_path / "sweep" / "results" / "runs" / "adhoc") in last
    assert "Traceback" not in done.stdout + done.stderr
    assert "2 of 8 runs, mean" in done.stdout


def _result(record: Record) -> Any:
    result = record.result()
    assert result is not None
    return result


def test_the_record_of_a_cell_that_could_not_be_run_goes_away_once_it_can(tmp_path: Path) -> None:
    import numpy as np

    images = tmp_path / "images.npz"
    cells = ("data=npz", f"data.path={images}", "data.batch_size=10", "policy=fixed", "iterations=40", IN_THIS_PROCESS)
    assert run(tmp_path, *cells).returncode == 1
    (record,) = records(tmp_path / "results" / "runs" / "adhoc")
    assert record.folder.name.startswith("invalid-")
    assert f"{images}: no such file" in str(_result(record).reason)
    pixels, labels = np.zeros((80, 8, 8), np.uint8), np.arange(80) % 2
    np.savez(images, x_train=pixels, y_train=labels, x_test=pixels, y_test=labels)
    done = run(tmp_path, *cells)
    assert (done.returncode, done.stderr) == (0, "")
    (record,) = records(tmp_path / "results" / "runs" / "adhoc")
    assert record.folder.name.startswith("fixed-40-")


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


CELLS = ("policy=fixed,exp", "iterations=40", IN_THIS_PROCESS)


def assert_each_cell_failed(done: subprocess.CompletedProcess[str], reason: str) -> None:
    assert done.returncode == 1
    *lines, last = done.stderr.splitlines()
    assert len(lines) == 1  # they share the reason
    assert re.match(r"failed: policy=\S+ iterations=40 and 1 more: ", lines[0])
    assert reason in lines[0]
    assert last.startswith("2 of 2 runs failed")


def test_a_full_disk_fails_each_cell_with_the_reason_and_with_room_the_same_command_makes_good(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        if os.geteuid() == 0:
            results = tmp_path / "results"
            stack.enter_context(small_disk(results))
            with contextlib.suppress(OSError):
                (results / "filler").write_bytes(bytes(2**20))
            assert_each_cell_failed(run(tmp_path, *CELLS), "No space left on device")
            (results / "filler").unlink()
        else:
            # Without a disk of one's own: no file may grow, which fails in the same way.
            no_room = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))  # noqa: E731
            assert_each_cell_failed(run(tmp_path, *CELLS, preexec_fn=no_room), "File too large")
        done = run(tmp_path, *CELLS)
        assert (done.returncode, done.stderr) == (0, "")
        assert sorted(contents(tmp_path)) == sorted(record.folder.name for record in results_by_status(tmp_path)["finished"])


def test_a_results_folder_that_is_read_only_fails_each_cell_with_the_reason(tmp_path: Path) -> None:
    results = tmp_path / "results"
    with contextlib.ExitStack() as stack:
        if os.geteuid() == 0:
            stack.enter_context(small_disk(results))
            subprocess.run(["mount", "-o", "remount,ro", results], check=True)
        else:
            results.mkdir(mode=0o500)
        assert_each_cell_failed(run(tmp_path, *CELLS), str(results))
        assert list(results.iterdir()) == []


def test_the_workers_of_a_sweep_stream_images_that_processes_of_their_own_decode(tmp_path: Path) -> None:
    write_images(tmp_path / "images")
    images = ("data=imagenet", f"data.path={tmp_path}/images", "data.batch_size=4", "trainer.workers=1")
    net = ("model=linear", "model.input=imagenet", "iterations=2", "policy=fixed")
    done = run(tmp_path, *images, *net, "seed=1,2", "hydra.launcher.n_jobs=2")
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 of 2 runs" in done.stdout


# What is shown


def test_a_diverged_cell_is_no_failure_and_the_table_of_the_next_sweep_has_it_too(tmp_path: Path) -> None:
    short = ("policy=triangular", "iterations=400", IN_THIS_PROCESS)
    done = run(tmp_path, *short, "bounds.max_lr=1000")
    assert (done.returncode, done.stderr) == (0, "")
    assert "diverged: " in done.stdout
    written = {path: path.stat().st_mtime_ns for path in tmp_path.glob("results/runs/*/*/*")}
    done = run(tmp_path, *short, "bounds.max_lr=1000,0.02")
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 of 2 runs have ended before" in done.stdout
    # policy, settings, iterations, runs, diverged, ...
    assert [row[3:5] for row in table_of(done.stdout)] == [["0", "1"], ["1", "0"]]
    assert {path: path.stat().st_mtime_ns for path in written} == written


def test_a_sweep_says_once_that_the_bounds_it_measured_are_weak(tmp_path: Path) -> None:
    ramp = ("range_test.epochs=1", "range_test.points=8", "range_test.seeds=[1]")  # too short a ramp to break
    done = run(tmp_path, "policy=fixed,triangular", "iterations=40", "model=linear", "bounds=range_test", *ramp)
    assert (done.returncode, done.stdout.count("the bounds are weak")) == (0, 1)


def test_a_terminal_shows_each_running_job_with_what_is_done_and_left_and_a_file_gets_none_of_it(tmp_path: Path) -> None:
    sweep = ("policy=fixed", "seed=1,2", "iterations=3000")
    shown = _on_a_terminal(command(tmp_path / "terminal", *sweep))
    job = re.compile(r"policy=fixed \S*seed=[12] \S*iterations=3000\S* [^\r\n]*?(\d+)/3000[^\r\n]*?left[^\r\n]*?\d:\d\d:\d\d")
    assert any(0 < int(done) < 3000 for done in job.findall(shown)), shown[-3000:]
    assert "of 2 runs done" in shown
    done = run(tmp_path / "file", *sweep, "iterations=40", IN_THIS_PROCESS)
    assert "left" not in done.stdout
    assert "\x1b" not in done.stdout
    assert "runs done" not in done.stdout


def _on_a_terminal(arguments: list[str]) -> str:
    """All that a command writes to a terminal of 200 columns, without its colours."""
    master, slave = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "200", "LINES": "40"}
    with subprocess.Popen(arguments, cwd=ROOT, stdout=slave, stderr=slave, env=environment) as process:
        os.close(slave)
        shown = b""
        # Reading a terminal whose last writer has gone is an error.
        with contextlib.suppress(OSError):
            while read := os.read(master, 65536):
                shown += read
    os.close(master)
    assert process.returncode == 0
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
