"""The range test for any LightningModule, outside of the suite's configurations and records."""

import itertools
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import DataLoader

from clrbench.range_test import scan
from clrbench.range_test.anchor import RULE, anchored, refused
from clrbench.range_test.curve import Curve
from clrbench.range_test.judge import FIRST, RULES, FoundBounds, judge
from clrbench.range_test.laying import laid
from clrbench.range_test.ramping import Policy, Ramp, climb
from clrbench.range_test.score import Accuracy, Evaluate, Metric
from clrbench.schedules import named
from clrbench.seeds import fault_of_seeds
from clrbench.settings import COUNT, for_some_epoch, iterations_of

_OWN_STEPS, _PAPERS_STEPS = 200, 1000
# By the paper's rules, ranges and lengths of one problem gave max_lr from 0.0021 to 0.036 (docs/range_test.md).
_OTHER_RANGES = 3.0
# What it sets itself of Lightning's Trainer.
_SET_HERE = (
    *("callbacks", "max_steps", "max_epochs", "max_time", "min_steps", "min_epochs", "limit_train_batches", "fast_dev_run"),
    *("overfit_batches", "val_check_interval", "check_val_every_n_epoch"),
)
# With more classes than this a share of 1 percent would be no fraction, but what guessing gives.
_CLASSES = 100


@dataclass(frozen=True)
class Found:
    """What a range test found: the bounds, a curve a seed, and how many optimizer steps it took in all.

    classes: how many, where accuracy was measured.
    """

    bounds: FoundBounds
    curves: Sequence[Curve]
    steps: int = 0
    classes: int | None = None

    def picture(self, path: str | Path) -> None:
        """Draw curves, bounds and reasons to `path`, an .svg or .png file."""
        from clrbench.range_test.picture import draw

        draw(self.curves, self.bounds, "range test", Path(path), self.classes)


