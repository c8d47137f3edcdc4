"""What sets the rates of one optimizer: it counts the steps, and gives each parameter group its rate before each of them."""

import math
import numbers
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.optim import Optimizer

from clrbench.unofficial import running_steps

Policy = Callable[[Any], Any]
Tell = Callable[[str], None]
Groups = list[dict[str, Any]]
_not_compiled: Callable[[Callable[..., None]], Callable[..., None]] = torch.compiler.disable

_AHEAD = 1024
_driven: "weakref.WeakKeyDictionary[Optimizer, Driver]" = weakref.WeakKeyDictionary()


class Driver:
    """Counts the steps of `optimizer` from `iteration` on, and sets its rates.

    schedules: one for all groups, or one for each. A group's rate is its schedule's times its `lr_mult`; where it has none,
    times its share: that of its own rate in the highest of those that the groups come with. shares: those of an earlier
    driver, which win. own_rate: the highest, 0 where lists of rates or `lr_mult` stand for it. tell: takes a line about what
    was chosen. The rates are set after a step, so that whoever reads them sees those of the next, and held to before it.
    Only the optimizer keeps this object's hold on the weights alive.
    Raises ValueError for an optimizer that cannot be driven, and at a step at which there is no rate, or one set by another.
    """

    def __init__(
        self,
        schedules: Sequence[Policy],
        optimizer: Optimizer,
        iteration: int = 0,
        shares: Sequence[float] | None = None,
        *,
        tell: Tell,
    ) -> None:
        stepping = _stepping(optimizer)
        if stepping in _driven:
            raise ValueError(
                f"another CyclicLR drives this {type(stepping).__name__}: detach() it first, or give each CyclicLR one "
                "optimizer by its place, as in CyclicLR(..., optimizer=0)"
            )
        self.name = type(optimizer).__name__
        self._schedules, self._tell = schedules, tell
        self._given: Callable[[], Optimizer | None] = weakref.ref(optimizer)
        self._stepping: Callable[[], Optimizer | None] = weakref.ref(stepping)
        groups: Groups = stepping.param_groups
        self._check(groups)
        _part_shared_rates(groups)
        self.own_rate = _highest(groups) if len(schedules) == 1 else 0.0
        self.shares = self._own_shares(groups)
        self.go_on(iteration, shares)
        self._first_iteration = iteration
        self._running = 0
        # The hooks hold the groups: held from here, weights would outlive their optimizer.
        self._handles = _hook(stepping, partial(self._before_step, list(groups)), self._after_step)
        _driven[stepping] = self

    @property
    def counted(self) -> int:
        """The number of steps that this driver has seen."""
        return self.iteration - self._first_iteration

    @property
    def is_driving(self) -> bool:
        """Whether steps of the optimizer, which still exists, are counted."""
        return bool(self._handles) and self._stepping() is not None

    def is_given(self, optimizer: Optimizer) -> bool:
        """Whether this is the optimizer that was given."""
        return self._given() is optimizer

    def go_on(self, iteration: int, shares: Sequence[float] | None = None) -> None:
        """Set the rates of `iteration`. Raises ValueError for what is no count."""
        if not is_count(iteration):
            raise ValueError(f"iteration={iteration} is impossible: it must be a whole number of at least 0")
        optimizer = self._stepping()
        assert optimizer is not None, "a driver goes on with an optimizer that exists"
        self.iteration = self._first_iteration = int(iteration)
        if shares is not None and len(shares) == len(self.shares):
            self.shares = list(shares)
        self._look_ahead()
        self._set_rates(optimizer.param_groups)

    def release(self) -> None:
        """Let the optimizer go; the counts stay."""
        for handle in self._handles:
            handle.remove()
        self._handles = ()
        stepping = self._stepping()
        if stepping is not None:
            _driven.pop(stepping, None)
        self._given = self._stepping = _gone

    def _before_step(self, seen: Groups, optimizer: Optimizer, *_: Any) -> None:
        self._running = running_steps(optimizer) if self._running else 1
        if self._running > 1:
            return
        groups: Groups = optimizer.param_groups
        if self._has_tensors or [group["lr"] for group in groups] != self._written:
            self._hold_to_rates(seen, groups, optimizer.defaults.get("lr"))

    def _after_step(self, optimizer: Optimizer, *_: Any) -> None:
        self._running = (running_steps(optimizer) if self._running > 1 else 1) - 1
        if self._running:
            return
        self.iteration += 1
        if self.iteration - self._first >= self._known:
            self._look_ahead()
        self._set_rates(optimizer.param_groups)

    def _set_rates(self, groups: Groups) -> None:
        at = self.iteration - self._first
        written: list[float | None] = []
        self._written, self._has_tensors = written, False
        if at >= self._known:
            return  # told before the next step, which may never come
        for group, rates, share in zip(groups, self._columns, self.shares, strict=False):
            value = rates[at] * group.get("lr_mult", share)
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(value)
                self._has_tensors = True
                written.append(_read(group["lr"]))
            else:
                group["lr"] = value
                written.append(value)

    def _hold_to_rates(self, seen: Groups, groups: Groups, default: Any) -> None:
        """Set the rates of groups that were added, and of a state that was loaded; refuse a rate that was set by another."""
        at = self.iteration - self._first
        if at >= self._known:
            raise ValueError(self._no_rate())
        is_held = len(groups) == len(seen) == len(self._written)
        for place, (group, before, written) in enumerate(zip(groups, seen, self._written, strict=False)):
            rate = _read(group["lr"])
            is_held = is_held and rate is not None and rate == written
            if group is before and rate is not None and rate != written:
                raise ValueError(
                    f"something else set the rate of parameter group {place} to {rate:g}, where CyclicLR had set {written:g}: "
                    "use one of them (a scheduler beside it? detach() lets the optimizer go)"
                )
        if is_held:
            return
        self._check(groups)
        if len(groups) > len(self.shares):
            _part_shared_rates(groups)
            added = range(len(self.shares), len(groups))
            self.shares += [self._added_share(place, groups[place], self._rates[0][at], default) for place in added]
            self._set_columns()
        self._set_rates(groups)
        seen[:] = groups

    def _set_columns(self) -> None:
        """For each group the rates that its share is taken of."""
        self._columns = self._rates * len(self.shares) if len(self._rates) == 1 else self._rates

    def _own_shares(self, groups: Groups) -> list[float]:
        if not self.own_rate > 0:
            return [1.0] * len(groups)
        shares = [1.0 if "lr_mult" in group else float(group["lr"]) / self.own_rate for group in groups]
        if any(share != 1 for share in shares):
            shown = ", ".join(f"{share:g}" for share in shares)
            self._tell(f"CyclicLR keeps the ratio of the groups' own rates: they get {shown} times the policy's rate")
        return shares

    def _added_share(self, place: int, group: dict[str, Any], rate: float, default: Any) -> float:
        """The share that the rate of an added group has of the policy's now; one that names no rate gets the policy's."""
        own = float(group["lr"])
        if "lr_mult" in group or own == default:
            return 1.0
        if not rate > 0:
            self._tell(
                f"CyclicLR: group {place}, added while the policy's rate is 0, gets all of the policy's rate: give it an "
                "lr_mult for a share of it"
            )
            return 1.0
        share = own / rate
        if math.isclose(share, 1, rel_tol=1e-6):
            return 1.0
        above = " (its own is above that)" if share > 1 else ""
        share = min(share, 1.0)
        self._tell(f"CyclicLR: group {place}, added with the rate {own:g}, gets {share:g} times the policy's rate{above}")
        return share

    def _check(self, groups: Groups) -> None:
        if len(self._schedules) not in (1, len(groups)):
            raise ValueError(
                f"base_lr or max_lr is a list for {len(self._schedules)} parameter groups, but {self.name} has "
                f"{len(groups)}: give one rate for each, or one for all"
            )
        for place, group in enumerate(groups):
            multiple = group.get("lr_mult", 1.0)
            is_number = isinstance(multiple, numbers.Real) and not isinstance(multiple, bool)
            if not (is_number and 0 <= multiple < math.inf):
                raise ValueError(
                    f"parameter group {place} of {self.name} has lr_mult={multiple!r}: make it a number of at least 0"
                )

    def _look_ahead(self) -> None:
        # One call of the policy for many iterations: numpy on single numbers would cost more than all the rest here.
        self._first = self.iteration
        ahead = np.arange(self._first, self._first + _AHEAD)
        table = np.stack([_rates(schedule, ahead) for schedule in self._schedules])
        impossible = ~(np.isfinite(table) & (table >= 0)).all(0)
        for schedule in self._schedules:
            impossible |= ahead >= (math.inf if (end := getattr(schedule, "end", None)) is None else end)
        self._known = int(impossible.argmax()) if impossible.any() else _AHEAD
        self._rates: list[list[float]] = table.tolist()
        self._set_columns()

    def _no_rate(self) -> str:
        for schedule in self._schedules:
            end = getattr(schedule, "end", None)
            if end is not None and self.iteration >= end:
                return (
                    f"{_name(schedule)} has no rate at iteration {self.iteration}: it ends after {end:g}; "
                    "raise its `iterations`, or stop the training there"
                )
            try:
                schedule(np.array([self.iteration]))
            except LookupError as error:
                return (
                    f"{_name(schedule)} has no rate at iteration {self.iteration} ({error}): make its table longer, or stop "
                    "the training there"
                )
        rates = ", ".join(f"{rates[self.iteration - self._first]:g}" for rates in self._rates)
        names = ", ".join(map(_name, self._schedules))
        return f"{names} gives {rates} at iteration {self.iteration}: a rate must be a number of at least 0"


