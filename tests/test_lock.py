"""The lock of a run: one holder, and not for ever where it died."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clrbench import lock as locking
from clrbench.lock import HeldElsewhereError, clear_lock, is_held, lock_path, locked

HANGS_AFTER = 30
HOLD = """
import sys
from pathlib import Path
from clrbench.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock to tmp_path until its input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def write_marker_of_another_host(folder: Path, seconds: float) -> None:
    """What a holder on another machine would have left, whose number happens to be that of a living process here."""
    with locked(folder):
        text = lock_path(folder).read_text()
    text = re.sub(r"^host=.*$", "host=elsewhere", text, flags=re.MULTILINE)
    lock_path(folder).write_text(re.sub(r"^duration=.*$", f"duration={seconds}", text, flags=re.MULTILINE))


def test_one_process_at_a_time_holds_a_lock(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    assert is_held(tmp_path)
    with pytest.raises(HeldElsewhereError, match="another process carries out this run"), locked(tmp_path):
        pass
    assert is_held(tmp_path)


def test_a_lock_that_was_given_back_leaves_nothing(tmp_path: Path) -> None:
    with locked(tmp_path):
        assert is_held(tmp_path)
    assert not is_held(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_holder_that_was_killed_on_this_machine_is_noticed_at_once(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    assert lock_path(tmp_path).exists()
    assert not is_held(tmp_path)
    with locked(tmp_path) as mine:
        mine.check()


def test_looking_whether_a_lock_is_held_changes_nothing(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    before = (lock_path(tmp_path).read_bytes(), lock_path(tmp_path).stat().st_mtime_ns)
    is_held(tmp_path)
    assert (lock_path(tmp_path).read_bytes(), lock_path(tmp_path).stat().st_mtime_ns) == before


def test_clearing_takes_away_the_lock_of_the_dead_and_of_no_other(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    assert not clear_lock(tmp_path)
    assert lock_path(tmp_path).exists()
    holder.kill()
    holder.wait()
    assert clear_lock(tmp_path)
    assert not lock_path(tmp_path).exists()
    assert not clear_lock(tmp_path)


def test_who_waits_gets_the_lock_when_it_is_given_back(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    got = threading.Event()

    def wait() -> None:
        with locked(tmp_path, patience=30):
            got.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert not got.wait(0.3)
    assert holder.stdin is not None
    holder.stdin.close()
    assert got.wait(HANGS_AFTER)
    waiting.join()


def test_a_holder_on_another_machine_is_believed_until_its_heartbeats_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locking, "LEASE_SECONDS", 1.0)
    write_marker_of_another_host(tmp_path, 1.0)
    assert is_held(tmp_path)
    with pytest.raises(HeldElsewhereError), locked(tmp_path):
        pass
    with locked(tmp_path, patience=30) as mine:
        mine.check()
    write_marker_of_another_host(tmp_path, 1.0)
    os.utime(lock_path(tmp_path), (time.time() - 2, time.time() - 2))
    assert not is_held(tmp_path)


def test_a_holder_that_was_taken_for_dead_notices_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locking, "LEASE_SECONDS", 0.3)
    with locked(tmp_path) as mine:
        mine.check()
        # What a takeover looks like to the holder: the marker is another file.
        taken_over = lock_path(tmp_path).with_name("other")
        taken_over.write_bytes(lock_path(tmp_path).read_bytes())
        taken_over.replace(lock_path(tmp_path))
        with pytest.raises(HeldElsewhereError, match="took this run over"):
            _check_for(mine, HANGS_AFTER)
    assert lock_path(tmp_path).exists(), "the lock of the other was taken away"


def _check_for(mine: locking.RunLock, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        mine.check()
        time.sleep(0.02)