@dataclass(frozen=True)
class LRRangeTest:
    """Find base_lr and max_lr for a LightningModule.

        found = LRRangeTest().run(module, train_loader, val_loader)
        print(found.bounds)
        found.picture("range_test.svg")

    By itself it scans for the rate at which training breaks, and lays a linear ramp up to there. low, high: the ends of
    a ramp instead, as in the paper (section 3.3), `linear` in the iteration, or `exponential`, which needs a `low` above 0.
    iterations: the length of the ramp, in optimizer steps or as '2 epochs'; by default 200, or 1,000 where `high` is given.
    points: how often it is evaluated. seeds: one ramp each; a seed decides the order of a shuffling loader and whatever the
    module draws, while all start from the module's own weights. rule: `best` (see `range_test.anchor`), by default where the
    range is chosen here and wherever accuracy is not known; else one of the paper's, see `range_test.judge`. trainer:
    settings of Lightning's Trainer, as accumulate_grad_batches, gradient_clip_val, precision, accelerator; devices is 1, or
    a list of one. say: takes a line of progress. Raises ValueError for impossible settings.
    """

    high: float | None = None
    low: float = 0.0
    iterations: int | str | None = None
    points: int = 20
    ramp: str = "linear"
    seeds: Sequence[int] = (1, 2, 3)
    rule: str | None = None
    trainer: Mapping[str, Any] = field(default_factory=dict)
    say: Callable[[str], None] = lambda line: None

    def __post_init__(self) -> None:
        if self.high is None and (self.low or self.ramp != "linear"):
            raise ValueError("low and ramp go with high: give all of them, or none to have the range found")
        if self.rule not in (None, RULE, *RULES):
            raise ValueError(f"rule={self.rule} is unknown: choose one of {', '.join((RULE, *RULES))}")
        if not isinstance(self.trainer, Mapping):
            raise ValueError(f"trainer={self.trainer!r} is no mapping: give settings by name, as {{'precision': 64}}")
        if not COUNT.holds(gathered := self.trainer.get("accumulate_grad_batches", 1)):
            raise ValueError(f"trainer={{'accumulate_grad_batches': {gathered}}} is impossible: it must be {COUNT.words}")
        for_some_epoch(lambda per_epoch: self._check_points(self._steps(per_epoch)), ValueError)
        devices = self.trainer.get("devices", 1)
        if devices != 1 and not (isinstance(devices, (list, tuple)) and len(devices) == 1):
            raise ValueError(f"devices={devices}: a range test trains on one device; give 1, or [1] for another than the first")
        if given := [key for key in self.trainer if key in _SET_HERE]:
            raise ValueError(f"trainer={{{given[0]!r}: ...}} is what a range test sets itself: leave it out")
        if fault := fault_of_seeds(self.seeds, "seeds"):
            raise ValueError(fault)
        self._schedule(self.low, 1.0 if self.high is None else self.high, 1000, self.ramp)

    @property
    def _default_steps(self) -> int:
        return _OWN_STEPS if self.high is None else _PAPERS_STEPS

    def run(
        self,
        module: Any,
        train_loader: Any,
        val_loader: Iterable[Any] | None = None,
        evaluate: Evaluate | None = None,
        monitor: str | None = None,
        mode: str = "min",
    ) -> Found:
        """Train copies of `module` up the ramp and judge the curves; the module and all random states stay as they are.

        train_loader, val_loader: loaders or any batches, or a datamodule alone. monitor: a metric that the module's own
        validation_step logs, as val_loss, of which less is better, or more with mode="max". evaluate: from the module to
        accuracy in percent, mean loss and number of classes. By default the accuracy of `module(inputs)` as scores
        (n, classes) for batches (inputs, labels). A module that cannot be copied is trained itself and put back.
        Raises ValueError where a score cannot be had.
        """
        climbing = _Climbing(
            self, module, *self._loaders(train_loader, val_loader, monitor is not None), _score(evaluate, monitor, mode)
        )
        if self.high is not None:
            curves = [climbing.ramp(self.low, self.high, self.ramp, seed) for seed in self.seeds]
            return climbing.found(self._judged(curves, climbing), curves)
        high, told = climbing.scanned()
        if high is None:
            return climbing.found(refused(told), [])
        tried: list[Curve] = []

        def climb(end: float) -> Curve:
            tried.append(climbing.ramp(0.0, end, "linear", self.seeds[0]))
            return tried[-1]

        high = laid(high, climb)
        curves = [tried[-1], *(climbing.ramp(0.0, high, "linear", seed) for seed in self.seeds[1:])]
        told = [*told, f"The ramp ends at {high:.2g}.", *climbing.told]
        if self.rule not in (None, RULE):
            return climbing.found(self._judged(curves, climbing, told), curves)
        return climbing.found(anchored(curves, told), curves)

    def _judged(self, curves: list[Curve], climbing: "_Climbing", told: Sequence[str] = ()) -> FoundBounds:
        """By a rule of the paper, where accuracy is known."""
        assumed = [
            f"Assumed: the range {self.low:g} to {self.high or 0:g}, {self.ramp}. Another range or length may move a bound by "
            f"{_OTHER_RANGES:g} either way: the intervals have that."
        ]
        is_given = self.high is not None
        said = [*told, *(assumed if is_given else []), *climbing.told]
        if self.rule == RULE or climbing.is_metric:
            if self.rule in RULES:
                raise ValueError(f"rule={self.rule} reads accuracies: take rule={RULE} with monitor=")
            return anchored(curves, said, is_given)
        percent = [_in_percent(curve, climbing.classes) for curve in curves]
        if any(one is not other for one, other in zip(percent, curves, strict=True)):
            said.append("Accuracies are taken for fractions, since none is above 1.")
        curves[:] = percent
        bounds = judge(percent, climbing.classes, self.rule or FIRST, is_given)
        bounds = replace(bounds, reasons=(*bounds.reasons, *said))
        return _of_any_range(bounds) if is_given else bounds

    def _loaders(self, train: Any, validation: Any, is_logged: bool) -> tuple[Any, Any]:
        """Batches that can be gone through again and again."""
        if hasattr(train, "train_dataloader"):
            return train, None
        _refuse_several(train, "train_loader", "of batches that hold what each of them gives")
        _refuse_several(validation, "val_loader", "or, in the place of both loaders, a datamodule")
        if iter_is_itself(train):
            steps = self.iterations if isinstance(self.iterations, int) else self._default_steps
            train = list(itertools.islice(train, steps * int(self.trainer.get("accumulate_grad_batches", 1))))
        if isinstance(train, (list, tuple)) and not train:
            raise ValueError("the training loader gives no batch: give it data")
        if isinstance(train, (list, tuple)):  # which Lightning would take for a list of loaders
            train = DataLoader(train, batch_size=None, shuffle=False)  # type: ignore[arg-type]
        if iter_is_itself(validation):
            validation = list(validation)
        if is_logged and validation is None:
            raise ValueError("there is no val_loader: validation_step, which logs monitor, needs one")
        if is_logged and isinstance(validation, list):
            validation = DataLoader(validation, batch_size=None, shuffle=False)  # type: ignore[arg-type]
        return train, validation

    def length(self, loader: Any) -> int:
        """The steps of a ramp. Raises ValueError for epochs of a loader without length."""
        if not isinstance(self.iterations, str):
            return self._steps(1)
        try:
            batches = len(loader.train_dataloader() if hasattr(loader, "train_dataloader") else loader)
        except TypeError:
            raise ValueError(
                f"iterations={self.iterations}: the loader does not say how long an epoch is, so write steps"
            ) from None
        steps = self._steps(batches / int(self.trainer.get("accumulate_grad_batches", 1)))
        self._check_points(steps)
        return steps

    def _steps(self, per_epoch: float) -> int:
        given = self._default_steps if self.iterations is None else self.iterations
        steps = iterations_of(given, per_epoch)
        if steps is None:
            raise ValueError(f"iterations={given} is no length: write optimizer steps (200) or epochs ('2 epochs')")
        return steps

    def _check_points(self, steps: int) -> None:
        if not COUNT.holds(self.points) or self.points > steps:
            raise ValueError(
                f"points={self.points} is impossible: it must be a whole number from 1 to the {steps} steps of the ramp"
            )

    @staticmethod
    def _schedule(low: float, high: float, steps: int, ramp: str) -> Policy:
        return named("ramp", min_lr=low, max_lr=high, iterations=steps, ramp=ramp)


