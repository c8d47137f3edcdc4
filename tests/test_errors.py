"""An error of the file system is told by its file and by what to do."""

import errno
import os

import pytest

from clrbench.errors import ClrbenchError, worded

ANOTHER = "mend that, or take another folder by paths.results=DIR or paths.outputs=DIR"


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, ": make room, and the same command goes on"),
        (errno.EDQUOT, ": make room, and the same command goes on"),
        (errno.EACCES, f": {ANOTHER}"),
        (errno.EROFS, f": {ANOTHER}"),
        (errno.EEXIST, f": {ANOTHER}"),
        (errno.EIO, ""),
    ],
)
def test_an_error_of_the_file_system_says_the_file_what_is_wrong_and_what_to_do(number: int, remedy: str) -> None:
    assert worded(OSError(number, os.strerror(number), "/x/runs")) == f"/x/runs: {os.strerror(number)}{remedy}"


def test_a_command_with_options_of_its_own_names_these() -> None:
    said = worded(PermissionError(errno.EACCES, "Permission denied", "/x"), "--results DIR or --outputs DIR")
    assert said.endswith("take another folder by --results DIR or --outputs DIR")


def test_any_other_error_is_told_in_one_line_of_its_own_words() -> None:
    assert worded(ClrbenchError("data=mine:\n  not found")) == "data=mine: not found"
    assert worded(OSError("the server went away")) == "the server went away"
    assert worded(ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")) == "Connection refused"
