"""What exactly a configuration runs: its name, its lengths and rates, those of the paper among them."""

import numpy as np
import pytest
from specs import CIFAR_SIZED, CONF, ROOT, SMALL, composed, images, resolved, table1

from clrbench.config import checked
from clrbench.data.load import LoadedSet
from clrbench.schema import SCHEMA
from clrbench.spec import RunSpec, resolve
from clrbench.store import Record

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
    "data.order=fixed",
    "data.training_images=200",
    "trainer.evaluate_every=7",
    "version=2",
]
INDIFFERENT = [
    "experiment=mine",
    "paths.data=elsewhere",
    "paths.results=elsewhere",
    "paths.outputs=elsewhere",
    "data.download=false",
    "trainer.threads=3",
    "tracking.wandb=offline",
    "tracking.project=mine",
    "tracking.log_every=7",
    "policy.name=mine",
    "iterations=352",  # 32 epochs
    "policy.step_size=44",  # 4 epochs
    "data.name=mine",
    "trainer.evaluate_every=11",  # 1 epoch
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
        config, result = record.config(), record.result()
        identity, order = config["identity"], config["data"].get("order", "shuffled")
        data = LoadedSet("cifar10", images(50_000), identity["data"]["sha256"])
        chosen = ("experiment=table1", f"arm={result.arm}", f"seed={identity['seed']}", f"data.order={order}")
        spec = resolved(*chosen, data=data)
        assert (spec.identity, spec.policy["name"]) == (identity, result.policy)
        if config["schema"] == SCHEMA:
            assert (spec.name, spec.run_id) == (record.folder.name, result.run_id)


@pytest.mark.parametrize("policy", ["exp", "exp_range"])
def test_exponential_policies_decline_over_any_budget_unless_gamma_is_named(policy):
    for budget in (1000, 5000):
        spec = resolved(f"policy={policy}", f"iterations={budget}")
        assert spec.policy["decline"] == 0.08
        assert spec.schedule.settings["iterations"] == budget
        assert [line for line in spec.warnings if "gamma" in line] == []
    named = resolved(f"policy={policy}", "iterations=1000", "policy.gamma=0.99994")
    assert named.policy["decline"] is None
    (line,) = (line for line in named.warnings if "gamma" in line)
    assert line.startswith(f"warning: {policy}: gamma=0.99994 does next to nothing: it leaves 94% of the rate after 1,000 iter")


def test_a_warm_up_stands_in_front_of_any_policy_of_the_suite():
    spec = resolved("policy=warmup", "policy@policy.schedule=exp_range", "policy.warmup=100", "iterations=1000")
    assert spec.schedule(50) == spec.schedule(100) / 2
    assert spec.schedule(100) == spec.config.bounds.base_lr
    assert "name" not in spec.identity["policy"]["schedule"]
    assert [line for line in spec.warnings if "lasts 1,000 iterations, of which 900 are left" in line]
