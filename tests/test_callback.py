import contextlib

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from clrbench import CyclicLR
from clrbench.optim import CaffeSGD
from clrbench.schedules import named

pytestmark = pytest.mark.filterwarnings("ignore")

CYCLES = {"base_lr": 0.1, "max_lr": 0.5, "step_size": 4}
RATES = named("triangular2", **CYCLES)


def sgd(net):
    return torch.optim.SGD(net.parameters(), lr=7.0, momentum=0.9)


class Plain(pl.LightningModule):
    """A module that knows nothing of the suite. It notes the rates of all groups within each step of its optimizer."""

    def __init__(self, make_optimizer=sgd, fail_at=None):
        super().__init__()
        self.net = nn.Linear(2, 1)
        self.make_optimizer = make_optimizer
        self.fail_at = fail_at
        self.rates = []
        self.groups = []

    def training_step(self, batch, batch_idx):
        if batch_idx == self.fail_at:
            raise RuntimeError("out of luck")
        return self.net(batch[0]).square().mean()

    def configure_optimizers(self):
        self.optimizer = self.make_optimizer(self.net)
        self.optimizer.register_step_pre_hook(self.note)
        return self.optimizer

    def note(self, optimizer, *_):
        self.rates.append([float(group["lr"]) for group in optimizer.param_groups])
        self.groups.append(
            [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
        )


class ByHand(pl.LightningModule):
    """Manual optimization: in each batch, the optimizer k of n makes `steps[k]` steps."""

    def __init__(self, *steps):
        super().__init__()
        self.automatic_optimization = False
        self.nets = nn.ModuleList(nn.Linear(2, 1) for _ in steps)
        self.steps = steps
        self.rates = [[] for _ in steps]

    def training_step(self, batch, batch_idx):
        optimizers = self.optimizers()
        for optimizer, net, steps in zip(
            optimizers if isinstance(optimizers, list) else [optimizers], self.nets, self.steps, strict=True
        ):
            for _ in range(steps):
                optimizer.zero_grad()
                self.manual_backward(net(batch[0]).square().mean())
                optimizer.step()

    def configure_optimizers(self):
        optimizers = [sgd(net) for net in self.nets]
        for optimizer, rates in zip(optimizers, self.rates, strict=True):
            optimizer.register_step_pre_hook(lambda optimizer, *_, rates=rates: rates.append(optimizer.param_groups[0]["lr"]))
        return optimizers


def trainer_with(callback, max_steps=12, **options):
    return pl.Trainer(
        callbacks=[callback] if callback else [],
        max_steps=max_steps,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )


def batches(count=8):
    return DataLoader(TensorDataset(torch.arange(2.0 * count).reshape(count, 2) / 100), batch_size=1)


def fit(module, callback, max_steps=12, ckpt_path=None, **options):
    trainer = trainer_with(callback, max_steps, **options)
    trainer.fit(module, batches(), ckpt_path=ckpt_path)
    return trainer


def rates_of(module):
    return [rates[0] for rates in module.rates]


def triangular2():
    return CyclicLR("triangular2", **CYCLES)


def adam(net):
    return torch.optim.Adam(net.parameters())


def adamw_with_tensor_rate(net):
    return torch.optim.AdamW(net.parameters(), lr=torch.tensor(7.0))


def caffe_sgd(net):
    return CaffeSGD(net.parameters(), lr=7.0)


def two_groups(net):
    return torch.optim.SGD([{"params": [net.weight]}, {"params": [net.bias], "lr_mult": 2.0}], lr=7.0)


# ------------------------------------------------------------------------------------------------ the rate of a step


@pytest.mark.parametrize(
    ("policy", "settings"),
    [
        ("triangular", CYCLES),
        ("triangular2", CYCLES),
        ("exp_range", {**CYCLES, "gamma": 0.9}),
        ("fixed", {"base_lr": 0.3}),
        ("step", {"base_lr": 0.3, "drops": [5, 9]}),
        ("one_cycle", {"base_lr": 0.1, "max_lr": 0.5, "iterations": 20}),
    ],
)
def test_the_rate_of_every_step_is_that_of_the_schedule(policy, settings):
    module = Plain()
    fit(module, CyclicLR(policy, **settings), max_steps=20)
    assert rates_of(module) == named(policy, **settings)(np.arange(20)).tolist()


@pytest.mark.parametrize("make_optimizer", [sgd, adam, adamw_with_tensor_rate, caffe_sgd])
def test_any_optimizer_gets_the_rates_of_the_schedule(make_optimizer):
    module = Plain(make_optimizer)
    fit(module, triangular2())
    assert rates_of(module) == pytest.approx(RATES(np.arange(12)).tolist(), rel=1e-6)


def test_a_rate_that_is_a_tensor_stays_the_same_tensor():
    rate = torch.tensor(7.0)
    module = Plain(lambda net: torch.optim.AdamW(net.parameters(), lr=rate))
    fit(module, triangular2(), max_steps=3)
    assert module.optimizer.param_groups[0]["lr"] is rate


def test_the_weights_move_by_the_rates_of_the_schedule():
    class Slope(Plain):
        def training_step(self, batch, batch_idx):
            self.path.append(self.net.bias.item())
            return self.net.bias.sum()

    module = Slope(lambda net: torch.optim.SGD(net.parameters(), lr=7.0))
    module.path = []
    fit(module, triangular2())
    np.testing.assert_allclose(-np.diff(module.path), RATES(np.arange(11)), rtol=1e-5)


def test_a_groups_rate_is_multiplied_by_its_lr_mult():
    module = Plain(two_groups)
    fit(module, triangular2())
    np.testing.assert_allclose(module.rates, np.outer(RATES(np.arange(12)), [1, 2]), rtol=1e-12)


def test_a_groups_rate_is_multiplied_by_its_lr_mult_where_the_rate_is_a_tensor():
    def make_optimizer(net):
        return torch.optim.AdamW([{"params": [net.weight]}, {"params": [net.bias], "lr_mult": 2.0}], lr=torch.tensor(7.0))

    module = Plain(make_optimizer)
    fit(module, triangular2())
    np.testing.assert_allclose(module.rates, np.outer(RATES(np.arange(12)), [1, 2]), rtol=1e-6)


def test_a_function_of_the_iteration_is_a_policy():
    module = Plain()
    fit(module, CyclicLR(lambda iteration: 0.5 / (1 + iteration)))
    assert rates_of(module) == [0.5 / (1 + iteration) for iteration in range(12)]


@pytest.mark.parametrize("value", ["momentum", "dampening", "weight_decay", "nesterov"])
def test_nothing_but_the_rate_is_touched(value):
    module = Plain(lambda net: torch.optim.SGD(net.parameters(), lr=7.0, momentum=0.85, weight_decay=0.01, nesterov=True))
    fit(module, triangular2())
    before = {"momentum": 0.85, "dampening": 0, "weight_decay": 0.01, "nesterov": True}
    assert [groups[0][value] for groups in module.groups] == [before[value]] * 12


def test_adams_betas_are_left_alone():
    module = Plain(lambda net: torch.optim.Adam(net.parameters(), betas=(0.8, 0.95)))
    fit(module, triangular2())
    assert [groups[0]["betas"] for groups in module.groups] == [(0.8, 0.95)] * 12


# ------------------------------------------------------------------------------------------------- what an iteration is


def test_an_iteration_is_a_step_however_many_batches_it_gathers():
    module = Plain()
    trainer = fit(module, triangular2(), max_steps=-1, max_epochs=3, accumulate_grad_batches=2)
    assert trainer.global_step == 12  # of 24 batches
    assert rates_of(module) == RATES(np.arange(12)).tolist()


def test_the_last_smaller_gathering_of_an_epoch_is_an_iteration_too():
    module = Plain()
    fit(module, triangular2(), max_steps=-1, max_epochs=3, accumulate_grad_batches=3)
    assert rates_of(module) == RATES(np.arange(9)).tolist()


def test_manual_optimization_counts_the_steps_that_are_made():
    module = ByHand(3)
    fit(module, triangular2(), max_steps=-1, max_epochs=1)
    assert module.rates == [RATES(np.arange(24)).tolist()]


def test_each_of_two_optimizers_counts_its_own_steps():
    module = ByHand(1, 3)
    fit(module, triangular2(), max_steps=-1, max_epochs=1)
    assert module.rates == [RATES(np.arange(8)).tolist(), RATES(np.arange(24)).tolist()]


def test_a_long_run_keeps_to_the_schedule():
    module = ByHand(150)  # steps in each of 8 batches
    fit(module, triangular2(), max_steps=-1, max_epochs=1)
    assert module.rates == [RATES(np.arange(1200)).tolist()]


# ------------------------------------------------------------------------------------------------------- checkpoints


def checkpoint_of(module, callback, path, max_steps=5):
    fit(module, callback, max_steps=max_steps).save_checkpoint(path)
    return path


@pytest.mark.parametrize("stop", [1, 5, 8])
def test_a_resumed_training_goes_on_in_the_middle_of_a_cycle(tmp_path, stop):
    path = checkpoint_of(Plain(), triangular2(), tmp_path / "last.ckpt", max_steps=stop)
    module = Plain()
    fit(module, triangular2(), ckpt_path=path)
    assert rates_of(module) == RATES(np.arange(stop, 12)).tolist()


def test_a_training_may_be_resumed_twice(tmp_path):
    path = checkpoint_of(Plain(), triangular2(), tmp_path / "first.ckpt", max_steps=3)
    trainer = fit(Plain(), triangular2(), max_steps=7, ckpt_path=path)
    trainer.save_checkpoint(tmp_path / "second.ckpt")
    module = Plain()
    fit(module, triangular2(), ckpt_path=tmp_path / "second.ckpt")
    assert rates_of(module) == RATES(np.arange(7, 12)).tolist()


def test_a_resumed_training_ends_with_the_weights_of_an_undisturbed_one(tmp_path):
    class Still(Plain):
        """Each batch counts the same: which one a resumed epoch starts with is the loader's business."""

        def training_step(self, batch, batch_idx):
            return self.net(torch.ones(1, 2)).square().mean()

    start = Still().state_dict()

    def begin():
        module = Still(caffe_sgd)
        module.load_state_dict(start)
        return module

    undisturbed, resumed = begin(), Still(caffe_sgd)
    fit(undisturbed, triangular2())
    fit(resumed, triangular2(), ckpt_path=checkpoint_of(begin(), triangular2(), tmp_path / "last.ckpt"))
    assert not torch.equal(undisturbed.net.weight, start["net.weight"])
    assert torch.equal(undisturbed.net.weight, resumed.net.weight)
    assert torch.equal(undisturbed.net.bias, resumed.net.bias)


def test_a_checkpoint_made_without_the_callback_tells_the_iteration(tmp_path):
    path = checkpoint_of(Plain(), None, tmp_path / "last.ckpt")
    module = Plain()
    fit(module, triangular2(), ckpt_path=path)
    assert rates_of(module) == RATES(np.arange(5, 12)).tolist()


def test_two_optimizers_each_go_on_where_they_stopped(tmp_path):
    trainer = trainer_with(triangular2(), max_steps=-1, max_epochs=1)
    trainer.fit(ByHand(1, 3), batches())
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    module = ByHand(1, 3)
    trainer_with(triangular2(), max_steps=-1, max_epochs=2).fit(module, batches(), ckpt_path=tmp_path / "last.ckpt")
    assert module.rates == [RATES(np.arange(8, 16)).tolist(), RATES(np.arange(24, 48)).tolist()]


def test_a_trainer_that_fits_on_goes_on_in_the_cycle():
    module, trainer = Plain(), trainer_with(triangular2(), max_steps=5)
    trainer.fit(module, batches())
    trainer.fit_loop.epoch_loop.max_steps = 9
    trainer.fit(module, batches())
    assert rates_of(module) == RATES(np.arange(9)).tolist()


def test_a_callback_used_again_by_a_new_trainer_starts_anew():
    callback, module = triangular2(), Plain()
    fit(Plain(), callback, max_steps=5)
    fit(module, callback, max_steps=5)
    assert rates_of(module) == RATES(np.arange(5)).tolist()


def test_a_callback_used_again_after_a_resumed_training_starts_anew(tmp_path):
    callback, module = triangular2(), Plain()
    fit(Plain(), callback, ckpt_path=checkpoint_of(Plain(), triangular2(), tmp_path / "last.ckpt"))
    fit(module, callback, max_steps=5)
    assert rates_of(module) == RATES(np.arange(5)).tolist()


def test_a_trainer_that_fits_on_after_a_resumed_training_goes_on_in_the_cycle(tmp_path):
    module, trainer = Plain(), trainer_with(triangular2(), max_steps=7)
    trainer.fit(module, batches(), ckpt_path=checkpoint_of(Plain(), triangular2(), tmp_path / "last.ckpt"))
    trainer.fit_loop.epoch_loop.max_steps = 9
    trainer.fit(module, batches())
    assert rates_of(module) == RATES(np.arange(5, 9)).tolist()


class Evaluated(Plain):
    """A module that can be validated, tested and predicted with."""

    def test_step(self, batch, batch_idx):
        return self.net(batch[0]).square().mean()

    validation_step = predict_step = test_step


EVALUATIONS = pytest.mark.parametrize("evaluation", ["validate", "test", "predict"])


@EVALUATIONS
def test_a_checkpoint_that_is_evaluated_does_not_move_the_start_of_a_new_trainer(tmp_path, evaluation):
    callback, module = triangular2(), Plain()
    path = checkpoint_of(Plain(), triangular2(), tmp_path / "last.ckpt")
    getattr(trainer_with(callback), evaluation)(Evaluated(), batches(), ckpt_path=path)
    fit(module, callback, max_steps=5)
    assert rates_of(module) == RATES(np.arange(5)).tolist()


@EVALUATIONS
def test_a_checkpoint_that_is_evaluated_does_not_move_a_trainer_that_fits_on(tmp_path, evaluation):
    module, trainer = Evaluated(), trainer_with(triangular2(), max_steps=8)
    path = checkpoint_of(Plain(), triangular2(), tmp_path / "last.ckpt")
    trainer.fit(module, batches())
    getattr(trainer, evaluation)(module, batches(), ckpt_path=path)
    trainer.fit_loop.epoch_loop.max_steps = 12
    trainer.fit(module, batches())
    assert rates_of(module) == RATES(np.arange(12)).tolist()


@pytest.mark.parametrize("fails", [True, False])
def test_a_state_that_is_loaded_after_an_evaluation_counts(fails):
    callback, optimizer = triangular2(), sgd(nn.Linear(2, 1))
    with pytest.raises(RuntimeError) if fails else contextlib.nullcontext():
        trainer_with(callback).test(Evaluated(), DataLoader(torch.ones(2, 3 if fails else 2)[:, None]))
    callback.load_state_dict({"iterations": [3]})
    callback.attach(optimizer)
    assert rates_in_a_loop(optimizer, 2) == [[rate] for rate in RATES(np.arange(3, 5))]


# ------------------------------------------------------------------------------------------------ errors and tidiness


def test_a_module_with_a_scheduler_of_its_own_is_refused():
    class Scheduled(Plain):
        def configure_optimizers(self):
            optimizer = super().configure_optimizers()
            return [optimizer], [torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)]

    module = Scheduled()
    with pytest.raises(ValueError, match=r"scheduler of its own.*remove one of them"):
        fit(module, triangular2())
    assert module.rates == []


