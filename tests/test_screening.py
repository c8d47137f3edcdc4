"""Bounds that a screening chose: the best of its own runs, and of no others."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import composed
from omegaconf import DictConfig

from clrbench.config import checked
from clrbench.data.load import load
from clrbench.errors import ConfigError
from clrbench.spec import Spec, resolve
from clrbench.store import Record, Result, run_folder
from clrbench.sweep.screening import with_screened_bounds

ARM = "arm=rivals/triangular2"
RESULT = Result(
    run_id="", name="", experiment="rivals_screening", data="digits", model="small_cnn", policy="triangular2", seed=1,
    status="finished", iterations=1280, value=90.0, seconds=2.0, images_per_second=50.0, versions={}, commit="", host="",
    arm="rivals/triangular2",
)  # fmt: skip


@pytest.fixture(scope="module")
def resolved() -> Callable[..., Spec]:
    data = {}

    def resolve_once(config: object) -> Spec:
        data.setdefault("digits", load(config.data, config.paths))  # type: ignore[attr-defined]
        return resolve(config, data["digits"])  # type: ignore[arg-type]

    return resolve_once


@pytest.fixture
def screened(tmp_path: Path, resolved: Callable[..., Spec]) -> Callable[..., Record]:
    """Writes a run of a screening that ended with a value, None for one that diverged."""

    def write(peak: float, value: float | None, seed: int = 101, *overrides: str) -> Record:
        typed = (f"bounds.max_lr={peak}", f"seed={seed}", *overrides)
        spec = resolved(checked(composed("experiment=rivals_screening", ARM, *typed)))
        record = Record(run_folder(tmp_path, "rivals_screening", spec.name))
        record.write_config(spec.config_text(typed))
        status = "finished" if value is not None else "diverged"
        about = {"run_id": spec.run_id, "name": spec.name, "seed": seed, "value": value, "status": status}
        record.folder.joinpath("result.json").write_text(json.dumps({**vars(RESULT), **about}))
        return record

    return write


@pytest.fixture
def chosen(tmp_path: Path, resolved: Callable[..., Spec]) -> Callable[..., tuple[DictConfig, str]]:
    def choose(*overrides: str) -> tuple[DictConfig, str]:
        said: list[str] = []
        run = composed("experiment=rivals", ARM, f"paths.results={tmp_path}", *overrides)
        return with_screened_bounds(run, resolved, said.append), "\n".join(said)

    return choose


def test_the_bounds_are_the_best_on_held_out_images_whatever_seed_is_compared(
    screened: Callable[..., Record], chosen: Callable[..., tuple[DictConfig, str]]
) -> None:
    names = [screened(peak, value).folder.name for peak, value in ((0.01, 90.0), (0.03, 92.0), (0.09, None))]
    for seed in (1, 2):
        found, said = chosen(f"seed={seed}")
        assert (found.bounds.base_lr, found.bounds.max_lr) == (0.002, 0.03)
        assert checked(found).policy["max_lr"] == 0.03
        assert all(name in found.bounds.origin for name in names)
        assert said == "rivals/triangular2: max_lr 0.03 is the best of 0.01, 0.03, 0.09 on held-out images, 1 seed each"


def test_a_choice_at_the_end_of_what_was_tried_is_told(
    screened: Callable[..., Record], chosen: Callable[..., tuple[DictConfig, str]]
) -> None:
    for peak, value in ((0.01, 90.0), (0.03, 92.0), (0.09, 93.0)):
        screened(peak, value)
    assert chosen()[1].endswith("1 seed each; a higher one may be better still")


def test_only_seeds_that_all_bounds_were_tried_with_decide(
    screened: Callable[..., Record], chosen: Callable[..., tuple[DictConfig, str]]
) -> None:
    for seed, low, high in ((101, 90.0, 91.0), (102, 92.0, 92.5)):
        screened(0.01, low, seed)
        screened(0.03, high, seed)
    screened(0.01, 99.0, 103)
    found, said = chosen()
    assert (found.bounds.max_lr, "2 seeds each" in said) == (0.03, True)


def test_runs_of_another_setting_choose_nothing(
    screened: Callable[..., Record], chosen: Callable[..., tuple[DictConfig, str]]
) -> None:
    screened(0.01, 90.0)
    screened(0.03, 99.0, 101, "data.batch_size=16")
    screened(0.09, 99.0, 101, "iterations=8 epochs")
    with pytest.raises(ConfigError, match=r"has 1 bounds tried .* `python train.py -m experiment=rivals_screening`"):
        chosen()


def test_bounds_that_are_given_are_left_alone(chosen: Callable[..., tuple[DictConfig, str]]) -> None:
    found, said = chosen("bounds=small_cnn")
    assert (found.bounds.max_lr, said) == (0.03, "")
