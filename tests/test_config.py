"""Configurations: every file composes, every error is one line, and a run's name depends on what decides its numbers."""

import functools
import sys
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from clrbench import cli, config
from clrbench.config import Config, checked, in_iterations, with_iterations
from clrbench.data.images import Images, ImageSet
from clrbench.data.load import LoadedSet
from clrbench.errors import ConfigError
from clrbench.policies import check_policy
from clrbench.range_test.measure import open_bounds, wants_measured_bounds
from clrbench.spec import RunSpec, resolve
from clrbench.store import Record

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"
RUN_GROUPS = ("arm", "bounds", "data", "experiment", "model", "optimizer", "policy", "tracking", "trainer")
config.register()


def choices(group: str) -> list[str]:
    """Every file of a group, as it is chosen on the command line."""
    return sorted(path.relative_to(CONF / group).with_suffix("").as_posix() for path in (CONF / group).rglob("*.yaml"))


@functools.cache
def composed(*overrides: str) -> DictConfig:
    """The configuration; bounds that a range test would find are left open."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        made = compose("config", list(overrides))
    return open_bounds(made) if wants_measured_bounds(made) else made


def images(count: int, side: int = 2) -> ImageSet:
    """Blank images with ten classes in turn."""
    labels = np.arange(count) % 10
    one = Images(np.zeros((count, side, side, 3), np.uint8), labels)
    return ImageSet(one, one.take(np.arange(10)))


CIFAR_SIZED = LoadedSet("cifar10", images(50_000), "0" * 64)
SMALL = LoadedSet("digits", images(400), "0" * 64)


def resolved(*overrides: str, data: LoadedSet = SMALL) -> RunSpec:
    return resolve(checked(composed(*overrides)), data)


def table1(arm: str) -> RunSpec:
    return resolved("experiment=table1", f"arm=table1/{arm}", data=CIFAR_SIZED)


# Every file


@pytest.mark.parametrize("choice", [f"{group}={choice}" for group in RUN_GROUPS for choice in choices(group)])
def test_every_choice_of_conf_composes_to_a_configuration_that_can_be_run(choice):
    needed = {"data=npz": ["data.path=x"], "data=imagefolder": ["data.path=x"], "data=datamodule": ["data.module._target_=x"]}
    assert isinstance(checked(composed(choice, *needed.get(choice, []))), Config)


@pytest.mark.parametrize("policy", choices("policy"))
def test_every_policy_resolves_to_a_schedule_that_carries_its_file_name(policy):
    spec = resolved(f"policy={policy}")
    assert spec.policy["name"] == policy
    assert np.isfinite(spec.schedule(np.arange(spec.iterations))).all()


@functools.cache
def swept(experiment: str) -> dict[str, list[str]]:
    """What an experiment sweeps over: {key: values}."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        hydra = compose("config", [f"experiment={experiment}"], return_hydra_config=True).hydra
    return {key: str(values).split(",") for key, values in hydra.sweeper.params.items()}


@pytest.mark.parametrize("arm", choices("arm"))
def test_every_arm_is_of_an_experiment_and_resolves_to_a_schedule_that_carries_its_file_name(arm):
    experiment = next(name for name in choices("experiment") if arm in swept(name).get("arm", []))
    spec = resolved(f"experiment={experiment}", f"arm={arm}", data=CIFAR_SIZED)
    rates = spec.schedule(np.arange(spec.iterations))
    assert (rates > 0).all()
    assert spec.evaluation_points[-1] == spec.iterations
    assert spec.name.startswith(f"{Path(arm).name}-")


@pytest.mark.parametrize("experiment", choices("experiment"))
def test_every_experiment_resolves_and_carries_its_file_name(experiment):
    spec = resolved(f"experiment={experiment}", data=CIFAR_SIZED)
    assert spec.config.experiment == experiment
    assert spec.schedule(1) > 0


