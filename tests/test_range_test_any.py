"""The range test that finds its own range, for modules of every kind."""

import logging
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from clrbench import LRRangeTest
from clrbench.range_test import ramping, scan
from clrbench.range_test.anchor import RULE, anchored
from clrbench.range_test.curve import Curve
from clrbench.range_test.judge import CLEAR, FIRST, NONE

LABELS = torch.arange(320) % 3
INPUTS = torch.randn(320, 4, generator=torch.Generator().manual_seed(0)) + 2 * F.one_hot(LABELS, 4)
QUICK = {"iterations": 40, "points": 10, "seeds": (1,)}


def loaders(targets: torch.Tensor = LABELS) -> tuple[DataLoader[Any], DataLoader[Any]]:
    train, validation = (TensorDataset(INPUTS[at], targets[at]) for at in (slice(0, 240), slice(240, None)))
    return DataLoader(train, 16, shuffle=True), DataLoader(validation, 80)


class Net(pl.LightningModule):
    def __init__(self, outputs: int = 3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, outputs))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.net(inputs)  # type: ignore[no-any-return]

    def training_step(self, batch: Any, batch_idx: int = 0) -> Any:
        return F.cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch: Any, batch_idx: int = 0) -> None:
        self.log("val_loss", F.cross_entropy(self(batch[0]), batch[1]))

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)


class Regression(Net):
    def __init__(self) -> None:
        super().__init__(1)

    def training_step(self, batch: Any, batch_idx: int = 0) -> Any:
        return F.mse_loss(self(batch[0]), batch[1])

    def validation_step(self, batch: Any, batch_idx: int = 0) -> None:
        self.log("val_mse", F.mse_loss(self(batch[0]), batch[1]))


