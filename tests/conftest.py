"""What several test files share."""

import contextlib
import copy
import functools
import importlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from clrbench import config
from clrbench.store import Result

ROOT = Path(__file__).resolve().parents[1]

# The tests' many small arrays gain nothing from threads, and lose much on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")


# Files that start whole commands, clusters, servers or browsers, or train for long: `make check` leaves them out. The longest
# come first, so that two workers end at about the same time.
_SLOW = (
    *("sweep", "slurm", "bench", "wandb_online", "devices", "run", "peers", "sweep_faults", "own", "sweep_shown", "cli"),
    *("wandb_comparison", "range_test", "package", "experiments", "comfort", "wandb", "spec", "dashboard", "readme", "orphans"),
    *("unofficial", "wandb_judgement", "start", "tasks", "comparison", "decide", "settling", "page", "problems", "branches"),
    *("schedule_free", "streamed", "screening"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of these files as slow, and put them first."""
    place = {name: number for number, name in enumerate(_SLOW)}
    for item in items:
        if _name(item.path) in place:
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: place.get(_name(item.path), len(place)))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where they are left out, don't even import them."""
    return True if config.option.markexpr == "not slow" and _name(collection_path) in _SLOW else None


def pytest_sessionstart(session: pytest.Session) -> None:
    """One of several workers needs Lightning for some of its files: import it in half the time."""
    if hasattr(session.config, "workerinput"):
        importlib.import_module("clrbench.training.lean")


def _name(path: Path) -> str:
    return path.stem.removeprefix("test_")


RESULT = Result(
    run_id="0123456789",
    name="triangular2-44-s1-0123456789",
    experiment="quick",
    data="digits",
    model="small_cnn",
    policy="triangular2",
    seed=1,
    status="finished",
    iterations=44,
    value=25.0,
    seconds=0.5,
    images_per_second=2816.0,
    versions={"torch": "2.9.0"},
    commit="d452e76",
    host="laptop",
)


config.register()


def composed(*overrides: str) -> DictConfig:
    """The configuration that a command line with these overrides makes; one of the test's own."""
    return copy.deepcopy(_composed(*overrides))


@functools.cache  # a fifth of a second
def _composed(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("config", list(overrides))


def config_in(folder: Path, *overrides: str) -> config.Config:
    """A checked configuration whose records and working files go to `folder`."""
    made = composed("tracking.wandb=disabled", *overrides)
    made.paths.results, made.paths.outputs = str(folder / "results"), str(folder / "outputs")
    return config.checked(made)


@pytest.fixture
def make_config(tmp_path: Path) -> Callable[..., config.Config]:
    """Make a checked configuration whose records and working files go to a folder of the test's own."""
    return lambda *overrides, folder="one": config_in(tmp_path / folder, *overrides)


@pytest.fixture
def make_cell(tmp_path: Path) -> Callable[..., Any]:
    """Make a cell of a sweep; its name tells it from others."""
    from made_up_cells import cell_in

    return functools.partial(cell_in, tmp_path)


@pytest.fixture
def interrupted_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], contextlib.AbstractContextManager[None]]:
    """A block within which training meets a Ctrl-C behind an iteration, and which expects that."""
    from clrbench.training.recorder import Recorder

    @contextlib.contextmanager
    def block(iteration: int) -> Iterator[None]:
        original = Recorder.on_train_batch_end

        def die(self: Recorder, trainer: Any, *arguments: Any) -> None:
            if trainer.global_step == iteration:
                raise KeyboardInterrupt
            original(self, trainer, *arguments)

        with monkeypatch.context() as dying:
            dying.setattr(Recorder, "on_train_batch_end", die)
            with pytest.raises(KeyboardInterrupt):
                yield

    return block


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a made-up store, in the folder `outputs` beside it."""
    from made_up import write_store

    from clrbench.report import outputs

    folder = tmp_path_factory.mktemp("store")
    outputs.write(outputs.own(write_store(folder / "results"), folder / "outputs", ROOT / "conf"))
    return folder / "outputs" / "report"


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """For small tensors: beside other work, threads that wait for each other take thirty times as long."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
