"""No reader, no room and no character that cannot be shown ends a command."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from clrbench.streams import lasting


def test_lines_for_a_reader_that_has_gone_away_are_dropped() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        out = lasting(stream)
        for _ in range(3):
            print("accuracy 91.7%", file=out, flush=True)
        Console(file=out).print("done")  # as rich would end the process
        out.flush()
        os.write(writer, b"what other libraries print")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device")
def test_lines_for_which_there_is_no_room_are_dropped_and_that_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    with open("/dev/full", "w") as stream:  # noqa: PTH123
        out = lasting(stream)
        for _ in range(2):
            print("accuracy 91.7%", file=out, flush=True)
    assert capfd.readouterr().err == "warning: what follows cannot be printed: No space left on device\n"


# While a line is written, other threads, as a server has them, let a Ctrl-C in before the writer knows that it is done.
INTERRUPTED = """
import threading, time
from clrbench.streams import make_lasting

def spin():
    while True:
        pass

for _ in range(3):
    threading.Thread(target=spin, daemon=True).start()
make_lasting()
try:
    print("a line", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    pass
"""


def test_a_line_that_a_ctrl_c_follows_at_once_is_printed_once() -> None:
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "a line\n"
            process.send_signal(signal.SIGINT)
            assert process.communicate()[0] == ""


def test_a_character_that_the_terminal_lacks_is_told_by_its_number_and_tables_stay_readable(tmp_path: Path) -> None:
    with (tmp_path / "terminal").open("w", encoding="ascii") as stream:
        out = lasting(stream)
        table = Table("arm", "accuracy %")
        table.add_row("fixed", "91.77 ± 2.73")
        Console(file=out, width=40).print(table)
        out.flush()
    printed = (tmp_path / "terminal").read_text(encoding="ascii")
    assert r"| fixed | 91.77 \xb1 2.73 |" in printed
    assert "\\u" not in printed  # the lines of the table
