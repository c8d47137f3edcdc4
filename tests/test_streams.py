"""No reader, no room and no character that cannot be shown ends a command."""

import os
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
