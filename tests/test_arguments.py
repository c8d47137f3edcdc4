"""What is done about what was typed before Hydra reads it."""

import re
import subprocess
import sys

import pytest
from conftest import ROOT, composed
from omegaconf import OmegaConf

from clrbench.arguments import OPTIONS, check_arm, check_choices, check_search, options_first
from clrbench.config import Config, checked
from clrbench.errors import ConfigError
from clrbench.keys import check_keys


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("policy=fixed -m seed=1,2", "-m policy=fixed seed=1,2"),
        ("seed=1 --config-dir a=b seed=2", "--config-dir=a=b seed=1 seed=2"),
        ("seed=1 -cd mine", "--config-dir=mine seed=1"),
        ("--config-name=own seed=1 --multi", "--config-name=own --multi seed=1"),
        ("--info seed=1", "--info=all seed=1"),
        ("seed=1 -i plugins", "--info=plugins seed=1"),
        ("seed=1 ~policy.window +a=-1", "seed=1 ~policy.window +a=-1"),
        ("--cfg job --resolve seed=1 -p bounds", "--cfg=job --resolve --package=bounds seed=1"),
    ],
)
def test_options_come_first_each_with_its_value(typed: str, read: str) -> None:
    assert options_first(typed.split()) == read.split()


@pytest.mark.parametrize("option", ["--foo", "--policy=fixed", "-x", "--config", "-"])
def test_an_unknown_or_ambiguous_option_is_refused_with_those_that_there_are(option: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{option} is no option: .*--multirun \(-m\)"):
        options_first(["seed=1", option])


@pytest.mark.slow
def test_the_options_are_hydras() -> None:
    shown = subprocess.run(
        [sys.executable, "train.py", "--hydra-help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    listed = re.findall(r"^(--[a-z-]+)(?:,(-[a-z]+))? :", shown, re.MULTILINE)
    assert dict(listed) == OPTIONS


@pytest.mark.parametrize("typed", ["experiment=null", "policy=fixed,null", "+arm=null", "data=NULL"])
def test_a_choice_of_nothing_is_refused(typed: str) -> None:
    with pytest.raises(ConfigError, match="chooses nothing: leave it out"):
        check_choices(["-m", typed], ["experiment", "arm", "policy", "data"])


def test_null_is_a_value_of_keys_that_are_no_choices() -> None:
    check_choices(["version=null", "trainer.threads=null", "policy=fixed"], ["policy", "trainer"])


def test_a_policy_beside_an_arm_is_refused_and_each_alone_is_not() -> None:
    check_arm(["arm=compare/linear", "policy.base_lr=0.1", "seed=1"])
    check_arm(["policy=hann", "seed=1"])
    with pytest.raises(ConfigError, match=r"^policy=hann contradicts the arm, which brings its own policy"):
        check_arm(["arm=compare/linear", "seed=1", "policy=hann"])


def test_params_beside_optunas_sweeper_are_refused_with_what_to_write_and_others_are_not() -> None:
    params = "hydra.sweeper.params={bounds.max_lr: interval(0.01,0.1)}"
    check_search(["-m", params])
    check_search(["-m", "hydra/sweeper=optuna", "bounds.max_lr=interval(0.01,0.1)"])
    with pytest.raises(ConfigError, match=r"beside hydra/sweeper=optuna: write .* 'bounds\.max_lr=interval\(0\.01,0\.1\)'$"):
        check_search(["-m", "hydra/sweeper=optuna", params])


@pytest.mark.parametrize("added", ["model.net.width=8", "policy.extra=1", "optimizer.rule.extra=1", "data.module.folds=5"])
def test_what_a_class_takes_stays_open(added: str) -> None:
    check_keys(composed("data=datamodule", f"++{added}"), Config)


def test_an_unknown_key_within_a_section_is_refused_beside_others_that_refer_to_it() -> None:
    config = composed("+bounds.lowest=0.1", "+foo=1", "bounds.base_lr=${bounds.lowest}")
    with pytest.raises(ConfigError, match=r"^bounds.lowest is no key: bounds has base_lr, max_lr, origin, times$"):
        checked(config)


def test_a_configuration_without_form_is_held_to_the_same_keys() -> None:
    config = OmegaConf.create(OmegaConf.to_container(composed()))
    config.tracking.projet = "mine"
    with pytest.raises(ConfigError, match=r"^tracking\.projet is no key: did you mean tracking\.project"):
        checked(config)