@pytest.mark.parametrize("experiment", choices("experiment"))
def test_every_value_that_an_experiment_sweeps_over_makes_a_run(experiment):
    assert len(swept(experiment)["seed"]) >= 3
    for key, values in swept(experiment).items():
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


def test_a_length_of_no_iteration_deep_in_a_policy_is_refused_with_its_key():
    with pytest.raises(ConfigError, match=r"^policy\.stages\[1\]\.start=0 "):
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
        ("seed=one", ["seed=one: ", "Value 'one' of type 'str' could not be converted to Integer"]),
        ("seed=1.5", ["seed=1.5: ", "could not be converted to Integer"]),
        ("bounds.max_lr=high", ["bounds.max_lr=high: ", "could not be converted to Float"]),
        ("data.download=maybe", ["data.download=maybe: "]),
        ("seed=-1", ["seed=-1 is impossible", "at least 0"]),
        ("data.batch_size=0", ["data.batch_size=0 is impossible", "at least 1"]),
        ("bounds.base_lr=-0.1", ["bounds.base_lr=-0.1 is impossible", "at least 0"]),
        ("model.weight_decay=-1", ["model.weight_decay=-1.0 is impossible", "at least 0"]),
        ("tracking.log_every=0", ["tracking.log_every=0 is impossible", "at least 1"]),
        ("trainer.threads=-1", ["trainer.threads=-1 is impossible", "at least 1"]),
        ("data.split=half", ["data.split=half is unknown", "holdout, paper"]),
        ("model.input=raw", ["model.input=raw is unknown", "mean_image, standardize, imagenet"]),
        ("trainer.precision=float8", ["trainer.precision=float8 is unknown", "float32, bfloat16, float16"]),
        ("tracking.wandb=maybe", ["tracking.wandb=maybe is unknown", "auto, online, offline, disabled"]),
        ("iterations=0", ["iterations=0 is not a length", "'4 epochs'"]),
        ("iterations=ten", ["iterations=ten is not a length", "'4 epochs'"]),
        ("data.batch_size=401", ["data.batch_size=401 is more than the 360 training images", "lower it"]),
        ("bounds.max_lr=0.001", ["bounds.max_lr=0.001 is not above bounds.base_lr=0.002", "raise it"]),
        ("bounds.max_lr=nan", ["bounds.max_lr=nan is impossible"]),
        ("policy.step_size=0", ["policy: step_size=0 is impossible", "at least 1 iteration"]),
        ("policy.step_size=long", ["policy: step_size=long is impossible", "at least 1 iteration"]),
        ("policy.window=square", ["policy: window=square is impossible", "triangular, parabolic, hann"]),
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
        ("policy.schedule=3", "policy: schedule=3 is impossible: it must be a policy with its settings"),
        ("policy.schedule.step_size=0", "policy.schedule: step_size=0 is impossible: it must be at least 1 iteration"),
        ("policy.drops=[16 epochs,0 epochs]", "policy.drops[1]=0 is not a length"),
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


# The name of a run

DECISIVE = [
    "seed=2",
    "iterations=31 epochs",
    "policy=triangular",
    "policy.step_size=3 epochs",
    "policy.window=hann",
    "bounds.base_lr=0.004",
    "bounds.max_lr=0.04",
    "data.batch_size=16",
    "data.split=paper",
    "trainer.precision=bfloat16",
    "model=linear",
    "model.net.width=8",
    "model.input=mean_image",
    "model.weight_decay=0.1",
    "optimizer=sgd",
    "optimizer.rule.momentum=0.8",
]
INDIFFERENT = [
    "experiment=mine",
    "paths.data=elsewhere",
    "paths.results=elsewhere",
    "paths.outputs=elsewhere",
    "data.download=false",
    "trainer.threads=3",
    "trainer.evaluate_every=7",
    "tracking.wandb=offline",
    "tracking.project=mine",
    "tracking.log_every=7",
    "policy.name=mine",
    "iterations=352",  # 32 epochs
    "policy.step_size=44",  # 4 epochs
]


