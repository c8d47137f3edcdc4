"""Configurations: every file composes, every length, error and bound is what it should be."""

import functools
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from specs import CIFAR_SIZED, CONF, ROOT, composed, resolved

from clrbench import cli
from clrbench.config import Config, checked, in_iterations, with_iterations
from clrbench.errors import ConfigError
from clrbench.policies import check_policy

# Arms, experiments and policies have tests of their own, which hold more.
RUN_GROUPS = ("bounds", "data", "model", "optimizer", "tracking", "trainer")


def choices(group: str) -> list[str]:
    """Every file of a group, as it is chosen on the command line."""
    return sorted(path.relative_to(CONF / group).with_suffix("").as_posix() for path in (CONF / group).rglob("*.yaml"))


# Every file


def rounds() -> list[list[str]]:
    """All choices, one of each group at a time: each costs as little as one alone."""
    columns = [[f"{group}={choice}" for choice in choices(group)] for group in RUN_GROUPS]
    return [list(filter(None, row)) for row in itertools.zip_longest(*columns)]


@pytest.mark.parametrize("chosen", rounds(), ids=" ".join)
def test_every_choice_of_conf_composes_to_a_configuration_that_can_be_run(chosen):
    needed = {"data=npz": ["data.path=x"], "data=imagefolder": ["data.path=x"], "data=datamodule": ["data.module._target_=x"]}
    further = [override for choice in chosen for override in needed.get(choice, [])]
    assert isinstance(checked(composed(*chosen, *further)), Config)


@pytest.mark.parametrize("policy", choices("policy"))
def test_every_policy_resolves_to_a_schedule_that_carries_its_file_name(policy):
    spec = resolved(f"policy={policy}")
    assert spec.policy["name"] == policy
    assert np.isfinite(spec.schedule(np.arange(spec.iterations))).all()


