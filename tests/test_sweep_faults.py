"""Each fault of a sweep is told where it is looked for, while all other runs finish."""

import contextlib
import os
import re
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from conftest import ROOT
from made_up import write_images
from sweeps import IN_THIS_PROCESS, NETS, command, contents, results_by_status, run

from clrbench.store import Record, records


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
            done = subprocess.run(
                command(tmp_path, *CELLS), cwd=ROOT, capture_output=True, text=True, check=False, preexec_fn=no_room
            )
            assert_each_cell_failed(done, "File too large")
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
        done = run(tmp_path, *CELLS)
        assert_each_cell_failed(done, f"{results}/runs: ")
        assert "2 could not be recorded" in done.stderr
        assert "Their records" not in done.stderr
        assert list(results.iterdir()) == []


def test_the_workers_of_a_sweep_stream_images_that_processes_of_their_own_decode(tmp_path: Path) -> None:
    write_images(tmp_path / "images")
    images = ("data=imagenet", f"data.path={tmp_path}/images", "data.batch_size=4", "trainer.workers=1")
    net = ("model=linear", "model.input=imagenet", "iterations=2", "policy=fixed")
    done = run(tmp_path, *images, *net, "hydra.launcher.n_jobs=2")
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 of 1 runs" in done.stdout


def test_another_sweeper_of_hydra_gets_the_value_of_each_run_and_a_run_that_fails_is_recorded_and_ends_it(
    tmp_path: Path,
) -> None:
    others = ("hydra/sweeper=basic", "hydra/launcher=basic", f"+hydra.callbacks.told._target_={NETS}.Told")
    done = run(tmp_path / "sweep", *others, "iterations=40", "bounds.max_lr=0.02,0.001")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: bounds.max_lr=0.001 is not above bounds.base_lr=0.002")
    found = results_by_status(tmp_path / "sweep")
    assert {status: len(found[status]) for status in found} == {"finished": 1, "failed": 1}
    assert float((tmp_path / "starts").read_text()) == _result(found["finished"][0]).value
    assert "bounds.max_lr=0.001 is not above" in _result(found["failed"][0]).reason
