"""The learning-rate callback: for a LightningModule of either package, Lightning's two names, and for a loop of one's own."""

import inspect
import math
import reprlib
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch.optim import Optimizer

from clrbench import schedules
from clrbench.driver import Driver, is_count
from clrbench.packages import PACKAGES, Callback
from clrbench.settings import EPOCHS, for_some_epoch, iterations_of

Policy = Callable[[Any], Any]


_MASTERS = ("StochasticWeightAveraging", "BackboneFinetuning")
_RATES = ("base_lr", "max_lr", "min_lr")  # each may be a list


class CyclicLR(Callback):
    """Set the learning rate of every parameter group before every optimizer step.

        Trainer(callbacks=[CyclicLR("triangular2", base_lr=0.001, max_lr=0.006, step_size=2000)])
        CyclicLR("triangular2", base_lr=0.001, max_lr=0.006, step_size=2000).attach(optimizer)  # a loop of your own

    policy: the name of a policy of `clrbench.schedules`, with its settings; or any function from an array of iterations to
        their rates, without settings. A length may be a text like `2 epochs`, which a Trainer knows; base_lr, max_lr and
        min_lr may be lists, a rate for each parameter group.
    optimizer: the place of the one optimizer to drive, in the order of configure_optimizers; all of them by default.

    An iteration is one step of an optimizer, however many batches it gathers gradients from; each optimizer counts its own,
    under automatic and manual optimization alike. A step that a scaler skips is none, except that a fused optimizer's is: only
    its device knows. A group's rate is the policy's times the group's `lr_mult`; groups without one keep the ratio of the rates
    that they come with, and the highest gets the policy's. Momentum is left alone. The counts are part of checkpoints, so that
    a resumed training goes on in the middle of a cycle. Raises ValueError for impossible settings, and as soon as anything else
    sets rates: a scheduler, weight averaging, another CyclicLR.
    """

    def __init__(self, policy: str | Policy, *, optimizer: int | None = None, **settings: Any) -> None:
        if optimizer is not None and not is_count(optimizer):
            raise ValueError(f"optimizer={optimizer!r} is impossible: it must be a place, a whole number of at least 0")
        self._policy, self._place = policy, optimizer
        self._settings = {key: value for key, value in settings.items() if value is not None}
        self._schedules = for_some_epoch(lambda per_epoch: _schedules(policy, self._settings, per_epoch), ValueError)
        self._drivers: list[Driver] = []
        self._loaded: list[tuple[int, Sequence[float] | None]] = []
        self._trainer: weakref.ref[Any] | None = None
        self._has_batches = self._evaluates = False

    def __repr__(self) -> str:
        place = {} if self._place is None else {"optimizer": self._place}
        shown = "".join(f", {key}={value!r}" for key, value in {**place, **self._settings}.items())
        return f"CyclicLR({self._policy!r}{shown})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_trainer": None}

    @property
    def schedule(self) -> Policy:
        """The rates of the first parameter group, of any if the settings hold no lists, as a function of the iteration.

        Where a length is in epochs, an epoch has 1,000 iterations until a Trainer says how many, and under fast_dev_run;
        where that makes the settings contradict each other, a number with which they do not.
        """
        return self._schedules[0]

    # ------------------------------------------------------------------------------------- a loop without a Trainer

    def attach(self, optimizer: Optimizer, iteration: int | None = None) -> None:
        """Drive `optimizer` without a Trainer: each of its steps from now on is an iteration, of which it has made `iteration`.

        By default none, or what `load_state_dict` said. To resume, keep `state_dict()`. Of an optimizer that wraps another, as
        SAM, Lookahead and accelerate's do, the inner one's steps count. Raises ValueError for one that cannot be driven.
        """
        if isinstance(self._policy, str):
            self._schedules = _schedules(self._policy, self._settings)
        if not any(driver.is_driving for driver in self._drivers):
            self._drivers = []
        loaded = dict(enumerate(self._loaded)).get(len(self._drivers), (0, None))
        count, shares = loaded if iteration is None else (iteration, None)
        self._drivers.append(Driver(self._schedules, optimizer, count, shares, tell=_warn))
        if shares is None:
            _tell_of_own_rates([driver for driver in self._drivers if driver.is_driving], _warn)

    def detach(self) -> None:
        """Let all optimizers go: their rates stay as they are, and the next `attach` starts anew."""
        self._loaded = []
        for driver in self._drivers:
            driver.release()

    def state_dict(self) -> dict[str, Any]:
        """For each optimizer the number of steps that it has made, and the share that each of its groups has of the rate."""
        state = [(driver.iteration, driver.shares) for driver in self._drivers] or self._loaded
        return {"iterations": [count for count, _ in state], "shares": [list(shares or []) for _, shares in state]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from `state_dict`: at once with optimizers that are attached. Raises ValueError where it counts others."""
        if self._evaluates:
            return  # a checkpoint whose weights are evaluated says nothing of the next training
        counts = list(state_dict["iterations"])
        self._loaded = list(zip(counts, state_dict.get("shares") or [None] * len(counts), strict=True))
        driving = [driver for driver in self._drivers if driver.is_driving]
        if driving and len(driving) != len(counts):
            raise ValueError(f"the state counts the steps of {len(counts)} optimizers, but {len(driving)} are attached")
        for driver, (count, shares) in zip(driving, self._loaded, strict=False):
            driver.go_on(count, shares)

    # ------------------------------------------------------------------------------------------------ under a Trainer

    @property
    def state_key(self) -> str:
        """The name of the state in a checkpoint: several of these may be in one Trainer, each with its optimizer."""
        policy = self._policy if isinstance(self._policy, str) else getattr(self._policy, "__name__", "function")
        return f"CyclicLR{{'policy': {policy!r}, 'optimizer': {self._place!r}}}"

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Note whether a checkpoint is for training, or only to be validated, tested or predicted with."""
        self._evaluates = stage != "fit"

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Take states again."""
        self._evaluates = False

    def on_load_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Take the counts of another policy than this one, where the checkpoint has just these."""
        states = checkpoint.get("callbacks") or {}
        others = [state for key, state in states.items() if str(key).startswith("CyclicLR")]
        if self.state_key not in states and len(others) == 1:
            self.load_state_dict(others[0])

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Take over the optimizers; go on counting where a checkpoint left off."""
        self._refuse_masters(trainer)
        per_epoch = _steps_per_epoch(trainer, pl_module)
        # The few batches of fast_dev_run are no epoch that lengths could be meant for.
        if isinstance(self._policy, str) and not (trainer.fast_dev_run and per_epoch):
            self._schedules = _schedules(self._policy, self._settings, per_epoch)
        optimizers = self._chosen(trainer)
        starts = self._starts(trainer, len(optimizers))
        self.detach()
        self._drivers, self._trainer, self._has_batches = [], weakref.ref(trainer), False
        for optimizer, (count, shares) in zip(optimizers, starts, strict=True):
            self._drivers.append(Driver(self._schedules, optimizer, count, shares, tell=_tell_of(trainer)))
        if all(shares is None for _, shares in starts):
            _tell_of_own_rates(self._drivers, _tell_of(trainer))

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Refuse a scheduler that has come since; go on with an optimizer that has taken another's place."""
        self._has_batches = True
        if trainer.lr_scheduler_configs:
            self._refuse_masters(trainer)
        for at, (driver, optimizer) in enumerate(zip(self._drivers, self._chosen(trainer), strict=True)):
            if not driver.is_given(optimizer):
                driver.release()
                self._drivers[at] = Driver(self._schedules, optimizer, driver.iteration, tell=_tell_of(trainer))

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Let the optimizers go; tell of one that made no step that could be counted."""
        for driver in self._drivers:
            if self._has_batches and driver.is_driving and not driver.counted:
                _tell_of(trainer)(
                    f"CyclicLR counted no step of {driver.name} in this fit, and its rate stood still: steps that are not made "
                    "by its own step(), or that a scaler skips, cannot be counted"
                )
        self._leave()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Let the optimizers go, and take states again."""
        self._evaluates = False
        self._leave()

    def _leave(self) -> None:
        self.detach()
        for name in ("log", "log_dict"):  # the module's, which the Trainer lends to callbacks: they would keep it alive
            vars(self).pop(name, None)

    def _chosen(self, trainer: Any) -> Sequence[Optimizer]:
        optimizers: Sequence[Optimizer] = trainer.optimizers
        # Where configure_optimizers returns None, Lightning puts an optimizer without groups in its place.
        if not any("lr" in group for optimizer in optimizers for group in optimizer.param_groups):
            raise ValueError(
                "configure_optimizers of the module returns no optimizer that has a rate, so that CyclicLR has none to set"
            )
        if self._place is None:
            return optimizers
        if self._place >= len(optimizers):
            raise ValueError(f"optimizer={self._place} does not exist: the module has {len(optimizers)}, counted from 0")
        return [optimizers[self._place]]

    def _starts(self, trainer: Any, number: int) -> list[tuple[int, Sequence[float] | None]]:
        """For each optimizer the steps that it has made, and the shares of its groups, where they are known."""
        if len(self._loaded) == number:
            return list(self._loaded)
        is_same = self._trainer is not None and self._trainer() is trainer
        if is_same and trainer.global_step and len(self._drivers) == number:
            return [(driver.iteration, driver.shares) for driver in self._drivers]  # the trainer fits on
        # A checkpoint made without this callback still tells the iteration, if a single optimizer made the steps.
        alone = len(trainer.optimizers) == 1
        if trainer.global_step and not alone:
            _tell_of(trainer)("the checkpoint does not say how many steps each optimizer has made: CyclicLR counts from 0")
        return [(trainer.global_step if alone else 0, None)] * number

    @staticmethod
    def _refuse_masters(trainer: Any) -> None:
        if trainer.lr_scheduler_configs:
            name = type(trainer.lr_scheduler_configs[0].scheduler).__name__
            raise ValueError(
                f"there is a learning-rate scheduler of its own, {name}, which would undo CyclicLR's rates: remove one of them"
            )
        masters = tuple(getattr(package.callbacks, name) for package in PACKAGES for name in _MASTERS)
        for callback in trainer.callbacks:
            if isinstance(callback, masters):
                raise ValueError(f"{type(callback).__name__} sets rates of its own, as CyclicLR does: remove one of them")


def _steps_per_epoch(trainer: Any, pl_module: Any) -> int | None:
    """The optimizer's steps in an epoch; None where that is open: batches without end, or steps that the module makes."""
    changing = tuple(package.callbacks.GradientAccumulationScheduler for package in PACKAGES)
    is_open = not pl_module.automatic_optimization or any(isinstance(callback, changing) for callback in trainer.callbacks)
    if is_open or not math.isfinite(trainer.num_training_batches):
        return None
    steps: int = -(-trainer.num_training_batches // trainer.accumulate_grad_batches)
    return steps


def _schedules(policy: str | Policy, settings: Mapping[str, Any], per_epoch: int | None = None) -> list[Policy]:
    """The schedule of all groups; or one for each, where a rate is a list. Raises ValueError for impossible settings."""
    if not isinstance(policy, str):
        if not callable(policy):
            shown = " ".join(reprlib.repr(policy).split())
            raise ValueError(
                f"policy={shown} is impossible: it must be a policy's name or a function of the iteration, as "
                "`lambda iteration: table[iteration]` is one"
            )
        if settings:
            raise ValueError(f"{next(iter(settings))} is a setting, but a policy given as a function takes none")
        return [policy]
    plain = {key: _plain(value, key, per_epoch) for key, value in settings.items()}
    lists = {key: plain[key] for key in _RATES if isinstance(plain.get(key), (list, tuple))}
    lengths = {len(rates) for rates in lists.values()}
    if len(lengths) > 1 or 0 in lengths:
        raise ValueError(f"{' and '.join(lists)} must be lists of one length: a rate for each parameter group")
    rows = [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)] or [{}]
    return [schedules.named(policy, **{**plain, **row}) for row in rows]


def _plain(value: Any, key: str, per_epoch: int | None) -> Any:
    """A setting without the types of numpy and torch, and in iterations."""
    if isinstance(value, (list, tuple)):
        return [_plain(item, key, per_epoch) for item in value]
    if isinstance(value, str) and key not in _RATES and EPOCHS.fullmatch(value.strip()):
        if per_epoch is None:
            raise ValueError(f"{key}={value!r}: nothing here says how many steps an epoch has, so write iterations")
        iterations = iterations_of(value, per_epoch)
        if iterations is None:
            raise ValueError(f"{key}={value!r} is less than one of the {per_epoch:,} iterations of an epoch: raise it")
        return iterations
    return value.tolist() if hasattr(value, "tolist") else value


def _tell_of_own_rates(drivers: Sequence[Driver], tell: Callable[[str], None]) -> None:
    """Tell where optimizers come with rates that differ, and all get the policy's."""
    own = [driver for driver in drivers if driver.own_rate > 0]
    if any(not math.isclose(driver.own_rate, own[0].own_rate, rel_tol=1e-6) for driver in own):
        shown = ", ".join(f"{driver.own_rate:g} ({driver.name})" for driver in own)
        tell(
            f"CyclicLR gives the policy's rate to each of {len(own)} optimizers, whose own rates are {shown}: to keep a ratio, "
            "give groups an lr_mult, or each optimizer a CyclicLR of its own"
        )


def _tell_of(trainer: Any) -> Callable[[str], None]:
    """How to tell something once, of all processes that train."""
    return _warn if trainer.is_global_zero else _keep_silent


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=2)


def _keep_silent(text: str) -> None:
    """Leave a line to the first process."""


def _signature() -> inspect.Signature:
    """That of CyclicLR with the settings of all policies by name, for those who read it, as LightningCLI does."""
    own = inspect.signature(CyclicLR.__init__).parameters
    names = {name for policy in schedules.POLICIES.values() for name in list(inspect.signature(policy).parameters)[1:]}
    keywords = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Any) for name in sorted(names)]
    *first, settings = own.values()
    return inspect.Signature([*first, *keywords, settings])


vars(CyclicLR.__init__)["__signature__"] = _signature()