def with_value(override: str) -> RunSpec:
    """The default run with one change; experiment=... names the folder here, not a file of conf/experiment."""
    if not override.startswith("experiment="):
        return resolved(override)
    chosen = checked(composed())
    chosen.experiment = override.partition("=")[2]
    return resolve(chosen, SMALL)


@pytest.mark.parametrize("override", DECISIVE)
def test_the_run_id_depends_on_what_decides_the_numbers(override):
    assert with_value(override).run_id != resolved().run_id


def test_no_two_of_these_changes_give_the_same_run_id():
    assert len({with_value(override).run_id for override in DECISIVE}) == len(DECISIVE)


@pytest.mark.parametrize("override", INDIFFERENT)
def test_the_run_id_does_not_depend_on_what_leaves_the_numbers_alone(override):
    assert with_value(override).run_id == resolved().run_id


@pytest.mark.parametrize("override", ["policy=fixed", "seed=2", "iterations=100", "bounds.max_lr=0.02", "scale=0.5"])
def test_runs_that_differ_in_rates_and_lengths_take_equally_long_steps(override):
    assert resolved(override).step_id == resolved().step_id


@pytest.mark.parametrize(
    "override", ["model.net.width=8", "data.batch_size=64", "trainer.precision=bfloat16", "optimizer=adam"]
)
def test_runs_that_compute_something_else_are_measured_apart(override):
    assert resolved(override).step_id != resolved().step_id


def test_the_run_id_does_not_depend_on_where_the_data_lie():
    ids = {resolved("data=npz", "data.name=mine", f"data.path={path}").run_id for path in ("here.npz", "there.npz")}
    assert len(ids) == 1


def test_the_run_id_depends_on_the_contents_of_the_data():
    assert resolved(data=LoadedSet("digits", SMALL.images, "1" * 64)).run_id != resolved().run_id


def test_a_run_is_named_by_policy_budget_seed_and_run_id():
    spec = resolved("policy=exp_range", "seed=7")
    assert spec.name == f"exp_range-352-s7-{spec.run_id}"
    assert len(spec.run_id) == 10


def test_what_is_recorded_of_a_configuration_says_nothing_of_paths_and_trackers():
    text = resolved("paths.data=/home/me/secret", "tracking.entity=me").config_text()
    assert "secret" not in text
    assert "tracking" not in text
    assert f"run_id: {resolved().run_id}" in text


# What is evaluated


def test_evaluations_come_each_epoch_at_each_cycles_end_and_at_the_end_of_the_budget():
    spec = resolved("trainer.evaluate_every=10", "policy.step_size=7", "iterations=32")
    assert spec.evaluation_points == [10, 14, 20, 28, 30, 32]
    assert resolved("iterations=3 epochs").evaluation_points == [11, 22, 33]


def test_a_batch_that_is_not_full_is_no_iteration_of_an_epoch():
    assert resolved().iterations_per_epoch == 360 // 32
    assert resolved("data.split=paper").iterations_per_epoch == 400 // 32


# The paper's numbers


def test_table1_trains_caffes_net_on_all_of_cifar10_500_iterations_an_epoch():
    spec = table1("fixed")
    assert (spec.config.data.name, spec.config.data.split, spec.config.data.batch_size) == ("cifar10", "paper", 100)
    assert (spec.config.model.name, spec.config.model.input) == ("cifar10_full", "mean_image")
    assert spec.config.optimizer.rule == {"_target_": "clrbench.optim.CaffeSGD", "momentum": 0.9}
    assert spec.config.optimizer.weight_decay == 0.004
    assert spec.iterations_per_epoch == 500


@pytest.mark.parametrize(
    ("arm", "iterations"),
    [("fixed", 70_000), ("triangular2", 25_000), ("decay", 25_000), ("exp", 70_000), ("exp_range", 42_000)],
)
def test_table1_has_the_papers_budgets(arm, iterations):
    assert table1(arm).iterations == iterations


