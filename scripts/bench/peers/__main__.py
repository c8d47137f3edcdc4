"""A contestant's process: `python -m bench.peers MODULE JOB`. It says when it is ready, and waits for the word."""

import importlib
import json
import os
import resource
import sys
import time
from dataclasses import asdict
from typing import Any, TextIO

import numpy as np

from bench.clock import Clock
from bench.peers.job import Evaluated, Job, Net


def main() -> None:
    """Train, evaluate where the job has weights, and answer in one line of JSON."""
    module, text = sys.argv[1:]
    job = Job(**json.loads(text))
    answers = _answers()
    clock = Clock(lambda: _wait(answers))
    net: Net = importlib.import_module(f"bench.peers.{module}").enter(job)
    net.train(clock)
    answer: dict[str, Any] = {"step_ms": clock.ms_per_step(), "memory_mib": _peak_mib()}
    answer["evaluated"] = asdict(_evaluated(net, job.weights)) if job.weights else None
    print(json.dumps(answer), file=answers, flush=True)


def _answers() -> TextIO:
    """What was standard output; what a framework prints goes where its complaints go."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def _wait(answers: TextIO) -> None:
    print("ready", file=answers, flush=True)
    sys.stdin.readline()


def _evaluated(net: Net, path: str) -> Evaluated:
    with np.load(path) as weights:
        net.load(dict(weights))
    net.evaluate()
    started = time.perf_counter()
    loss = net.evaluate()
    return Evaluated(net.parameters, loss, time.perf_counter() - started)


def _peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    main()