def test_a_function_takes_no_settings():
    with pytest.raises(ValueError, match=r"base_lr is a setting, but a policy given as a function takes none"):
        CyclicLR(lambda iteration: iteration, base_lr=0.1)


@pytest.mark.parametrize(
    ("policy", "settings", "words"),
    [
        ("triangel", CYCLES, "'triangel' is unknown: choose one of .*triangular2"),
        ("triangular", {**CYCLES, "max_lr": 0.05}, "max_lr=0.05 is not above base_lr=0.1"),
        ("triangular", {**CYCLES, "step_size": "0 epochs"}, "step_size='0 epochs' is less than one of the 1,000 iterations"),
        ("cosine", {"max_lr": 0.1, "iterations": "1 epoch", "warmup": "2 epochs"}, "is not below iterations="),
        ("triangular", {**CYCLES, "gamma": 0.9}, "gamma is not a setting of triangular"),
    ],
)
def test_impossible_settings_are_refused_before_any_training(policy, settings, words):
    with pytest.raises(ValueError, match=words):
        CyclicLR(policy, **settings)


def test_the_optimizer_is_let_go_after_the_training():
    module = Plain()
    fit(module, triangular2())
    module.optimizer.param_groups[0]["lr"] = 3.0
    module.optimizer.step()
    assert module.optimizer.param_groups[0]["lr"] == 3.0


