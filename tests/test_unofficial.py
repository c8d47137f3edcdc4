"""What the suite uses of libraries without a promise: each test says what a new version has changed."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from clrbench import unofficial

needs_trackio = pytest.mark.skipif(importlib.util.find_spec("trackio") is None, reason="Trackio is not installed")
needs_workspaces = pytest.mark.skipif(
    importlib.util.find_spec("wandb_workspaces") is None, reason="wandb-workspaces is not installed"
)
ROWS = """
import datetime, sys
from clrbench import unofficial
moment = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
for _ in range(2):
    unofficial.log_rows("project", "run", [{"x": 1.0}, {"x": 2.0}], [40, 80], [moment, moment], {"_Group": "fixed"})
from trackio import Api
(run,) = Api().runs("project")
assert (run.id, run.name, run.config["_Group"]) == ("run", "run", "fixed"), (run, run.config)
from trackio.sqlite_storage import SQLiteStorage
logs = SQLiteStorage.get_logs("project", "run", run_id="run")
assert [(row["step"], row["x"], row["timestamp"][:10]) for row in logs] == [(40, 1.0, "2026-01-01"), (80, 2.0, "2026-01-01")]
assert run.delete() and not list(Api().runs("project"))
assert hasattr(unofficial.trackio_application(), "add_middleware")
"""


def would_sync(folder: Path) -> str:
    """What `wandb sync` would do with the folder of a run."""
    command = [sys.executable, "-m", "wandb", "sync", "--dry-run", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    return done.stdout + done.stderr


@needs_trackio
def test_trackio_takes_rows_of_another_time_once_and_gives_them_back(tmp_path: Path) -> None:
    environment = os.environ | {"TRACKIO_DIR": str(tmp_path), "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", ROWS], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("operation", "options", "expected"), [("add", {"alpha": 2.0}, 7.0), ("sub", {"alpha": 2.0}, -5.0), ("mul", {}, 3.0)]
)
def test_torchs_arithmetic_on_lists_does_as_a_loop_would(operation: str, options: dict[str, float], expected: float) -> None:
    ones, threes = [torch.ones(2), torch.ones(3)], [torch.full((2,), 3.0), torch.full((3,), 3.0)]
    returned = unofficial.over_tensors(operation)(ones, threes, **options)
    assert [tensor.tolist() for tensor in returned] == [[expected] * 2, [expected] * 3]
    unofficial.over_tensors(f"{operation}_")(ones, threes, **options)
    assert [tensor.tolist() for tensor in ones] == [[expected] * 2, [expected] * 3]


def test_the_steps_of_an_optimizer_that_run_are_counted_on_the_stack() -> None:
    seen: list[int] = []

    class Twice(torch.optim.SGD):
        def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
            super().step(closure)

    torch.optim.SGD([torch.ones(1)], lr=0.1)  # whose class is hooked from here on
    optimizer = Twice([torch.ones(1)], lr=0.1)
    optimizer.register_step_pre_hook(lambda *_: seen.append(unofficial.running_steps(optimizer)))
    optimizer.step()
    assert seen == [1, 2]


def test_wandbs_client_knows_the_settings_that_it_marks_as_its_own() -> None:
    import wandb

    settings = unofficial.quiet_settings() | unofficial.impatient_settings()
    known = wandb.Settings(**settings)
    assert {name: getattr(known, name) for name in settings} == settings


def test_wandbs_client_names_its_logs_so_and_heeds_the_note_of_an_upload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import wandb

    monkeypatch.setenv("HOME", str(tmp_path))
    wandb.init(mode="offline", dir=tmp_path, id="one", settings=wandb.Settings(silent=True, console="off")).finish()
    log = unofficial.latest_log(tmp_path)
    assert log is not None
    assert unofficial.is_offline(log)
    assert not unofficial.is_uploaded(log)
    assert "Would sync 1 run" in would_sync(log.parent)
    unofficial.mark_uploaded(log)
    assert unofficial.is_uploaded(log)
    assert "Would sync" not in would_sync(log.parent)


@needs_workspaces
@pytest.mark.filterwarnings("ignore::DeprecationWarning:wandb_workspaces")
def test_a_wandb_workspace_is_saved_under_the_name_and_in_the_place_that_it_is_given() -> None:
    import wandb_workspaces.workspaces as ws

    made = ws.Workspace(entity="e", project="p")
    unofficial.name_workspace(made, "mine")
    unofficial.replace_workspace(made, SimpleNamespace(_internal_id="7"))
    view = made._to_model()
    assert (view.name, view.id) == ("nw-mine-v", "7")


def test_lightning_asks_the_profiler_for_a_context_around_each_hook() -> None:
    import pytorch_lightning as pl
    from pytorch_lightning.demos.boring_classes import BoringModel

    profiler = unofficial.no_profiler()
    asked = []
    given = profiler.profile
    profiler.profile = lambda name: asked.append(name) or given(name)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    pl.Trainer(max_steps=1, limit_val_batches=0, accelerator="cpu", profiler=profiler, **quiet).fit(BoringModel())
    assert any("on_train_batch_start" in name for name in asked)
    assert given("one") is given("another")


def test_lightning_utilities_is_asked_what_is_installed_and_answers_as_before_behind_the_block() -> None:
    from lightning_utilities.core import imports

    with unofficial.without_unused():
        assert not imports.package_available("scipy")
        assert not imports.RequirementCache("torchvision")
        assert imports.package_available("torch")
    assert imports.package_available("scipy")
    assert imports.RequirementCache("torchvision")


def test_lightning_validates_where_it_is_told_to_while_it_trains() -> None:
    import pytorch_lightning as pl
    import torch
    from torch.utils.data import DataLoader

    points, validated = [3, 5, 11], []

    class Told(pl.LightningModule):
        def on_train_batch_start(self, *_: object) -> None:
            unofficial.validate_after(self.trainer, next(point for point in points if point > self.global_step))

        def training_step(self, batch: torch.Tensor) -> torch.Tensor:
            self.trainer.should_stop |= self.global_step == points[-1] - 1
            return self.net(batch).sum()

        def validation_step(self, batch: torch.Tensor) -> None:
            validated.append(self.global_step)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            self.net = torch.nn.Linear(1, 1)
            return torch.optim.SGD(self.net.parameters(), lr=0.1)

    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=3,
        check_val_every_n_epoch=None,
        val_check_interval=4,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Told(), DataLoader(torch.ones(4, 1)), DataLoader(torch.ones(1, 1)))
    assert validated == points
