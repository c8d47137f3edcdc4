"""Commands, each in a process of its own, a fork of one that has imported beforehand what takes seconds."""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["clrbench.cli", "clrbench.training.lean", __name__])


def carried_out(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str] = os.environ, timeout: float = 500
) -> subprocess.CompletedProcess[str]:
    """What `python ARGUMENTS` printed in `folder`, and its exit code. Raises TimeoutExpired."""
    with tempfile.TemporaryDirectory() as said:
        texts = [Path(said) / name for name in ("stdout", "stderr")]
        process = _FORKS.Process(target=_be_command, args=(list(arguments), folder, dict(environment), texts))
        process.start()
        process.join(timeout)
        if process.is_alive():
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(list(arguments), timeout)
        assert process.exitcode is not None
        return subprocess.CompletedProcess(arguments, process.exitcode, *(path.read_text() for path in texts))


def _be_command(arguments: list[str], folder: Path, environment: dict[str, str], texts: list[Path]) -> None:
    for stream, path in zip((sys.stdout, sys.stderr), texts, strict=True):
        with path.open("w") as file:
            os.dup2(file.fileno(), stream.fileno())
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = arguments
    script = Path(arguments[0])
    sys.path[:0] = [str(script.parent.absolute()), *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    runpy.run_path(str(script), run_name="__main__")
