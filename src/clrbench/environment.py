"""Where a run took place: versions, commit and machine, for its record."""

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("clrbench", "torch", "pytorch-lightning", "numpy")


@cache
def describe() -> dict[str, Any]:
    """The fields of a record that tell where it was made: `versions`, `commit` and `host`.

    As they were when the process asked first: the code that it runs is of that time, however many runs follow.
    """
    return {"versions": versions(), "commit": commit(), "host": host()}


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that decide the numbers."""
    return {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}}


def commit() -> str:
    """The git commit of this code, with `-dirty` behind it where files differ; empty outside a checkout."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        answer = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.strip()


def host() -> str:
    """The kind of machine, not its name: records are published."""
    return f"{platform.system()} {platform.machine()}, {_processor()}, {os.cpu_count()} cores"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown processor"