def test_the_optimizer_is_let_go_after_an_error():
    module = Plain(fail_at=2)
    with pytest.raises(RuntimeError, match="out of luck"):
        fit(module, triangular2())
    module.optimizer.param_groups[0]["lr"] = 3.0
    module.optimizer.step()
    assert module.optimizer.param_groups[0]["lr"] == 3.0


# ---------------------------------------------------------------------------------------------- a loop without a Trainer


def rates_in_a_loop(optimizer, steps):
    rates = []
    for _ in range(steps):
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
    return rates


def test_a_loop_of_ones_own_gets_the_rates_of_the_schedule():
    optimizer = two_groups(nn.Linear(2, 1))
    triangular2().attach(optimizer)
    assert rates_in_a_loop(optimizer, 12) == [[rate, 2 * rate] for rate in RATES(np.arange(12))]


def test_a_loop_of_ones_own_goes_on_in_the_middle_of_a_cycle():
    before = triangular2()
    optimizer = sgd(nn.Linear(2, 1))
    before.attach(optimizer)
    rates_in_a_loop(optimizer, 5)
    optimizer = sgd(nn.Linear(2, 1))
    triangular2().attach(optimizer, *before.state_dict()["iterations"])
    assert rates_in_a_loop(optimizer, 3) == [[rate] for rate in RATES(np.arange(5, 8))]


def test_a_training_takes_over_from_a_loop():
    module, callback = Plain(), triangular2()
    callback.attach(sgd(nn.Linear(2, 1)))
    fit(module, callback)
    assert rates_of(module) == RATES(np.arange(12)).tolist()
