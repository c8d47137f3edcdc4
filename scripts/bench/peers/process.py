"""Contestants' processes, from the outside."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Timer
from typing import IO

from bench.peers.contestants import Contestant
from bench.peers.job import Evaluated, Job, Outcome
from clrbench.errors import ClrbenchError

_LIMIT = 600.0
_SCRIPTS = Path(__file__).resolve().parents[2]


def measure(contestant: Contestant, job: Job, copies: int = 1) -> list[Outcome]:
    """Carry out a job in so many processes side by side; they go on together once each has made its first step.

    Raises ClrbenchError where one of them fails.
    """
    with ExitStack() as stack:
        jobs = [replace(job, seed=seed) for seed in range(1, copies + 1)]
        processes = [stack.enter_context(_process(contestant, job)) for job in jobs]
        starts = [process.seconds_to_first_step() for process in processes]
        for process in processes:
            process.go_on()
        return [process.outcome(start) for process, start in zip(processes, starts, strict=True)]


@dataclass(frozen=True)
class _Process:
    name: str
    started: float
    popen: subprocess.Popen[str]
    complaints: IO[str]

    def seconds_to_first_step(self) -> float:
        """Wait for the end of the first step; seconds since the process was started, imports included."""
        assert self.popen.stdout is not None
        if not self.popen.stdout.readline():
            raise self._failure()
        return time.perf_counter() - self.started

    def go_on(self) -> None:
        """Let the process make the other steps."""
        assert self.popen.stdin is not None
        self.popen.stdin.write("\n")
        self.popen.stdin.flush()

    def outcome(self, start: float) -> Outcome:
        """Wait for the end."""
        answer, _ = self.popen.communicate()
        if self.popen.returncode:
            raise self._failure()
        found = json.loads(answer)
        return Outcome(start, found["step_ms"], found["memory_mib"], found["evaluated"] and Evaluated(**found["evaluated"]))

    def _failure(self) -> ClrbenchError:
        self.popen.wait()
        self.complaints.seek(0)
        lines = [line.strip() for line in self.complaints if line.strip()]
        return ClrbenchError(f"{self.name} failed: {lines[-1] if lines else f'it gave no answer within {_LIMIT:.0f} s'}")


def environment(contestant: Contestant, job: Job) -> dict[str, str]:
    """The variables of a contestant's process: no peer reads or leaves settings in the user's home, and none takes a GPU."""
    own = {"KERAS_HOME": job.folder, "FASTAI_HOME": job.folder, "CUDA_VISIBLE_DEVICES": ""}
    paths = os.pathsep.join(filter(None, (str(_SCRIPTS), os.environ.get("PYTHONPATH"))))  # where it finds this package
    return {**os.environ, "PYTHONPATH": paths, **own, **contestant.environment}


@contextmanager
def _process(contestant: Contestant, job: Job) -> Iterator[_Process]:
    """Start a process, which ends with the block."""
    command = [sys.executable, "-m", "bench.peers", contestant.module, json.dumps(asdict(job))]
    pipe, variables = subprocess.PIPE, environment(contestant, job)
    with tempfile.TemporaryFile("w+") as complaints:
        started = time.perf_counter()
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=complaints, text=True, env=variables) as popen:
            timer = Timer(_LIMIT, popen.kill)
            timer.start()
            try:
                yield _Process(contestant.name, started, popen, complaints)
            finally:
                timer.cancel()
                popen.kill()