def is_count(value: Any) -> bool:
    """Whether this is a whole number of at least 0."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and int(value) >= 0


def _gone() -> None:
    """Stands for a reference to an optimizer that was let go."""


def _stepping(optimizer: Optimizer) -> Optimizer:
    """The optimizer that makes the steps: within one that wraps another with the same groups, as SAM and Lookahead do, that."""
    groups = getattr(optimizer, "param_groups", [])
    if not groups or not all("lr" in group for group in groups):
        raise ValueError(
            f"{type(optimizer).__name__} cannot be driven: it has no parameter groups that have a rate (lr); if it wraps "
            "an optimizer, attach that one"
        )
    nested = [optimizer]
    for outer in nested:
        nested += [
            inner
            for inner in vars(outer).values()
            if isinstance(inner, Optimizer) and inner not in nested and [*map(id, inner.param_groups)] == [*map(id, groups)]
        ]
    return nested[-1]


def _hook(optimizer: Optimizer, before: Callable[..., None], after: Callable[..., None]) -> tuple[Any, ...]:
    # A compiled step leaves the hooks out: else it would be compiled anew for every count.
    before, after = _not_compiled(before), _not_compiled(after)
    try:
        return optimizer.register_step_pre_hook(before), optimizer.register_step_post_hook(after)
    except AttributeError:
        raise ValueError(
            f"the steps of {type(optimizer).__name__} cannot be seen, as its __init__ does not call that of "
            "torch.optim.Optimizer: call it there, or attach the optimizer within it"
        ) from None


def _highest(groups: Groups) -> float:
    """The highest rate of the groups without an lr_mult; 0 where each has one."""
    return max((float(group["lr"]) for group in groups if "lr_mult" not in group), default=0.0)


def _part_shared_rates(groups: Groups) -> None:
    """torch puts one and the same tensor into all groups that name no rate; to differ, each needs its own."""
    for place, group in enumerate(groups):
        if isinstance(group["lr"], torch.Tensor) and any(group["lr"] is earlier["lr"] for earlier in groups[:place]):
            group["lr"] = group["lr"].clone()


def _read(rate: Any) -> float | None:
    """The rate as a number; None where asking a device for it would hold the training up."""
    if not isinstance(rate, torch.Tensor):
        return float(rate)
    return rate.item() if rate.device.type == "cpu" else None


def _rates(schedule: Policy, iterations: Any) -> Any:
    """The rates of `schedule` at an array of iterations, nan where a table has none.

    Raises ValueError for a function that is no policy.
    """
    hint = f"; np.vectorize({_name(schedule)}) makes one of a function of a single iteration"
    try:
        rates = np.asarray(schedule(iterations), float)
    except LookupError:
        if len(iterations) == 1:
            return np.array([math.nan])
        return np.concatenate([_rates(schedule, part) for part in np.array_split(iterations, 2)])
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{_name(schedule)} does not take an array of iterations ({' '.join(str(error).split())}){hint}"
        ) from error
    if rates.shape != iterations.shape:
        raise ValueError(
            f"{_name(schedule)} returned {rates.size} rates for {len(iterations)} iterations: a policy gives each one{hint}"
        )
    return rates


def _name(schedule: Policy) -> str:
    return str(getattr(getattr(schedule, "policy", schedule), "__name__", repr(schedule)))
