"""The repository stays light."""

import subprocess

import pytest
from conftest import ROOT

LARGEST = 2_000_000  # bytes


def test_no_file_in_the_repository_is_above_2_megabytes() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no git checkout")
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    assert files
    assert [path.name for path in files if path.is_file() and path.stat().st_size > LARGEST] == []
