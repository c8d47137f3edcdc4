"""The callback under both of Lightning's packages, and beside other frameworks, where these are installed."""

import gc
import importlib
import warnings
import weakref

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from clrbench import CyclicLR
from clrbench.schedules import named

CYCLES = {"base_lr": 0.1, "max_lr": 0.5, "step_size": 4}
RATES = named("triangular2", **CYCLES)
QUIET = {
    "accelerator": "cpu",
    "devices": 1,
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


@pytest.fixture(params=["pytorch_lightning", "lightning.pytorch"])
def package(request):
    """Lightning, under each of its names that is installed."""
    return pytest.importorskip(request.param, reason=f"{request.param} is not installed")


def triangular2(**changed):
    return CyclicLR("triangular2", **{**CYCLES, **changed})


def loader():
    return DataLoader(TensorDataset(torch.ones(8, 2)), batch_size=1)


def make_module(package, optimizers=None, steps=None):
    """A module that notes the rates of its optimizers' groups within their steps. steps: of each optimizer, by hand."""

    class Module(package.LightningModule):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Linear(2, 2), nn.Linear(2, 1)
            self.automatic_optimization = steps is None
            self.used = []

        def training_step(self, batch, batch_idx):
            if steps is None:
                return self.head(self.body(batch[0])).square().mean()
            for optimizer, number in zip(self.optimizers(use_pl_optimizer=True), steps, strict=True):
                for _ in range(number):
                    optimizer.step()
            return None

        def configure_optimizers(self):
            made = optimizers(self) if optimizers else [torch.optim.SGD(self.parameters(), lr=7.0)]
            self.rates = [[] for _ in made]
            for optimizer, rates in zip(made, self.rates, strict=True):
                self.note(optimizer, rates)
            return made

        def note(self, optimizer, rates):
            optimizer.register_step_pre_hook(
                lambda optimizer, *_: rates.append([float(group["lr"]) for group in optimizer.param_groups])
            )

        def on_before_optimizer_step(self, optimizer):
            self.used.append([float(group["lr"]) for group in optimizer.param_groups])

        def train_dataloader(self):
            return loader()

    return Module()


def two_optimizers(module):
    return [torch.optim.SGD(module.body.parameters(), lr=7.0), torch.optim.SGD(module.head.parameters(), lr=7.0)]


def fit(package, module, callbacks, epochs=1, **options):
    trainer = package.Trainer(callbacks=callbacks, max_epochs=epochs, **{**QUIET, **options})
    trainer.fit(module)
    return trainer


def column(rates):
    return [rate for (rate,) in rates]


pytestmark = pytest.mark.filterwarnings(
    "ignore:.*(does not have many workers|litlogger|GPU available|log_every_n_steps|LeafSpec|No seed|deprecated).*"
)


# ------------------------------------------------------------------------------------------------- both packages


@pytest.mark.parametrize("among", [lambda callback: callback, lambda callback: [callback]])
def test_it_works_alone_and_in_a_list(package, among):
    module = make_module(package)
    fit(package, module, among(triangular2()))
    assert column(module.used) == RATES(np.arange(8)).tolist()


@pytest.mark.parametrize("key", ["init_args", "dict_kwargs"])
def test_lightning_cli_gives_it_its_settings(package, key, monkeypatch):
    monkeypatch.setattr("sys.argv", ["program"])
    pytest.importorskip("jsonargparse", reason="LightningCLI needs jsonargparse[signatures]")
    cli = importlib.import_module(f"{package.__name__}.cli")
    callback = {"class_path": "clrbench.CyclicLR", "init_args": {"policy": "triangular2"}}
    callback.setdefault(key, {}).update(CYCLES)
    arguments = {"fit": {"trainer": {"max_epochs": 1, "callbacks": [callback], **QUIET}}, "subcommand": "fit"}
    module = type(make_module(package))
    done = cli.LightningCLI(module, args=arguments, save_config_callback=None)
    assert column(done.model.used) == RATES(np.arange(8)).tolist()


def test_a_checkpoint_of_one_policy_tells_the_iteration_to_another(package, tmp_path):
    fit(package, make_module(package), [triangular2()]).save_checkpoint(tmp_path / "one.ckpt")
    module = make_module(package)
    trainer = package.Trainer(max_epochs=2, callbacks=[CyclicLR("triangular", **CYCLES)], **QUIET)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(module, ckpt_path=tmp_path / "one.ckpt")
    assert column(module.used) == named("triangular", **CYCLES)(np.arange(8, 16)).tolist()


def test_a_length_in_epochs_is_that_of_the_training(package):
    module = make_module(package)
    fit(package, module, triangular2(step_size="2 epochs"), epochs=6, accumulate_grad_batches=4)
    assert column(module.used) == RATES(np.arange(12)).tolist()


def test_settings_that_only_a_long_epoch_makes_possible_are_checked_with_the_one_of_the_training(package):
    module, callback = make_module(package), CyclicLR("cosine", max_lr=0.1, iterations="2 epochs", warmup=2500)
    with pytest.raises(ValueError, match=r"warmup=2500 is not below iterations=\d+: lower it"):
        fit(package, module, callback)
    assert module.used == []


@pytest.mark.parametrize("batches", [True, 3])
@pytest.mark.parametrize(
    ("policy", "settings"),
    [
        ("triangular2", {"base_lr": 0.1, "max_lr": 0.5, "step_size": "0.1 epochs"}),
        ("cosine", {"max_lr": 0.1, "iterations": "1 epoch", "warmup": "0.1 epochs"}),
    ],
)
def test_fast_dev_run_takes_all_lengths_that_a_training_takes(package, policy, settings, batches):
    module, callback = make_module(package), CyclicLR(policy, **settings)
    package.Trainer(callbacks=callback, fast_dev_run=batches, **QUIET).fit(module)
    assert column(module.used) == callback.schedule(np.arange(int(batches))).tolist()


def test_fast_dev_run_refuses_a_length_that_a_training_refuses(package):
    module = make_module(package, two_optimizers, steps=(1, 1))
    with pytest.raises(ValueError, match=r"step_size='2 epochs': nothing here says how many steps an epoch has"):
        package.Trainer(callbacks=triangular2(step_size="2 epochs"), fast_dev_run=True, **QUIET).fit(module)


def test_a_length_in_epochs_is_refused_where_the_module_makes_the_steps(package):
    with pytest.raises(ValueError, match=r"step_size='2 epochs': nothing here says how many steps an epoch has"):
        fit(package, make_module(package, two_optimizers, steps=(1, 1)), triangular2(step_size="2 epochs"))


@pytest.mark.filterwarnings("ignore:CyclicLR keeps the ratio")
def test_groups_keep_the_ratio_of_their_rates(package):
    def discriminative(module):
        groups = [{"params": module.body.parameters(), "lr": 1e-4}, {"params": module.head.parameters(), "lr": 1e-3}]
        return [torch.optim.SGD(groups)]

    module = make_module(package, discriminative)
    fit(package, module, triangular2())
    np.testing.assert_allclose(module.used, np.outer(RATES(np.arange(8)), [0.1, 1]), rtol=1e-12)


def test_optimizers_whose_own_rates_differ_are_told_once_that_they_get_the_same(package, tmp_path):
    def discriminative(module):
        return [torch.optim.SGD(part.parameters(), lr=lr) for part, lr in ((module.body, 0.1), (module.head, 0.01))]

    def told_by(epochs, **options):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            trainer = package.Trainer(callbacks=triangular2(), max_epochs=epochs, **QUIET)
            trainer.fit(make_module(package, discriminative, steps=(1, 1)), **options)
            trainer.save_checkpoint(tmp_path / "last.ckpt")
        return [str(line.message) for line in told if "whose own rates are 0.1 (SGD), 0.01 (SGD)" in str(line.message)]

    assert len(told_by(epochs=1)) == 1
    assert told_by(epochs=2, ckpt_path=tmp_path / "last.ckpt") == []


@pytest.mark.parametrize(("lr", "share"), [(10.0, 1), (None, 0.1)])
@pytest.mark.filterwarnings("ignore:CyclicLR. group")
def test_a_group_that_is_unfrozen_makes_no_step_at_a_rate_of_its_own(package, lr, share):
    class Unfreeze(package.callbacks.BaseFinetuning):
        def freeze_before_training(self, module):
            self.freeze(module.body)

        def finetune_function(self, module, epoch, optimizer):
            if epoch == 1:
                self.unfreeze_and_add_param_group(module.body, optimizer, lr=lr)

    module = make_module(package, lambda module: [torch.optim.SGD(module.head.parameters(), lr=7.0)])
    fit(package, module, [triangular2(), Unfreeze()], epochs=2)
    np.testing.assert_allclose(module.used[8:], np.outer(RATES(np.arange(8, 16)), [1, share]), rtol=1e-12)


# -------------------------------------------------------------------------------------------- others who set rates


def test_weight_averaging_with_rates_of_its_own_is_refused(package):
    averaging = package.callbacks.StochasticWeightAveraging(swa_lrs=0.05)
    with pytest.raises(ValueError, match="StochasticWeightAveraging sets rates of its own, as CyclicLR does: remove one"):
        fit(package, make_module(package), [triangular2(), averaging])


def test_fine_tuning_with_rates_of_its_own_is_refused(package):
    module = make_module(package, lambda module: [torch.optim.SGD(module.head.parameters(), lr=7.0)])
    module.backbone = module.body
    with pytest.raises(ValueError, match="BackboneFinetuning sets rates of its own, as CyclicLR does: remove one"):
        fit(package, module, [triangular2(), package.callbacks.BackboneFinetuning()])


def test_a_scheduler_that_comes_during_the_training_is_refused(package):
    class Late(package.Callback):
        def on_train_epoch_start(self, trainer, module):
            if trainer.current_epoch == 1:
                scheduler = torch.optim.lr_scheduler.ExponentialLR(trainer.optimizers[0], 0.9)
                config = importlib.import_module(f"{package.__name__}.utilities.types").LRSchedulerConfig(scheduler)
                trainer.strategy.lr_scheduler_configs.append(config)

    module = make_module(package)
    with pytest.raises(ValueError, match=r"a learning-rate scheduler of its own, ExponentialLR"):
        fit(package, module, [Late(), triangular2()], epochs=3)
    assert len(module.used) == 8


def test_two_that_want_one_optimizer_are_refused_and_two_with_an_optimizer_each_are_not(package):
    with pytest.raises(ValueError, match=r"another CyclicLR drives this SGD.*CyclicLR\(..., optimizer=0\)"):
        fit(package, make_module(package), [triangular2(), CyclicLR("fixed", base_lr=0.3)])
    module = make_module(package, two_optimizers, steps=(1, 2))
    fit(package, module, [triangular2(optimizer=1), CyclicLR("fixed", base_lr=0.3, optimizer=0)])
    used = [rates[1:] for rates in module.rates]  # noted before the hook of the callback, so of the first step too early
    assert [column(rates) for rates in used] == [[0.3] * 7, RATES(np.arange(1, 16)).tolist()]


def test_an_optimizer_that_does_not_exist_is_refused(package):
    with pytest.raises(ValueError, match="optimizer=1 does not exist: the module has 1, counted from 0"):
        fit(package, make_module(package), triangular2(optimizer=1))


@pytest.mark.parametrize("made", [[], None])
def test_a_module_without_an_optimizer_is_refused(package, made):
    module = make_module(package, steps=())
    module.configure_optimizers = lambda: made
    with pytest.raises(ValueError, match="returns no optimizer that has a rate, so that CyclicLR has none to set"):
        fit(package, module, triangular2())


# ------------------------------------------------------------------------------------- what lasts, and what does not


def test_an_optimizer_that_takes_anothers_place_goes_on_in_the_cycle(package):
    class Replace(package.Callback):
        def on_train_epoch_start(self, trainer, module):
            if trainer.current_epoch == 1:
                trainer.strategy.optimizers = [torch.optim.Adam(module.parameters(), lr=3.0)]

    module = make_module(package)
    fit(package, module, [Replace(), triangular2()], epochs=2)
    assert column(module.used) == RATES(np.arange(16)).tolist()


def test_nothing_is_kept_alive_after_the_training(package):
    callback = triangular2()

    def train():
        module = make_module(package)
        return [weakref.ref(made) for made in (fit(package, module, callback), module, module.head.weight)]

    references = train()
    gc.collect()
    assert [reference() for reference in references] == [None] * 3


def test_a_callback_used_again_takes_the_count_of_the_new_trainers_checkpoint(package, tmp_path):
    fit(package, make_module(package), []).save_checkpoint(tmp_path / "plain.ckpt")  # 8 steps
    callback, module = triangular2(), make_module(package)
    fit(package, make_module(package), callback, epochs=3)
    trainer = package.Trainer(max_epochs=2, callbacks=[callback], **QUIET)
    trainer.fit(module, ckpt_path=tmp_path / "plain.ckpt")
    assert column(module.used) == RATES(np.arange(8, 16)).tolist()


def test_a_training_without_a_step_that_could_be_counted_is_told(package):
    with pytest.warns(UserWarning, match=r"CyclicLR counted no step of SGD in this fit, and its rate stood still") as told:
        fit(package, make_module(package, two_optimizers, steps=(1, 0)), triangular2())
    assert len([warning for warning in told if "counted no step" in str(warning.message)]) == 1


# ---------------------------------------------------------------------------------------------- other frameworks


def test_an_optimizer_prepared_by_accelerate_is_driven():
    accelerate = pytest.importorskip("accelerate", reason="accelerate is not installed")
    net = nn.Linear(2, 1)
    net, optimizer = accelerate.Accelerator(cpu=True).prepare(net, torch.optim.SGD(net.parameters(), lr=7.0))
    triangular2().attach(optimizer)
    rates = []
    for _ in range(6):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
    assert rates == RATES(np.arange(6)).tolist()


@pytest.mark.parametrize("name", ["lightning_fabric", "lightning.fabric"])
def test_an_optimizer_set_up_by_fabric_is_driven(name):
    fabric = pytest.importorskip(name, reason=f"{name} is not installed").Fabric(accelerator="cpu", devices=1)
    net = nn.Linear(2, 1)
    net, optimizer = fabric.setup(net, torch.optim.SGD(net.parameters(), lr=7.0))
    triangular2().attach(optimizer)
    rates = []
    for _ in range(6):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
    assert rates == RATES(np.arange(6)).tolist()
