"""What is said of a command line that cannot be composed, to somebody who does not know the suite's keys yet."""

import pytest
from conftest import composed
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from clrbench.complaints import in_one_line


def complaint(*overrides: str) -> str:
    with pytest.raises((HydraException, OmegaConfBaseException)) as caught:
        composed(*overrides)
    return in_one_line(caught.value, overrides, lambda choices: composed(*choices))


@pytest.mark.parametrize(
    ("override", "meant"),
    [
        ("max_lr=0.1", "bounds.max_lr"),
        ("stepsize=100", "policy.step_size"),
        ("policy.stepsize=100", "policy.step_size"),
        ("batch_size=64", "data.batch_size"),
        ("optimizer.momentum=0.8", "optimizer.rule.momentum"),
        ("model.width=32", "model.net.width"),
        ("trainer.max_epochs=4", "iterations='4 epochs'"),
        ("lr=0.1", "bounds.base_lr=0.001 bounds.max_lr=0.006"),
        ("mode=triangular", "policy=triangular2"),
    ],
)
def test_a_key_that_lies_elsewhere_is_found_there(override: str, meant: str) -> None:
    assert complaint(override).startswith(f"{override.partition('=')[0]} is no key: did you mean {meant}? ")


def test_a_key_like_no_other_is_answered_with_those_that_there_are() -> None:
    assert complaint("nonsense=3").startswith("nonsense is no key: the configuration has arm, averages, bounds, data, ")


@pytest.mark.parametrize("choice", ["stripes", "/home/me/my-data/stripes.npz"])
def test_a_data_set_that_is_no_choice_is_answered_with_the_way_to_ones_own(choice: str) -> None:
    said = complaint(f"data={choice}")
    assert said.startswith(f"data={choice} is unknown: choose one of cifar10, ")
    assert said.endswith("your own are data=npz data.path=FILE, or data=imagefolder data.path=FOLDER")


def test_a_value_with_a_space_outside_quotes_is_answered_with_the_quotes() -> None:
    assert complaint("iterations=4", "epochs") == (
        "'epochs' is not KEY=VALUE: put a value with a space in quotes, as in iterations='4 epochs'"
    )