@functools.cache
def swept(experiment: str) -> dict[str, list[str]]:
    """What an experiment sweeps over: {key: values}."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        made = compose("config", [f"experiment={experiment}"], return_hydra_config=True)
    if experiment in ("decide", "league"):  # which choose their runs themselves
        return {"arm": list(made.decide.families), "seed": ["1", "2", "3"]}
    return {key: str(values).split(",") for key, values in made.hydra.sweeper.params.items()}


@pytest.mark.parametrize("arm", choices("arm"))
@pytest.mark.slow
def test_every_arm_is_of_an_experiment_and_resolves_to_a_schedule_that_carries_its_file_name(arm):
    experiment = next(name for name in choices("experiment") if arm in swept(name).get("arm", []))
    spec = resolved(f"experiment={experiment}", f"arm={arm}", data=CIFAR_SIZED)
    rates = spec.schedule(np.arange(spec.iterations))
    assert (rates[1:] > 0).all()  # a warm-up begins at 0
    assert spec.evaluation_points[-1] == spec.iterations
    assert spec.name.startswith(f"{Path(arm).name}-")


@pytest.mark.parametrize("experiment", choices("experiment"))
def test_every_experiment_resolves_and_carries_its_file_name(experiment):
    spec = resolved(f"experiment={experiment}", data=CIFAR_SIZED)
    assert spec.config.experiment == experiment
    assert spec.schedule(1) > 0


@pytest.mark.slow
@pytest.mark.parametrize("experiment", choices("experiment"))
def test_every_value_that_an_experiment_sweeps_over_makes_a_run(experiment):
    seeds = swept(experiment)["seed"]
    assert len(seeds) >= 3
    assert all(seed.strip().isdigit() for seed in seeds)  # one composes like another, in a tenth of a second
    for key, values in (swept(experiment) | {"seed": seeds[:1]}).items():
        for value in values:
            check_policy(checked(composed(f"experiment={experiment}", f"{key}={value}")))


# Lengths


@pytest.mark.parametrize(
    ("length", "iterations"),
    [
        *((2000, 2000), (1, 1), ("4 epochs", 2000), ("1 epoch", 500), ("0.5 epochs", 250), ("2.5 epochs", 1250)),
        *((" 4 epochs ", 2000), ("0.002 epochs", 1)),
    ],
)
def test_a_length_is_a_number_of_iterations_or_of_epochs(length, iterations):
    assert in_iterations(length, 500, "policy.step_size") == iterations


@pytest.mark.parametrize(
    "length",
    [
        0,
        -5,
        2.5,
        True,
        None,
        "",
        "2000",
        "epochs",
        "-1 epochs",
        "0 epochs",
        "0.0001 epochs",
        "4epochs",
        "4 weeks",
        [1],
        ".5 epochs",
    ],
)
def test_what_is_no_length_is_refused_in_one_line_that_names_the_key(length):
    with pytest.raises(
        ConfigError, match=r"^policy\.step_size=.* is not a length: write iterations \(2000\) or epochs [^\n]*$"
    ):
        in_iterations(length, 500, "policy.step_size")


def test_lengths_in_epochs_become_iterations_at_any_depth_and_the_rest_stays():
    settings = {
        "step_size": "4 epochs",
        "gamma": 0.5,
        "window": "hann",
        "stages": [{"start": "1 epoch", "at": ["2 epochs", 7]}],
    }
    assert with_iterations(settings, 500, "policy") == {
        **{"step_size": 2000, "gamma": 0.5, "window": "hann"},
        "stages": [{"start": 500, "at": [1000, 7]}],
    }
    assert settings["step_size"] == "4 epochs"


def test_a_policy_is_refused_before_its_data_are_read_where_no_epoch_could_make_it_possible(make_config):
    check_policy(make_config("policy=linear", "policy.warmup=1500", "iterations='1 epochs'"))
    check_policy(make_config("policy=linear", "policy.warmup='1 epochs'", "iterations=500"))
    with pytest.raises(ConfigError, match="policy: warmup=2000 is not below iterations=1000"):
        check_policy(make_config("policy=linear", "policy.warmup='2 epochs'", "iterations='1 epochs'"))
    with pytest.raises(ConfigError, match="policy: warmup=1500 is not below iterations=110"):
        resolved("policy=linear", "policy.warmup=1500", "iterations='10 epochs'")


def test_a_length_of_no_iteration_deep_in_a_policy_is_refused_with_its_key():
    with pytest.raises(ConfigError, match=r"^policy\.stages\[1\]\.start=0 epochs "):
        with_iterations({"stages": [{"start": 0}, {"start": "0 epochs"}]}, 500, "policy")


# Errors


def complaint(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *overrides: str) -> str:
    """What a user reads on the terminal who gives these overrides."""
    monkeypatch.setattr(sys, "argv", [str(ROOT / "train.py"), *overrides])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    with pytest.raises(SystemExit) as ended:
        cli.main(lambda: resolved(*overrides))
    assert ended.value.code == 1
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("nonsense=1", ["nonsense is no key", "the configuration has ", "iterations", "policy"]),
        ("bounds.max_rl=1", ["bounds.max_rl is no key", "did you mean bounds.max_lr?", "base_lr, max_lr"]),
        ("data.batchsize=1", ["data.batchsize is no key", "did you mean data.batch_size?"]),
        ("policy.stepsize=1", ["policy.stepsize is no key", "did you mean policy.step_size?"]),
        ("policy=triangel", ["policy=triangel is unknown", "choose one of", "triangular2"]),
        ("model=resnext", ["model=resnext is unknown", "choose one of", "small_cnn"]),
        ("seed=one", ["seed=one is no whole number: write for instance 3"]),
        ("seed=1.5", ["seed=1.5 is no whole number: write for instance 3"]),
        ("bounds.max_lr=high", ["bounds.max_lr=high is no number: write for instance 0.05"]),
        ("data.download=maybe", ["data.download=maybe: "]),
        ("seed=-1", ["seed=-1 is impossible", "at least 0"]),
        ("seed=99999999999999999999", ["seed=99999999999999999999 is impossible", "below 9223372036854775808"]),
        ("data.batch_size=0", ["data.batch_size=0 is impossible", "at least 1"]),
        ("bounds.base_lr=-0.1", ["bounds.base_lr=-0.1 is impossible", "at least 0"]),
        ("model.weight_decay=-1", ["model.weight_decay=-1.0 is impossible", "at least 0"]),
        ("tracking.log_every=0", ["tracking.log_every=0 is impossible", "at least 1"]),
        ("range_test.seeds=[]", ["range_test.seeds=[] is empty", "range_test.seeds=[1,2,3]"]),
        ("trainer.threads=-1", ["trainer.threads=-1 is impossible", "at least 1"]),
        ("data.split=half", ["data.split=half is unknown", "holdout, paper"]),
        ("model.input=raw", ["model.input=raw is unknown", "mean_image, standardize, imagenet"]),
        ("trainer.precision=float8", ["trainer.precision=float8 is unknown", "float32, bfloat16, float16"]),
        ("tracking.wandb=maybe", ["tracking.wandb=maybe is unknown", "auto, online, offline, disabled"]),
        ("range_test.seeds=[1,2,1]", ["range_test.seeds=[1, 2, 1] names 1 more than once: name each seed once"]),
        ("range_test.seeds=[-1]", ["range_test.seeds=[-1] holds -1: a seed is a whole number of at least 0"]),
        ("iterations='0 epochs'", ["iterations=0 epochs is not a length", "'4 epochs'"]),
        ("iterations=0", ["iterations=0 is not a length", "'4 epochs'"]),
        ("iterations=ten", ["iterations=ten is not a length", "'4 epochs'"]),
        ("data.batch_size=401", ["data.batch_size=401 is more than the 360 training images", "lower it"]),
        ("bounds.max_lr=0.001", ["bounds.max_lr=0.001 is not above bounds.base_lr=0.002", "raise it"]),
        ("bounds.max_lr=nan", ["bounds.max_lr=nan is impossible"]),
        ("policy.step_size=0", ["policy.step_size=0 is impossible", "at least 1 iteration"]),
        ("policy.step_size=long", ["policy.step_size=long is impossible", "at least 1 iteration"]),
        ("policy.window=square", ["policy.window=square is impossible", "triangular, parabolic, hann"]),
        ("+policy.gamma=0.9", ["policy: gamma is not a setting of triangular2", "step_size"]),
        ("~policy.step_size", ["policy: triangular2: missing a required argument: 'step_size'"]),
        ("policy._target_=clrbench.schedules.square", ["policy: ", "square"]),
        ("bounds.max_lr=${nowhere}", ["nowhere"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_error_is_one_line_that_names_the_key_and_what_is_allowed(capsys, monkeypatch, override, parts):
    printed = complaint(capsys, monkeypatch, override)
    assert printed.startswith("error: ")
    assert printed.count("\n") == 1
    for part in parts:
        assert part in printed


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("policy.schedule=3", "policy.schedule=3 is impossible: it must be a policy with its settings"),
        ("policy.schedule.step_size=0", "policy.schedule.step_size=0 is impossible: it must be at least 1 iteration"),
        ("policy.drops=[16 epochs,0 epochs]", "policy.drops[1]=0 epochs is not a length"),
    ],
)
def test_a_fault_in_a_policy_that_drops_is_told_by_the_key_at_which_it_lies(override, message):
    with pytest.raises(ConfigError) as error:
        resolved("policy=dropping", override)
    assert str(error.value).startswith(message)


# Bounds


def bounds(*overrides: str) -> tuple[float, float]:
    chosen = checked(composed(*overrides)).bounds
    return chosen.base_lr, chosen.max_lr


@pytest.mark.parametrize("model", ["cifar10_full", "cifar10_quick", "cifar10_full_sigmoid_bn"])
def test_caffes_models_bring_the_bounds_of_the_papers_range_test(model):
    assert bounds(f"model={model}") == (0.001, 0.006)


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        ("nesterov", (0.001, 0.006)),
        ("adam", (0.0005, 0.002)),
        ("rmsprop", (0.0001, 0.0003)),
        ("adagrad", (0.003, 0.035)),
        ("adadelta", (0.01, 0.1)),
    ],
)
def test_an_optimizer_of_table_3_brings_its_bounds(optimizer, expected):
    assert bounds(f"optimizer={optimizer}") == expected


def test_the_bounds_of_an_optimizer_win_over_those_of_a_model_in_either_order():
    assert bounds("model=cifar10_full", "optimizer=adam") == bounds("optimizer=adam", "model=cifar10_full") == (0.0005, 0.002)


def test_bounds_that_are_chosen_win_over_those_of_the_model_and_the_optimizer():
    assert bounds("model=cifar10_full", "optimizer=adam", "bounds=small_cnn") == (0.002, 0.03)
    assert bounds("bounds=small_cnn", "model=cifar10_full") == (0.002, 0.03)
    assert bounds("model=cifar10_full", "optimizer=adam", "bounds.max_lr=0.5") == (0.0005, 0.5)


def test_the_optimizer_takes_the_weight_decay_of_the_model():
    assert checked(composed("model=cifar10_full", "optimizer=adam")).optimizer.weight_decay == 0.004