class _Climbing:
    """The ramps of one module, counted."""

    def __init__(self, test: LRRangeTest, module: Any, train: Any, validation: Any, score: Evaluate | Metric | None) -> None:
        self.steps, self.classes = 0, 2
        self._groups: list[str] = []
        self._test, self._module, self._loaders = test, module, (train, validation)
        self._length = test.length(train)
        self._score = score or _accuracy(train, validation)
        self.is_metric = isinstance(self._score, Metric)
        self._started, self._done = time.monotonic(), 0

    @property
    def told(self) -> list[str]:
        """What is to be known of the module and its data."""
        return [*self._groups, *(self._score.imbalance if isinstance(self._score, Accuracy) else [])]

    def found(self, bounds: FoundBounds, curves: Sequence[Curve]) -> Found:
        """What came of all of them."""
        return Found(bounds, curves, self.steps, None if self.is_metric else self.classes)

    def ramp(self, low: float, high: float, form: str, seed: int) -> Curve:
        """The readings of one ramp."""
        schedule = self._test._schedule(low, high, self._length, form)
        ramp = self._climb(schedule, self._length, self._score, seed)
        self.classes = max(self.classes, ramp.classes)
        if len({round(share, 12) for share in ramp.groups}) > 1:
            shares = ", ".join(f"{share:g}" for share in ramp.groups)
            self._groups = [f"Parameter groups keep their ratios ({shares}): the rates are of the group with 1."]
        return ramp.curve

    def scanned(self) -> tuple[float | None, list[str]]:
        """The rate at which a scan of the loss breaks, and what it shows; no rate where it shows that nothing can be found."""
        schedule = self._test._schedule(scan.LOW, scan.HIGH, scan.STEPS, "exponential")
        seed = self._test.seeds[0]
        found = self._climb(schedule, scan.STEPS, None, seed, stop=scan.has_broken)
        rates, losses = found.rates, found.losses
        if not losses:  # training_step returns no loss, as it may with manual optimization
            curve = self._climb(schedule, scan.STEPS, self._score, seed, points=60).curve
            values = curve.losses if np.isfinite(curve.losses).any() else -curve.accuracies * (1 if curve.mode == "max" else -1)
            rates, losses = list(curve.rates), [*values]
            if curve.diverged_at is not None:
                rates, losses = [*rates, curve.diverged_at], [*losses, math.inf]
        return scan.end_of_ramp(rates, losses)

    def _climb(
        self,
        schedule: Policy,
        steps: int,
        score: Evaluate | Metric | None,
        seed: int,
        stop: Callable[[list[float]], bool] | None = None,
        points: int | None = None,
    ) -> Ramp:
        test = self._test
        ramp = climb(self._module, self._loaders, schedule, steps, score, points or test.points, seed, test.trainer, stop)
        self.steps += ramp.count_made
        self._done += 1
        expected = len(test.seeds) + (test.high is None)
        spent = time.monotonic() - self._started
        left = spent / self._done * max(0, expected - self._done)
        test.say(f"range test: {self._done} of {max(expected, self._done)} trainings, {spent:.0f} s, about {left:.0f} s left")
        return ramp


