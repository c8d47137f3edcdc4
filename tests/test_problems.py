"""The tasks that ship with the suite: they compose and train, on data that are the same everywhere."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
import numpy as np
import pytest
import torch

from clrbench.errors import DataError
from clrbench.identity import PUBLIC_NAMES
from clrbench.problems import characters, mnist1d, modular, tabular
from clrbench.problems.arrays import checked, checksum
from clrbench.tasks.own_spec import resolve_own
from clrbench.training.console import Console
from clrbench.training.run import train

Make = Callable[..., Any]
FILES = {path.stem: path.read_text(encoding="utf-8") for path in Path(__file__).parents[1].glob("conf/task/*.yaml")}
OWN = sorted(name for name, text in FILES.items() if "clrbench.problems" in text)
IMAGES = sorted(FILES.keys() - {*OWN, "image", "lightning"})


def data_of(config: Any) -> Any:
    data = hydra.utils.instantiate(config.task.data)
    data.setup("fit")
    return data


@pytest.mark.parametrize("name", [*OWN, *IMAGES])
def test_each_task_has_a_budget_and_a_peak_with_a_base_below_it(name: str, make_config: Make) -> None:
    config = make_config(f"task={name}")
    assert config.iterations % 24 == 0  # a third of it, and eighths, are whole
    assert config.bounds.max_lr > config.bounds.base_lr > 0
    assert config.task.name == ("lightning" if name in OWN else "image")
    assert name in IMAGES or config.task.margin > 0
    assert make_config(f"task={name}", "iterations=24", "bounds.max_lr=7").iterations == 24


@pytest.mark.parametrize("name", OWN)
def test_two_iterations_of_each_task_end_with_its_test_metric(name: str, make_config: Make) -> None:
    config = make_config(f"task={name}", "iterations=2", "policy=linear")
    result, _ = train(config, Console(silent=True))
    assert (result.status, result.reason) == ("finished", None)
    assert result.metric == config.task.monitor.replace("val", "test")
    assert np.isfinite(result.value)


@pytest.mark.parametrize("name", OWN)
def test_each_task_can_be_resumed_has_long_epochs_and_public_names(name: str, make_config: Make) -> None:
    config = make_config(f"task={name}")
    spec = resolve_own(config)
    assert spec.deals_again
    assert 75 <= spec.batches <= 200  # so that validation costs little
    assert {config.task.module["_target_"], config.task.data["_target_"]} <= PUBLIC_NAMES.keys()


@pytest.mark.parametrize("name", sorted(set(OWN) - {"characters"}))
def test_no_item_is_in_two_parts(name: str, make_config: Make) -> None:
    parts = [part[0] for part in data_of(make_config(f"task={name}")).parts()]
    together = torch.cat(parts)
    assert len(together) == sum(map(len, parts)) == len(torch.unique(together, dim=0))


def test_the_stretches_of_the_text_do_not_overlap() -> None:
    training, validation, test = characters.Descriptions().parts()
    text = characters.numbers(characters.read())
    assert text[:32].tolist() == training[0][0].tolist()
    assert text[34_600:34_632].tolist() == validation[0][0].tolist()
    assert text[38_600:38_632].tolist() == test[0][0].tolist()
    assert (len(training[0]) - 1) * 16 + 33 <= 34_600
    assert len(validation[0]) * 32 + 1 <= 4_000
    assert training[1][0, :-1].tolist() == training[0][0, 1:].tolist()  # what follows


def test_mnist1d_equals_the_arrays_of_its_package() -> None:
    x, y = mnist1d.make()
    assert checksum((x, y)) == mnist1d.SHA256  # computed from those of mnist1d 0.0.2.post1, of which the values below are too
    assert x[0, :4] == pytest.approx([-0.33200567, -0.47191037, -0.77869708, -1.00974083], abs=1e-8)
    assert x[4000, :4] == pytest.approx([-0.07877078, -0.21073171, -0.09175138, 0.28267112], abs=1e-8)
    assert x[-1, -3:] == pytest.approx([0.65987565, 0.87773435, 1.19315184], abs=1e-8)
    assert y[:12].tolist() == [2, 6, 4, 5, 6, 6, 6, 0, 3, 1, 6, 9]


def test_making_data_leaves_the_random_numbers_of_others_alone() -> None:
    mnist1d.make.cache_clear()
    np.random.seed(1)
    expected = np.random.rand()
    np.random.seed(1)
    mnist1d.make()
    assert np.random.rand() == expected


def test_sums_are_modulo_53_and_each_pair_comes_once() -> None:
    pairs, sums = modular.make()
    assert len(np.unique(pairs, axis=0)) == 53**2
    assert (sums == (pairs[:, 0] + pairs[:, 1]) % 53).all()


def test_each_part_of_the_patients_has_the_same_share_of_each_class() -> None:
    shares = [labels.float().mean().item() for _, labels in tabular.BreastCancer().parts()]
    assert max(shares) - min(shares) < 0.01


def test_another_text_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(characters, "read", lambda: "another text " * 4000)
    with pytest.raises(DataError, match=r"^task=characters, .* install the versions in requirements\.lock$"):
        characters.Descriptions().parts()


def test_a_checksum_bears_rounding_errors_and_nothing_else() -> None:
    values = np.linspace(0.00001, 1, 1000)
    assert checksum([values + 1e-12]) == checksum([values])
    with pytest.raises(DataError):
        checked([values + 1e-3], checksum([values]), "task=x")