class Manual(Net):
    """Two optimizers, a step every second batch, and a scheduler."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int = 0) -> Any:
        self.manual_backward(super().training_step(batch))
        if batch_idx % 2:
            for optimizer in self.optimizers():  # type: ignore[union-attr]
                optimizer.step()
                optimizer.zero_grad()
            self.lr_schedulers().step()  # type: ignore[union-attr, call-arg]

    def configure_optimizers(self) -> Any:
        first, last = (torch.optim.SGD(self.net[at].parameters(), lr=0.1) for at in (0, 2))
        return [first, last], [torch.optim.lr_scheduler.StepLR(first, 1)]


def test_without_a_range_the_break_of_a_scan_lays_the_ramp_and_max_lies_below_it() -> None:
    lines: list[str] = []
    found = LRRangeTest(iterations=100, seeds=(1, 2), say=lines.append).run(Net(), *loaders())
    assert found.bounds.rule == RULE
    assert found.bounds.max_lr == pytest.approx(4 * (found.bounds.base_lr or 0))
    assert 0.01 < (found.bounds.max_lr or 0) < max(found.curves[0].rates)
    assert found.steps > 200
    assert "training breaks after" in " ".join(found.bounds.reasons)
    assert "1 of 3 trainings" in lines[0]
    assert "left" in lines[-1]


def test_a_metric_of_validation_step_scores_what_has_no_accuracy() -> None:
    targets = INPUTS.sum(1, keepdim=True)
    with pytest.raises(ValueError, match="pass monitor="):
        LRRangeTest(**QUICK, high=0.1).run(Regression(), *loaders(targets))  # type: ignore[arg-type]
    test = LRRangeTest(iterations=100, seeds=(1,))
    found = test.run(Regression(), *loaders(targets), monitor="val_mse")
    assert found.bounds.max_lr is not None
    assert found.curves[0].monitor == "val_mse"
    with pytest.raises(ValueError, match=r"monitor=val_loss is not logged: validation_step logs val_mse"):
        test.run(Regression(), *loaders(targets), monitor="val_loss")


def test_a_datamodule_is_taken_with_a_metric() -> None:
    class Data(pl.LightningDataModule):
        def train_dataloader(self) -> DataLoader[Any]:
            return loaders()[0]

        def val_dataloader(self) -> DataLoader[Any]:
            return loaders()[1]

    assert len(LRRangeTest(**QUICK, high=0.1).run(Net(), Data(), monitor="val_loss").curves[0].rates) == 10  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="pass monitor="):
        LRRangeTest(**QUICK, high=0.1).run(Net(), Data())  # type: ignore[arg-type]


@pytest.mark.parametrize("settings", [{"monitor": "val_loss"}, {}])
def test_manual_optimization_with_two_optimizers_goes_to_the_end_of_the_ramp(settings: dict[str, str]) -> None:
    curve = LRRangeTest(**QUICK, high=0.4).run(Manual(), *loaders(), **settings).curves[0]  # type: ignore[arg-type]
    assert 0.38 <= curve.rates[-1] <= 0.39  # a reading falls on every fourth batch, a step on every second of an epoch


def test_accumulation_and_clipping_are_the_trainers() -> None:
    trainer = {"accumulate_grad_batches": 2, "gradient_clip_val": 1.0}
    found = LRRangeTest(**QUICK, high=0.4, trainer=trainer).run(Net(), *loaders(), monitor="val_loss")  # type: ignore[arg-type]
    # 15 batches make 8 steps, the last of them of a single batch: the ramp of 40 steps has 75 batches.
    assert found.curves[0].rates == pytest.approx(0.4 * (np.arange(4, 41, 4) - 1) / 40, abs=0.021)
    assert 0.35 < found.curves[0].rates[-1] < 0.4


def test_groups_keep_their_ratio_and_the_answer_says_whose_rates_it_gives() -> None:
    class Groups(Net):
        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(
                [{"params": self.net[0].parameters(), "lr": 0.01}, {"params": self.net[2].parameters()}], lr=0.1
            )

    reasons = " ".join(LRRangeTest(**QUICK).run(Groups(), *loaders()).bounds.reasons)  # type: ignore[arg-type]
    assert "Parameter groups keep their ratios (0.1, 1): the rates are of the group with 1." in reasons


def streamed() -> Any:
    class Stream(IterableDataset[Any]):
        def __iter__(self) -> Iterator[Any]:
            return zip(INPUTS, LABELS, strict=True)

    return DataLoader(Stream(), 16)


@pytest.mark.parametrize("train", [loaders()[0], streamed()])
def test_a_scheduler_may_be_made_of_the_length_of_training(train: DataLoader[Any]) -> None:
    class Asking(Net):
        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
            steps, epochs = int(self.trainer.estimated_stepping_batches), self.trainer.max_epochs
            return [optimizer], [
                torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=steps, cycle_momentum=False),
                torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, epochs=epochs, steps_per_epoch=15, cycle_momentum=False),
            ]

    curve = LRRangeTest(**QUICK, high=0.4).run(Asking(), train, loaders()[1]).curves[0]  # type: ignore[arg-type]
    assert curve.rates[-1] == pytest.approx(0.39)


def test_a_ramp_that_needs_too_much_room_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ramping, "_ROOM", 1)
    with pytest.raises(ValueError, match="the ramp had made 20 of 40 steps when it had taken 40 epochs, or 40 steps"):
        LRRangeTest(**QUICK, high=0.4).run(Manual(), *loaders())  # type: ignore[arg-type]


@pytest.mark.parametrize(("first", "said"), [(0.01, True), (0.1, False)])
def test_groups_keep_the_ratio_of_their_own_rates_whatever_a_scheduler_has_made_of_them(first: float, said: bool) -> None:
    class Warmed(Net):
        def configure_optimizers(self) -> Any:
            groups = [{"params": self.net[0].parameters(), "lr": first}, {"params": self.net[2].parameters(), "lr": 0.1}]
            optimizer = torch.optim.SGD(groups)
            warm_up = torch.optim.lr_scheduler.LambdaLR(optimizer, [lambda step: min(1, step / 9), lambda step: 1.0])
            return [optimizer], [warm_up]

    reasons = " ".join(LRRangeTest(**QUICK, high=0.4).run(Warmed(), *loaders()).bounds.reasons)  # type: ignore[arg-type]
    assert ("Parameter groups keep their ratios (0.1, 1)" in reasons) == said
    assert "(0, 1)" not in reasons


def test_a_ramp_trains_with_the_modules_own_momentum_whatever_its_scheduler_makes_of_it() -> None:
    seen: set[float] = set()

    class Cycled(Net):
        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.3)
            return [optimizer], [torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=1000)]

        def on_train_batch_end(self, *_: Any) -> None:
            seen.add(self.trainer.optimizers[0].param_groups[0]["momentum"])

    LRRangeTest(**QUICK, high=0.4).run(Cycled(), *loaders())  # type: ignore[arg-type]
    assert seen == {0.3}


class Uncopied(Net):
    """Holds what cannot be copied, a part in eval mode, a callback that would fail, and a number that training changes."""

    def __init__(self) -> None:
        super().__init__()
        self.words = (word for word in "abc")
        self.seen = 0
        self.frozen = torch.nn.BatchNorm1d(4).eval()
        self.modes: list[bool] = []

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.net(self.frozen(inputs))  # type: ignore[no-any-return]

    def training_step(self, batch: Any, batch_idx: int = 0) -> Any:
        self.seen += 1
        self.modes.append(self.frozen.training)
        self.logger.experiment.add_scalar("x", 1.0, batch_idx)  # type: ignore[union-attr]
        return super().training_step(batch)

    def configure_callbacks(self) -> Any:
        return [EarlyStopping("missing")]


@pytest.mark.parametrize("settings", [{"monitor": "val_loss"}, {}])
def test_a_module_that_cannot_be_copied_is_put_back_as_it_was(settings: dict[str, str]) -> None:
    module = Uncopied()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    names, level = set(vars(module)), logging.getLogger("pytorch_lightning").level
    generator = torch.Generator().manual_seed(3)
    state = generator.get_state()
    train = DataLoader(loaders()[0].dataset, 16, shuffle=True, generator=generator)
    one, other = (LRRangeTest(**QUICK, high=0.4).run(module, train, loaders()[1], **settings) for _ in range(2))  # type: ignore[arg-type]
    assert one.curves[0].accuracies.tolist() == other.curves[0].accuracies.tolist()
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert (module.seen, module.modes, set(vars(module))) == (0, [], names)
    assert module.training
    assert not module.frozen.training
    assert all(weight.grad is None for weight in module.parameters())
    assert torch.equal(generator.get_state(), state)
    assert logging.getLogger("pytorch_lightning").level == level


def test_parts_in_eval_mode_stay_so_on_the_way() -> None:
    modes: list[bool] = []

    class Frozen(Net):
        def __init__(self) -> None:
            super().__init__()
            self.norm = torch.nn.BatchNorm1d(4).eval()

        def training_step(self, batch: Any, batch_idx: int = 0) -> Any:
            modes.append(self.norm.training)
            return super().training_step(batch)

    LRRangeTest(**QUICK, high=0.1).run(Frozen(), *loaders())  # type: ignore[arg-type]
    assert not any(modes)
    assert len(modes) == 40


def batches() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for at in range(0, 240, 16):
        yield INPUTS[at : at + 16], LABELS[at : at + 16]


class Once:
    """Gives its batches in one epoch alone."""

    def __init__(self) -> None:
        self._left = batches()

    def __iter__(self) -> Iterator[Any]:
        yield from self._left


def test_generators_are_gone_through_again_and_empty_loaders_are_refused() -> None:
    test = LRRangeTest(**QUICK, high=0.1)  # type: ignore[arg-type]
    assert len(test.run(Net(), batches(), batches()).curves[0].rates) == 10
    with pytest.raises(ValueError, match="the validation loader gives no batch"):
        test.run(Net(), loaders()[0], [])
    with pytest.raises(ValueError, match="the training loader gives no batch: give it data"):
        test.run(Net(), [], loaders()[1])
    with pytest.raises(ValueError, match="it ends after one epoch"):
        test.run(Net(), Once(), loaders()[1])


@pytest.mark.parametrize("kind", [lambda train: {"a": train}, lambda train: [train, train], lambda train: (train,)])
def test_several_training_loaders_are_refused(kind: Callable[[Any], Any]) -> None:
    train, validation = loaders()
    with pytest.raises(ValueError, match=r"train_loader is a (dict|list|tuple) of loaders: give one loader"):
        LRRangeTest().run(Net(), kind(train), validation)


@pytest.mark.parametrize("kind", [lambda one: {"a": one}, lambda one: [one, one]])
@pytest.mark.parametrize("settings", [{"monitor": "val_loss"}, {}])
def test_several_validation_loaders_are_refused(kind: Callable[[Any], Any], settings: dict[str, str]) -> None:
    train, validation = loaders()
    with pytest.raises(ValueError, match=r"val_loader is a (dict|list) of loaders: give one loader, or, in the place of both"):
        LRRangeTest().run(Net(), train, kind(validation), **settings)  # type: ignore[arg-type]


def test_a_score_that_is_no_function_is_refused() -> None:
    with pytest.raises(ValueError, match="evaluate=3 is no function of the module"):
        LRRangeTest().run(Net(), *loaders(), evaluate=3)  # type: ignore[arg-type]


class Frozen(Net):
    def __init__(self) -> None:
        super().__init__()
        self.requires_grad_(False)


class Optimizerless(Net):
    def configure_optimizers(self) -> None:
        return None


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (Frozen, "all weights that the module's optimizers have are frozen"),
        (Optimizerless, "returns no optimizer that has a rate"),
    ],
)
def test_a_module_of_which_nothing_is_trained_is_refused_at_once(module: Callable[[], Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        LRRangeTest().run(module(), *loaders())


def test_any_batches_validate_a_metric_and_none_are_refused() -> None:
    test = LRRangeTest(**QUICK, high=0.1)  # type: ignore[arg-type]
    for validation in (list(loaders()[1]), iter(list(loaders()[1]))):
        assert len(test.run(Net(), loaders()[0], validation, monitor="val_loss").curves[0].rates) == 10
    with pytest.raises(ValueError, match="there is no val_loader: validation_step"):
        test.run(Net(), loaders()[0], monitor="val_loss")


def test_what_training_alone_logs_is_no_score() -> None:
    class Logging(Net):
        def training_step(self, batch: Any, batch_idx: int = 0) -> Any:
            loss = super().training_step(batch, batch_idx)
            self.log("train_loss", loss)
            return loss

    with pytest.raises(ValueError, match="monitor=train_loss is not logged: validation_step logs val_loss"):
        LRRangeTest(**QUICK, high=0.1).run(Logging(), *loaders(), monitor="train_loss")  # type: ignore[arg-type]


class Often(Manual):
    """Steps twice a batch, as a critic does."""

    def training_step(self, batch: Any, batch_idx: int = 0) -> Any:
        for _ in range(2):
            super().training_step(batch, 1)


class Closed(Net):
    """Keeps a function of itself, which copies of it share."""

    def __init__(self) -> None:
        super().__init__()
        self.scores = lambda inputs: 2 * self.net(inputs)

    def forward(self, inputs: Any) -> Any:
        return self.scores(inputs)


def test_a_module_whose_copies_compute_with_its_own_weights_is_refused_and_left_as_it_was() -> None:
    module = Closed()
    with pytest.raises(ValueError, match="as where __init__ keeps a lambda that names self: make that a method"):
        LRRangeTest(**QUICK, high=0.1).run(module, *loaders())  # type: ignore[arg-type]
    assert all(weight.grad is None for weight in module.parameters())


def test_labels_that_are_no_class_are_refused() -> None:
    inputs, labels = next(iter(loaders()[1]))
    labels[0] = -100  # which the loss would ignore
    with pytest.raises(ValueError, match=r"labels are from -100 to \d, and module\(inputs\) scores the classes 0 to \d"):
        LRRangeTest(**QUICK, high=0.1).run(Net(), loaders()[0], [(inputs, labels)])  # type: ignore[arg-type]


def test_more_steps_than_batches_are_refused() -> None:
    with pytest.raises(ValueError, match="2 optimizer steps in 1 batches: a range test reads one a batch at most"):
        LRRangeTest(**QUICK, high=0.1).run(Often(), *loaders())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"trainer": {"max_epochs": 2}}, "'max_epochs': ...} is what a range test sets itself"),
        ({"trainer": {"callbacks": []}}, "'callbacks': ...} is what a range test sets itself"),
        ({"trainer": {"accumulate_grad_batches": {0: 1}}}, "'accumulate_grad_batches': {0: 1}} is impossible: it must be"),
        ({"trainer": {"accumulate_grad_batches": 0}}, "'accumulate_grad_batches': 0} is impossible"),
        ({"trainer": None}, "trainer=None is no mapping"),
        ({"points": True}, "points=True is impossible"),
        ({"seeds": 3}, "seeds=3 is no list"),
        ({"seeds": "12"}, "seeds='12' is no list"),
        ({"seeds": (seed for seed in (1, 2))}, "is no list"),
        ({"seeds": (1, 2, 1)}, "seeds=(1, 2, 1) names 1 more than once"),
        ({"seeds": (0, -1)}, "seeds=(0, -1) holds -1: a seed is a whole number of at least 0"),
        ({"seeds": (1.5,)}, "holds 1.5"),
        ({"iterations": 200.0}, "iterations=200.0 is no length"),
        ({"iterations": 0}, "iterations=0 is no length"),
        ({"iterations": "0 epochs"}, "iterations=0 epochs is no length"),
        ({"iterations": "2 epochs", "points": 0}, "points=0 is impossible"),
        ({"points": 2.5}, "points=2.5 is impossible: it must be a whole number"),
        ({"high": 0.0}, "max_lr=0.0 is not above min_lr=0.0"),
    ],
)
def test_settings_that_a_ramp_cannot_have_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        LRRangeTest(**settings)


def test_several_processes_are_refused() -> None:
    with pytest.raises(ValueError, match="trains on one device"):
        LRRangeTest(trainer={"devices": 2})


def test_a_loss_that_is_no_number_at_the_start_is_told_as_such() -> None:
    class Nan(Net):
        def training_step(self, batch: Any, batch_idx: int = 0) -> Any:
            return super().training_step(batch) * math.nan

    bounds = LRRangeTest(**QUICK).run(Nan(), *loaders()).bounds  # type: ignore[arg-type]
    assert bounds.verdict == NONE
    assert "check the data and the loss" in bounds.reasons[0]


@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_metric_that_is_never_finite_is_told_as_such(mode: str) -> None:
    class Nan(Net):
        def validation_step(self, batch: Any, batch_idx: int = 0) -> None:
            self.log("val_loss", torch.tensor(math.nan))

    bounds = LRRangeTest(**QUICK, high=0.4).run(Nan(), *loaders(), monitor="val_loss", mode=mode).bounds  # type: ignore[arg-type]
    assert bounds.verdict == NONE
    assert "In 1 of 1 ramps val_loss was never finite, from the first reading on, at 0.03" in bounds.reasons[-1]
    assert "check the data and what validation_step logs" in bounds.reasons[-1]


@pytest.mark.parametrize(("share", "is_told"), [(0.9, True), (0.5, False)])
def test_a_class_that_is_far_larger_than_others_is_told_with_its_share(share: float, is_told: bool) -> None:
    labels = (torch.rand(320, generator=torch.Generator().manual_seed(1)) > share).long()
    labels[240:] = (torch.arange(80) >= 80 * share).long()
    reasons = " ".join(LRRangeTest(**QUICK, high=0.1).run(Net(2), *loaders(labels)).bounds.reasons)  # type: ignore[arg-type]
    assert ("The largest class has 90% of the validation labels (of equal ones: 50%)" in reasons) == is_told


@pytest.mark.parametrize(("scale", "is_told"), [(1.0, False), (1e4, True)])
def test_a_loss_of_thousands_is_told(scale: float, is_told: bool) -> None:
    _, told = scan.end_of_ramp(np.geomspace(1e-7, 100, 180).tolist(), [scale] * 180)
    assert ("The loss starts at 1e+04" in told[0]) == is_told


def test_epochs_are_a_length_and_fractions_an_accuracy() -> None:
    test = LRRangeTest(iterations="2 epochs", high=1.0, points=5, seeds=(1,))
    curve = test.run(Net(), *loaders(), evaluate=lambda module: (0.5, 1.0, 3)).curves[0]
    assert curve.rates[-1] == pytest.approx(29 / 30)
    assert set(curve.accuracies) == {50.0}
    with pytest.raises(ValueError, match="is no length"):
        LRRangeTest(iterations="long")
    with pytest.raises(
        ValueError, match="points=20 is impossible: it must be a whole number from 1 to the 15 steps of the ramp"
    ):
        LRRangeTest(iterations="1 epochs").run(Net(), *loaders())


# The scan and the rule, by themselves


@pytest.mark.parametrize("scale", [1.0, 5000.0])
@pytest.mark.parametrize("blow", [lambda excess: 3 * excess, lambda excess: np.where(excess > 0, np.nan, 0)])
def test_a_scan_finds_where_the_loss_leaves_what_it_gained(scale: float, blow: Callable[[Any], Any]) -> None:
    rates = np.geomspace(1e-7, 100, 180)
    losses = 2.3 - np.clip(0.5 * np.log10(rates / 1e-4), 0, 1.5) + blow(np.clip(np.log10(rates / 0.1), 0, None))
    losses = scale * (losses + 0.02 * np.random.default_rng(0).standard_normal(180))
    ends = [at for at in range(1, 181) if scan.has_broken(losses[:at].tolist())]
    assert ends[0] < 170
    assert 0.03 < (scan.breaks_at(rates[: ends[0]].tolist(), losses[: ends[0]].tolist()) or 0) < 1.0


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_rule_scales_with_the_rates_and_its_interval_has_the_form_of_the_ramp(scale: float) -> None:
    rates = np.linspace(0, 1, 21)[1:]
    values = (np.log(rates) - math.log(0.4)) ** 2
    found = anchored([Curve(scale * rates, values, np.full(20, np.nan), None, "val_loss", "min")])
    assert found.max_lr == pytest.approx(0.2 * scale, rel=0.15)
    low, high = found.max_interval or (0, 0)
    assert high / low > 1.5**2
    assert found.verdict == CLEAR


def test_scores_that_do_not_improve_show_no_bounds() -> None:
    rates = np.linspace(0, 1, 21)[1:]
    noise = np.random.default_rng(0).standard_normal(20)
    found = anchored([Curve(rates, 1 + 0.01 * noise, np.full(20, np.nan), None, "val_loss", "min")])
    assert found.verdict == NONE
    assert "trained already" in found.reasons[0]


def test_the_papers_rules_are_chosen_by_name() -> None:
    found = LRRangeTest(high=1.0, iterations=100, seeds=(1,)).run(Net(), *loaders())
    assert found.bounds.rule in (FIRST, "third")
    assert "Assumed: the range 0 to 1, linear" in " ".join(found.bounds.reasons)
    with pytest.raises(ValueError, match="rule=half is unknown"):
        LRRangeTest(rule="half")


def test_a_picture_names_the_metric_and_both_ends_of_the_axis(tmp_path: Path) -> None:
    found = LRRangeTest(**QUICK, high=0.4).run(Net(), *loaders(), monitor="val_loss")  # type: ignore[arg-type]
    found.picture(tmp_path / "found.svg")
    assert "val_loss" in (tmp_path / "found.svg").read_text()
