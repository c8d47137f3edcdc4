"""The command that makes runs anew."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import yaml

from clrbench.runs import Run

# How choices begin that say where a run is computed, and never change its numbers beyond rounding.
PLACE = ("trainer=", *(f"trainer.{key}=" for key in ("accelerator", "devices", "nodes", "threads", "workers")))

# Hydra escapes each blank of a value; between words it reads a bare one too.
_ESCAPED_BLANK = re.compile(r"(?<=[^\s\\])\\ (?=\S)")


def as_typed(override: str) -> str:
    """An override of Hydra's with the blanks of its value as people type them: `iterations=8 epochs`."""
    return _ESCAPED_BLANK.sub(" ", override)


def command_of(run: Run, conf: Path) -> str:
    """The command line of a run: what its record tells, else that of its experiment's arm; empty where neither is known."""
    overrides = _overrides(run, conf)
    return f"python train.py {shlex.join(overrides)}" if overrides else ""


def command_of_seeds(runs: Sequence[Run], conf: Path) -> str:
    """The command line of runs that differ in nothing but the seed, on whatever device; empty where it is not known."""
    if len(runs) == 1:
        return command_of(runs[0], conf)
    shared = [text for text in _overrides(runs[0], conf) if not text.startswith(("seed=", *PLACE))]
    seeds = ",".join(str(run.result.seed) for run in runs)
    return f"python train.py -m {shlex.join(shared)} seed={seeds}" if shared else ""


def _overrides(run: Run, conf: Path) -> list[str]:
    return [as_typed(str(text)) for text in run.config.get("overrides") or _of_arm(run, conf)]


def _of_arm(run: Run, conf: Path) -> list[str]:
    path = conf / "experiment" / f"{run.result.experiment}.yaml"
    try:
        params = yaml.safe_load(path.read_text(encoding="utf-8"))["hydra"]["sweeper"]["params"]
    except (OSError, KeyError, TypeError):
        return []
    arm = run.result.arm
    is_one_of_its_arms = arm is not None and arm in str(params.get("arm", "")).split(",")
    return [f"experiment={run.result.experiment}", f"arm={arm}", f"seed={run.result.seed}"] if is_one_of_its_arms else []
