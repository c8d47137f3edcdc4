"""The command that makes a run anew."""

import shlex
from pathlib import Path

import yaml

from clrbench.analysis.runs import Run


def command_of(run: Run, conf: Path) -> str:
    """The command line of a run: what its record tells, else that of its experiment's arm; empty where neither is known."""
    overrides = run.config.get("overrides") or _of_arm(run, conf)
    return f"python train.py {shlex.join(map(str, overrides))}" if overrides else ""


def _of_arm(run: Run, conf: Path) -> list[str]:
    path = conf / "experiment" / f"{run.result.experiment}.yaml"
    try:
        params = yaml.safe_load(path.read_text(encoding="utf-8"))["hydra"]["sweeper"]["params"]
    except (OSError, KeyError, TypeError):
        return []
    arms = [arm for arm in str(params.get("arm", "")).split(",") if arm.rpartition("/")[2] == run.result.policy]
    return [f"experiment={run.result.experiment}", f"arm={arms[0]}", f"seed={run.result.seed}"] if arms else []
