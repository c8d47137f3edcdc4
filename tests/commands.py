"""Commands, each in a process of its own: where it may be one, a fork of one that has imported beforehand what takes seconds.

What depends on how a process starts, such as its imports and its signals, is tested with processes that start from nothing.
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["clrbench.cli", "clrbench.training.lean", "clrbench.tracking.wandb", "scipy.stats", __name__])


def carried_out(
    arguments: Sequence[str | Path], folder: Path, environment: Mapping[str, str] = os.environ, timeout: float = 240
) -> subprocess.CompletedProcess[str]:
    """What `python ARGUMENTS` printed in `folder`, and its exit code; ARGUMENTS begin with a script. Raises TimeoutExpired."""
    words = [str(argument) for argument in arguments]
    if _starts_workers(words):
        whole = [sys.executable, *words]
        return subprocess.run(whole, cwd=folder, env=environment, timeout=timeout, capture_output=True, text=True, check=False)
    with tempfile.TemporaryDirectory() as said:
        texts = [Path(said) / name for name in ("stdout", "stderr")]
        process = _FORKS.Process(target=_be_command, args=(words, folder, dict(environment), texts))
        process.start()
        process.join(timeout)
        if process.is_alive():
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(words, timeout)
        assert process.exitcode is not None
        return subprocess.CompletedProcess(words, process.exitcode, *(path.read_text() for path in texts))


def _starts_workers(words: Sequence[str]) -> bool:
    """Whether it is a sweep with processes of its own, which a fork cannot start: it shares its server's connections."""
    return "-m" in words and not {"hydra.launcher.n_jobs=1", "hydra.sweeper.plan_only=true"} & set(words)


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
    multiprocessing.parent_process = lambda: None  # a command that one types is no worker of a pool
    runpy.run_path(str(script), run_name="__main__")
