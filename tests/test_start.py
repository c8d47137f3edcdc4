"""Starting quickly: what a command, a sweep and its workers leave out, and that it changes nothing."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import ROOT
from hydra import initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from clrbench import config, environment
from clrbench.sweep.loader import SweepLoader

Compose = Callable[..., DictConfig]


def said_by(code: str, *arguments: str) -> Any:
    """The JSON in the last line that a process of its own prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, check=True, capture_output=True, text=True, timeout=240
    )
    return json.loads(done.stdout.splitlines()[-1])


# Imports


LEAN = """
import gc, json, sys
from clrbench.training import lean, run
unused = [name for name in lean.UNUSED if name in sys.modules]
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


# Composing


@pytest.fixture
def loaders() -> Iterator[tuple[Compose, Compose]]:
    """Composing a cell of a sweep in Hydra's way, and in ours."""
    config.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        theirs = GlobalHydra.instance().config_loader()
        master = theirs.load_configuration("config", ["tracking.wandb=disabled"], run_mode=RunMode.MULTIRUN)
        ours = SweepLoader(theirs.get_search_path())
        yield (
            lambda *overrides: theirs.load_sweep_config(master, list(overrides)),
            lambda *overrides: ours.load_sweep_config(master, list(overrides)),
        )


def contents(composed: DictConfig) -> Any:
    composed.hydra.job.override_dirname = ""  # the one difference, and one without consequences
    return OmegaConf.to_container(composed, resolve=False)


@pytest.mark.parametrize(
    "cell",
    [
        ("policy=fixed", "seed=1"),
        ("policy=fixed", "seed=2"),
        ("seed=3", "policy=fixed"),
        ("policy=fixed",),
        ("experiment=table1", "arm=table1/exp", "seed=10"),
        ("seed=1", "policy.step_size='2 epochs'", "seed=4"),
    ],
)
def test_a_cell_is_composed_as_hydra_does_it(loaders: tuple[Compose, Compose], cell: tuple[str, ...]) -> None:
    theirs, ours = loaders
    ours("policy=fixed", "seed=9")
    assert contents(ours(*cell)) == contents(theirs(*cell))


def test_what_depends_on_the_seed_follows_it(loaders: tuple[Compose, Compose]) -> None:
    _, ours = loaders
    paths = [ours("data=npz", "data.path='images-${seed}.npz'", f"seed={seed}").data.path for seed in (1, 2, 1)]
    assert paths == ["images-1.npz", "images-2.npz", "images-1.npz"]


def test_a_cell_that_is_changed_leaves_the_next_as_it_was(loaders: tuple[Compose, Compose]) -> None:
    _, ours = loaders
    ours("seed=1").bounds.base_lr = 7
    assert ours("seed=2").bounds.base_lr != 7


def test_cells_that_differ_in_the_seed_alone_are_composed_once(
    loaders: tuple[Compose, Compose], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, ours = loaders
    composed = []
    original = ConfigLoaderImpl.load_sweep_config

    def counted(self: ConfigLoaderImpl, master: DictConfig, overrides: list[str]) -> DictConfig:
        composed.append(tuple(overrides))
        return original(self, master, overrides)

    monkeypatch.setattr(ConfigLoaderImpl, "load_sweep_config", counted)
    for seed in range(5):
        for policy in ("fixed", "exp"):
            ours(f"policy={policy}", f"seed={seed}")
    assert composed == [("policy=fixed",), ("policy=exp",)]


def test_a_seed_that_is_none_is_refused_as_before(loaders: tuple[Compose, Compose]) -> None:
    for compose in loaders:
        with pytest.raises(HydraException, match="seed=one"):
            compose("seed=one")


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
