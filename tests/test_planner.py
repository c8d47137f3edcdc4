"""The planner: it makes the cells of a sweep from overrides, and composes as little as it can."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import composed
from omegaconf import DictConfig

from clrbench.config import PathNames
from clrbench.sweep.planner import Planner


@pytest.fixture
def make_planner(tmp_path: Path) -> Callable[..., Planner]:
    def make(compose: Callable[[Sequence[str]], DictConfig]) -> Planner:
        paths = PathNames(str(tmp_path / "data"), str(tmp_path / "results"), str(tmp_path / "outputs"))
        return Planner(compose, paths, print)

    return make


def counting(calls: list[Sequence[str]]) -> Callable[[Sequence[str]], DictConfig]:
    def compose(overrides: Sequence[str]) -> DictConfig:
        calls.append(overrides)
        return composed(*overrides)

    return compose


def never(overrides: Sequence[str]) -> DictConfig:
    pytest.fail(f"composed {overrides}")


def test_cells_that_differ_in_the_seed_alone_are_composed_once_and_are_those_composed_one_by_one(
    make_planner: Callable[..., Planner],
) -> None:
    overrides = [(f"policy={policy}", f"seed={seed}") for policy in ("fixed", "exp") for seed in (1, 2, 3)]
    calls: list[Sequence[str]] = []
    together = make_planner(counting(calls)).cells(overrides)
    assert [tuple(call) for call in calls] == [overrides[0], overrides[3]]
    assert together == [make_planner(counting([])).cells([each])[0] for each in overrides]
    assert len({cell.record.folder for cell in together}) == 6


def test_cells_that_differ_in_their_rates_are_composed_once_and_are_those_that_hydra_composes(
    make_planner: Callable[..., Planner],
) -> None:
    rates = [("0.001", "0.02"), ("1e-4", "2"), ("0.5", "1.5e-1")]
    calls: list[Sequence[str]] = []
    planner = make_planner(counting(calls))
    bound = planner.cells([("arm=decide/one_cycle", f"bounds.base_lr={low}", f"bounds.max_lr={high}") for low, high in rates])
    assert calls == [("arm=decide/one_cycle",)]
    by_hydra = [("arm=decide/one_cycle", f"++bounds.base_lr={low}", f"++bounds.max_lr={high}") for low, high in rates]
    composed_each = make_planner(counting([])).cells(by_hydra)
    assert [cell.record for cell in bound] == [cell.record for cell in composed_each]
    assert [cell.job.config for cell in bound if cell.job] == [cell.job.config for cell in composed_each if cell.job]
    assert len({cell.record.folder for cell in bound}) == 3


def test_what_is_made_of_the_seed_is_composed_for_each(make_planner: Callable[..., Planner]) -> None:
    of_seed = ("policy=fixed", "bounds.base_lr=${seed}")
    cells = make_planner(counting([])).cells([(*of_seed, f"seed={seed}") for seed in (1, 2)])
    typed = make_planner(counting([])).cells([("policy=fixed", f"bounds.base_lr={seed}", f"seed={seed}") for seed in (1, 2)])
    assert [cell.record for cell in cells] == [cell.record for cell in typed]


def test_changed_data_lead_to_another_cell(make_planner: Callable[..., Planner], tmp_path: Path) -> None:
    overrides = [("data=npz", f"data.path={tmp_path}/images.npz", "data.batch_size=10", "policy=fixed")]
    names = []
    for images in (80, 90):
        pixels, labels = np.zeros((images, 8, 8), np.uint8), np.arange(images) % 2
        np.savez(tmp_path / "images.npz", x_train=pixels, y_train=labels, x_test=pixels, y_test=labels)
        (cell,) = make_planner(counting([])).cells(overrides)
        assert cell.error is None
        names.append(cell.record.folder.name)
    assert names[0] != names[1]


def test_a_sweep_tells_once_what_of_its_data_is_not_used(
    make_planner: Callable[..., Planner], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels, labels = np.arange(80 * 64, dtype=np.uint16).view(np.uint8).reshape(160, 8, 8), np.arange(80) % 2
    path = tmp_path / "images.npz"
    np.savez(path, x_train=pixels[:80], y_train=labels, x_test=pixels[80:], y_test=labels, x_val=pixels, y_val=labels)
    overrides = [("data=npz", f"data.path={path}", "data.batch_size=10", "policy=fixed", f"seed={seed}") for seed in (1, 2, 3)]
    for _ in range(2):
        make_planner(counting([])).cells(overrides)
        assert capsys.readouterr().out.splitlines() == [f"{path}: its arrays x_val, y_val are not used"]


def test_an_experiment_that_leads_out_of_the_records_has_its_error_among_them(
    make_planner: Callable[..., Planner], tmp_path: Path
) -> None:
    (cell,) = make_planner(counting([])).cells([("experiment=../x",)])
    assert cell.error is not None
    assert cell.invalid.folder.parent == tmp_path / "results" / "runs" / "adhoc"


def test_a_bad_cell_has_its_reason_and_the_others_are_found(make_planner: Callable[..., Planner]) -> None:
    good, bad, worse = make_planner(counting([])).cells(
        [("policy=fixed",), ("experiment=quick", "policy=fixed", "policy.step_size=3"), ("data.batch_size=5000",)]
    )
    assert good.error is None
    assert "policy.step_size is no key" in str(bad.error)
    assert "data.batch_size=5000 is more than" in str(worse.error)
    assert [cell.invalid.folder.parent.name for cell in (good, bad, worse)] == ["adhoc", "quick", "adhoc"]