@pytest.mark.parametrize(
    ("arm", "rates"),
    [
        ("fixed", {0: 1e-3, 59_999: 1e-3, 60_000: 1e-4, 64_999: 1e-4, 65_000: 1e-5, 69_999: 1e-5}),
        ("exp", {0: 1e-3, 1: 1e-3 * 0.99994, 70_000: 1e-3 * 0.99994**70_000}),
        ("decay", {0: 0.007, 1000: 0.0055, 2000: 0.004, 4000: 0.001, 24_999: 0.001}),
        ("exp_range", {0: 1e-3, 2000: 6e-3 * 0.99994**2000, 4000: 1e-3 * 0.99994**4000, 42_000: 6e-3 * 0.99994**42_000}),
        (
            "triangular2",
            {
                **{0: 1e-3, 2000: 5e-3, 4000: 1e-3, 6000: 3e-3, 14_000: 1.5e-3},
                **{16_000: 1e-4, 17_000: 5e-4, 18_000: 1e-4, 19_000: 3e-4},
                **{22_000: 1e-5, 22_500: 5e-5, 23_000: 1e-5, 23_500: 3e-5, 24_500: 2e-5},
            },
        ),
    ],
)
def test_table1_has_the_papers_rates(arm, rates):
    assert table1(arm).schedule(np.array(list(rates))) == pytest.approx(list(rates.values()), rel=1e-9)


# Of 50,000 images at batch 128 or 64, or of 45,000 at 128.
TABLE4 = {
    "resnet": ("paper", 128, 390, 64_000, (32_000, 48_000), 3200, 0.3),
    "stochastic_depth": ("holdout", 128, 351, 500 * 351, (250 * 351, 375 * 351), 25 * 351, 0.3),
    "densenet": ("paper", 64, 781, 300 * 781, (150 * 781, 225 * 781), 15 * 781, 0.2),
}


def table4(arm):
    return resolved("experiment=table4_cifar10", f"arm=table4/{arm}", data=CIFAR_SIZED)


@pytest.mark.parametrize("net", TABLE4)
@pytest.mark.parametrize("kind", ["fixed_01", "fixed_02", "fixed_03", "triangular"])
def test_table4_trains_each_net_as_its_own_paper_does(net, kind):
    spec = table4(f"{net}_{kind}")
    data = spec.config.data
    assert (data.split, data.batch_size, spec.iterations_per_epoch, spec.iterations) == TABLE4[net][:4]
    assert (data.augment, spec.config.model.name, spec.config.model.input) == ("crop_flip", net, "standardize")
    assert spec.config.optimizer.rule == {"_target_": "torch.optim.SGD", "momentum": 0.9, "nesterov": True}
    assert spec.config.optimizer.weight_decay == 1e-4


@pytest.mark.parametrize("net", TABLE4)
@pytest.mark.parametrize(("kind", "rate"), [("fixed_01", 0.1), ("fixed_02", 0.2), ("fixed_03", 0.3)])
def test_the_fixed_rates_of_table4_drop_as_in_the_nets_own_papers(net, kind, rate):
    schedule, (first, second) = table4(f"{net}_{kind}").schedule, TABLE4[net][4]
    assert schedule([0, first - 1, first, second - 1, second]) == pytest.approx(
        [rate, rate, rate / 10, rate / 10, rate / 100], rel=1e-9
    )


@pytest.mark.parametrize("net", TABLE4)
def test_the_cycles_of_table4_are_ten_with_bounds_that_drop_as_the_fixed_rates_do(net):
    spec = table4(f"{net}_triangular")
    *_, iterations, (first, second), step_size, max_lr = TABLE4[net]
    assert spec.schedule.cycle_ends(spec.iterations) == [2 * step_size * number for number in range(1, 11)]
    assert iterations == 20 * step_size
    assert spec.schedule([0, step_size, first, second]) == pytest.approx([0.1, max_lr, 0.01, max_lr / 100], rel=1e-9)


