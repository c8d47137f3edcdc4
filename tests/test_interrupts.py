"""A Ctrl-C is heeded whenever it comes."""

import os
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from clrbench import interrupts


class Cleaned:
    """What is cleaned up when the last name of it goes."""


class Pressed:
    """A Ctrl-C comes while it is cleaned up."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


def _drop_with_destructor() -> None:
    Pressed()


def _drop_with_callback() -> None:
    cleaned = Cleaned()
    reference = weakref.ref(cleaned, lambda _: signal.raise_signal(signal.SIGINT))
    del cleaned
    assert reference() is None


def _drop_and_wait(drop: Any) -> None:
    with interrupts.kept():
        drop()
        time.sleep(10)


@pytest.mark.parametrize("drop", [_drop_with_destructor, _drop_with_callback])
def test_a_ctrl_c_within_the_clean_up_of_an_object_is_raised_behind_it(drop: Any, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        _drop_and_wait(drop)
    assert capfd.readouterr().err == ""


def test_other_errors_of_a_clean_up_are_reported_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def __del__(self) -> None:
            raise ValueError("broken")

    reported = []
    monkeypatch.setattr(sys, "unraisablehook", lambda dropped: reported.append(dropped.exc_type))
    with interrupts.kept():
        Broken()
    assert reported == [ValueError]


@pytest.mark.parametrize(
    ("command", "after"),
    [
        ("train.py", interrupts.INTERRUPTED),
        ("-m clrbench", interrupts.INTERRUPTED),
        ("-m clrbench plan", interrupts.INTERRUPTED),
        ("scripts/range_test.py", interrupts.INTERRUPTED),
        ("scripts/report.py", "interrupted; the same command starts anew"),
        ("-m clrbench sync", "interrupted; the same command uploads the rest"),
    ],
)
def test_a_ctrl_c_while_modules_are_imported_ends_in_one_line(tmp_path: Path, command: str, after: str) -> None:
    for name in ("hydra", "polars"):
        (tmp_path / f"{name}.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\n")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    arguments = [sys.executable, *command.split()]
    done = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"error: {after}\n")


def test_an_error_that_nobody_takes_has_its_traceback_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    reported = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: reported.append(kind))
    interrupts.tell_in_one_line()
    sys.excepthook(ValueError, ValueError("broken"), None)
    assert reported == [ValueError]
