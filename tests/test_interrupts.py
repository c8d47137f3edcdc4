"""A Ctrl-C is heeded whenever it comes."""

import signal
import sys
import time
import weakref
from typing import Any

import pytest

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