def _of_any_range(bounds: FoundBounds) -> FoundBounds:
    """With intervals that include what another range or length would find, of the paper's rules."""
    if bounds.base_interval is None or bounds.max_interval is None:
        return bounds
    base, most = ((low / _OTHER_RANGES, high * _OTHER_RANGES) for low, high in (bounds.base_interval, bounds.max_interval))
    return replace(bounds, base_interval=base, max_interval=most)


def _score(evaluate: Evaluate | None, monitor: str | None, mode: str) -> Evaluate | Metric | None:
    if evaluate is not None and monitor is not None:
        raise ValueError("evaluate and monitor are two scores: give one of them")
    if evaluate is not None and not callable(evaluate):
        raise ValueError(f"evaluate={evaluate!r} is no function of the module: give one, or pass monitor= the name of a metric")
    return Metric(monitor, mode) if monitor is not None else evaluate


def _accuracy(train: Any, validation: Any) -> Evaluate:
    if hasattr(train, "train_dataloader"):
        raise ValueError("a datamodule is scored by the module's own validation_step: pass monitor=, as in monitor='val_loss'")
    if validation is None:
        raise ValueError("there is no val_loader: give one, or pass evaluate=")
    return Accuracy(validation)


def _refuse_several(given: Any, name: str, instead: str) -> None:
    if isinstance(given, Mapping) or (isinstance(given, (list, tuple)) and any(map(_is_loader, given))):
        raise ValueError(f"{name} is a {type(given).__name__} of loaders: give one loader, {instead}")


def _is_loader(given: Any) -> bool:
    """Whether this is what gives batches, and no batch."""
    return isinstance(given, DataLoader) or iter_is_itself(given)


def iter_is_itself(batches: Any) -> bool:
    """Whether these batches can be gone through but once."""
    return hasattr(batches, "__next__")


def _in_percent(curve: Curve, classes: int) -> Curve:
    known = curve.accuracies[np.isfinite(curve.accuracies)]
    if not len(known) or classes > _CLASSES or known.max() > 1 or not known.max() > 0:
        return curve
    return replace(curve, accuracies=100 * curve.accuracies)
