"""What a sweep shows: its runs under way, and the table of all that have ended."""

import contextlib
import os
import pty
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from conftest import ROOT
from sweeps import IN_THIS_PROCESS, command, run, table_of


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
    ramp = (
        "range_test.high=0.1",
        "range_test.epochs=1",
        "range_test.points=8",
        "range_test.seeds=[1]",
    )  # too short a ramp to break
    done = run(
        tmp_path, "policy=fixed,triangular", "iterations=40", "model=linear", "bounds=range_test", *ramp, IN_THIS_PROCESS
    )
    assert (done.returncode, done.stdout.count("the bounds are weak")) == (0, 1)


def test_a_terminal_shows_each_running_job_with_what_is_done_and_left_and_a_file_gets_none_of_it(tmp_path: Path) -> None:
    sweep = ("policy=fixed", "seed=1,2", "iterations=20000")
    job = re.compile(r"policy=fixed \S*seed=[12] \S*iterations=20000\S* [^\r\n]*?(\d+)/20000[^\r\n]*?left[^\r\n]*?\d:\d\d:\d\d")
    is_under_way = lambda shown: any(0 < int(done) < 20000 for done in job.findall(shown))  # noqa: E731
    shown = _on_a_terminal(command(tmp_path / "terminal", *sweep), is_under_way)
    assert is_under_way(shown), shown[-3000:]
    assert "of 2 runs done" in shown
    done = run(tmp_path / "file", *sweep, "iterations=40", IN_THIS_PROCESS)
    assert done.returncode == 0
    assert "left" not in done.stdout
    assert "\x1b" not in done.stdout
    assert "runs done" not in done.stdout


def _on_a_terminal(arguments: list[str], is_enough: Callable[[str], bool]) -> str:
    """What a command writes to a terminal of 200 columns, without its colours; it is interrupted once that is enough."""
    master, slave = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "200", "LINES": "40"}
    with subprocess.Popen(arguments, cwd=ROOT, stdout=slave, stderr=slave, env=environment, start_new_session=True) as process:
        os.close(slave)
        written, shown, interrupted = b"", "", False
        # Reading a terminal whose last writer has gone is an error.
        with contextlib.suppress(OSError):
            while read := os.read(master, 65536):
                written += read
                shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.decode(errors="ignore"))
                if not interrupted and is_enough(shown):
                    os.killpg(process.pid, signal.SIGINT)
                    interrupted = True
    os.close(master)
    return shown
