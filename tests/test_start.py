"""Starting quickly: what a command, a sweep and its workers leave out, and that it changes nothing."""

import json
import subprocess
import sys
from typing import Any

import pytest
from conftest import ROOT

from clrbench import environment


def said_by(code: str, *arguments: str) -> Any:
    """The JSON in the last line that a process of its own prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, check=True, capture_output=True, text=True, timeout=240
    )
    return json.loads(done.stdout.splitlines()[-1])


# Imports


LEAN = """
import gc, json, sys
from clrbench import unofficial
from clrbench.training import lean, run
unused = [name for name in unofficial.UNUSED if name in sys.modules]
import scipy.signal, torchvision
from lightning_utilities.core import imports
print(json.dumps({
    "unused": unused,
    "same": lean.train is run.train,
    "frozen": gc.isenabled() and gc.get_freeze_count() > 0,
    "restored": bool(imports.RequirementCache("torchvision")) and imports.package_available("scipy"),
}))
"""


def test_what_training_never_uses_is_not_imported_for_it_and_can_be_afterwards() -> None:
    assert said_by(LEAN) == {"unused": [], "same": True, "frozen": True, "restored": True}


DRIVER = """
import json, runpy, sys
sys.argv = ["train.py", "-m", *sys.argv[1:]]
runpy.run_path("train.py", run_name="__main__")
print(json.dumps([name for name in ("torch", "pytorch_lightning", "wandb", "matplotlib") if name in sys.modules]))
"""


def test_the_process_that_starts_a_sweep_imports_nothing_of_what_its_workers_need(tmp_path: Any) -> None:
    paths = [f"paths.{name}={tmp_path}" for name in ("results", "outputs")]
    assert said_by(DRIVER, "policy=fixed,exp", "hydra.sweeper.plan_only=true", *paths) == []


# What a process asks once


def test_a_process_asks_git_once_however_many_runs_it_carries_out(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(environment, "commit", lambda: asked.append(1) or "abc")
    environment.describe.cache_clear()
    try:
        assert [environment.describe()["commit"] for _ in range(3)] == ["abc"] * 3
        assert asked == [1]
    finally:
        environment.describe.cache_clear()