@pytest.mark.parametrize(
    ("arm", "batch_size", "iterations", "rates"),
    [
        ("alexnet/fixed", 256, 400_000, {0: 0.01, 99_999: 0.01, 100_000: 1e-3, 200_000: 1e-4, 399_999: 1e-5}),
        ("alexnet/triangular2", 256, 400_000, {0: 0.01, 30_000: 0.015, 60_000: 0.01, 90_000: 0.0125, 120_000: 1e-3}),
        ("alexnet/exp", 256, 300_000, {0: 0.01, 300_000: 0.01 * 0.999995**300_000}),
        ("alexnet/exp_460000", 256, 460_000, {0: 0.01, 460_000: 0.01 * 0.999995**460_000}),
        ("alexnet/exp_range", 256, 300_000, {0: 0.006, 30_000: 0.014 * 0.999995**30_000}),
        ("googlenet/fixed", 128, 420_000, {0: 0.01, 239_999: 0.01, 240_000: 1e-3, 360_000: 1e-4}),
        ("googlenet/triangular2", 128, 420_000, {0: 0.01, 30_000: 0.026, 90_000: 0.018, 240_000: 1e-3, 420_000: 1e-4}),
        ("googlenet/exp", 128, 240_000, {0: 0.01, 240_000: 0.01 * 0.99998**240_000}),
        ("googlenet/exp_range", 128, 240_000, {0: 0.01, 30_000: 0.026 * 0.99998**30_000}),
    ],
)
def test_imagenet_has_the_papers_budgets_batches_and_rates(arm, batch_size, iterations, rates):
    spec = resolved(f"experiment=imagenet_{arm.partition('/')[0]}", f"arm=imagenet_{arm}", data=CIFAR_SIZED)
    assert (spec.config.data.name, spec.config.data.batch_size, spec.iterations) == ("imagenet", batch_size, iterations)
    assert spec.config.optimizer.rule == {"_target_": "clrbench.optim.CaffeSGD", "momentum": 0.9}
    assert spec.schedule(np.array(list(rates))) == pytest.approx(list(rates.values()), rel=1e-9)


def test_a_cycle_of_the_default_policies_is_the_papers_4000_iterations_on_cifar10():
    for policy in ("triangular", "triangular2", "exp_range"):
        assert resolved("experiment=table1", f"policy={policy}", data=CIFAR_SIZED).policy["step_size"] == 2000


# Scale


@pytest.mark.parametrize("arm", [path.stem for path in (CONF / "arm" / "table1").glob("*.yaml")])
def test_a_scale_of_a_fifth_makes_a_fifth_of_every_length_and_keeps_the_rates(arm):
    whole = table1(arm)
    fifth = resolved("experiment=table1_fifth", f"arm=table1/{arm}", data=CIFAR_SIZED)
    assert fifth.iterations * 5 == whole.iterations
    now = np.arange(0, fifth.iterations, 10)
    assert fifth.schedule(now) == pytest.approx(whole.schedule(5 * now), rel=1e-12)
    assert [5 * end for end in fifth.schedule.cycle_ends(fifth.iterations)] == whole.schedule.cycle_ends(whole.iterations)


def test_a_scaled_run_has_a_name_of_its_own_and_a_scale_of_1_changes_no_name():
    assert resolved("scale=1").run_id == resolved().run_id
    assert resolved("scale=0.5", "iterations=64").run_id != resolved("iterations=32").run_id


def test_the_published_records_are_those_of_the_commands_that_name_them():
    folder = ROOT / "results" / "evidence" / "table1"
    assert list(folder.iterdir())
    for record in map(Record, folder.iterdir()):
        identity = record.config()["identity"]
        digest = identity["data"]["sha256"]
        spec = resolved(
            "experiment=table1",
            f"arm=table1/{record.result().policy}",
            f"seed={identity['seed']}",
            data=LoadedSet("cifar10", images(50_000), digest),
        )
        assert (spec.name, spec.run_id) == (record.folder.name, record.result().run_id)
