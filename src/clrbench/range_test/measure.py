"""The measuring half of the range test: one ramp of the rate a seed, a recorded run like any other, and bounds from them."""

from collections.abc import Callable
from dataclasses import replace

from omegaconf import DictConfig, open_dict

from clrbench.config import Config, checked
from clrbench.errors import ConfigError
from clrbench.range_test.curve import LOSS_LIMIT
from clrbench.range_test.judge import NONE, WEAK
from clrbench.range_test.records import RANGE_TEST, Measured, judged
from clrbench.runs import OWN, run_of
from clrbench.store import Record

_DIGITS = 3
# How the record of a ramp is come by, and the judgement of a range test.
Carry = Callable[[Config], Record]
Say = Callable[[str], None]
Find = Callable[[Config, Say], Measured]


def wants_measured_bounds(composed: DictConfig) -> bool:
    """Whether a composed configuration leaves its bounds to the range test."""
    return bool(composed.bounds.origin == RANGE_TEST)


def with_measured_bounds(composed: DictConfig, find: Find, say: Say) -> DictConfig:
    """`composed` with the bounds that its range test shows; itself where it has bounds of its own.

    find: carries out the range test, or looks it up. Raises ConfigError where it shows no bounds, with the reason and what
    to try.
    """
    if not wants_measured_bounds(composed):
        return composed
    measured = find(to_measure(composed), say)
    found = measured.bounds
    if found.verdict == NONE or found.base_lr is None or found.max_lr is None:
        raise ConfigError(f"bounds=range_test: no bounds to be seen: {' '.join(found.reasons)}")
    if found.verdict == WEAK:
        say(f"warning: bounds=range_test: the bounds are weak: {' '.join(found.reasons)}")
    times = float(composed.bounds.times)
    names = ", ".join(run.result.name for run in measured.runs)
    origin = f"{RANGE_TEST} ({found.verdict}, by {found.rule}): {names}"
    return _with_bounds(composed, rounded(found.base_lr * times), rounded(found.max_lr * times), origin)


def to_measure(composed: DictConfig) -> Config:
    """What a range test needs of a composed configuration. Raises ConfigError for settings that cannot be run."""
    ends = composed.range_test.low, composed.range_test.high
    if all(isinstance(end, (int, float)) for end in ends):  # else the form of the whole says what is wrong
        _check_range(composed.range_test)
    return checked(with_ramp_bounds(composed))


def _check_range(test: DictConfig) -> None:
    if not test.high > test.low:
        raise ConfigError(f"range_test.high={test.high:g} is not above range_test.low={test.low:g}: raise it")
    if test.ramp == "exponential" and test.low == 0:
        lower = f"range_test.low={rounded(test.high / 1000):g}"
        raise ConfigError(f"range_test.ramp=exponential cannot start from range_test.low=0: try {lower}")


def measure(config: Config, carry: Carry, say: Say) -> Measured:
    """Come by the ramps that `config` describes, and judge them."""
    records = [carry(ramp_config(config, seed)) for seed in config.range_test.seeds]
    return judged([run for record in records for run in run_of(record, OWN)], config.range_test.rule)


def ramp_config(config: Config, seed: int) -> Config:
    """The run that measures for `config`: its data, model, optimizer and batch size, and nothing else of it."""
    test = config.range_test
    length = f"{test.epochs:g} epochs"
    policy = {"name": "ramp", "_target_": "clrbench.schedules.ramp", "min_lr": test.low, "max_lr": test.high}
    return replace(
        config,
        experiment=RANGE_TEST,
        arm=None,
        seed=seed,
        iterations=length,
        scale=1.0,
        bounds=replace(config.bounds, base_lr=test.low, max_lr=test.high, origin="the ends of the ramp"),
        policy={**policy, "iterations": length, "ramp": test.ramp},
        data=replace(config.data, evaluate="validation"),
        trainer=replace(
            config.trainer,
            evaluate_every=f"{test.epochs / test.points:.6f} epochs",
            loss_limit=LOSS_LIMIT,
            devices=1,
            nodes=1,
        ),
    )


def rounded(rate: float) -> float:
    """A rate to three digits: more would claim a precision that no range test has."""
    return float(f"{rate:.{_DIGITS}g}")


def with_ramp_bounds(composed: DictConfig) -> DictConfig:
    """`composed` with the ends of the ramp for bounds: those that its range test trains between."""
    return _with_bounds(composed, composed.range_test.low, composed.range_test.high, RANGE_TEST)


def _with_bounds(composed: DictConfig, base_lr: float, max_lr: float, origin: str) -> DictConfig:
    made = composed.copy()
    with open_dict(made):
        made.bounds.base_lr, made.bounds.max_lr, made.bounds.origin = base_lr, max_lr, origin
    return made
