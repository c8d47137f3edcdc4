"""The measuring half of the range test: a scan and one ramp of the rate a seed, recorded runs like any other, and bounds."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from omegaconf import DictConfig, open_dict

from clrbench.config import Config, checked
from clrbench.errors import ConfigError
from clrbench.range_test import anchor, scan
from clrbench.range_test.curve import LOSS_LIMIT
from clrbench.range_test.judge import FIRST, NONE, WEAK
from clrbench.range_test.records import LAID_BY, RANGE_TEST, SCAN, Measured, around_scan, judged, rounded
from clrbench.runs import OWN, Run, run_of
from clrbench.store import Record

# A scan reads training losses: its evaluations, one a step, take so many images at most.
_GLANCE = 100
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
    return checked(with_ramp_bounds(composed))


def measure(config: Config, carry: Carry) -> Measured:
    """Come by the runs that `config` describes, and judge them."""
    test = config.range_test

    def made(asked: Config) -> Run:
        (run,) = run_of(carry(asked), OWN)
        return run

    if not test.finds_range:
        assumed = (
            f"Assumed: the range {test.low:g} to {test.high:g}, {test.ramp}: another range or length may give other bounds."
        )
        ramps = [made(ramp_config(config, seed, float(test.high))) for seed in test.seeds]
        return judged(ramps, test.rule or FIRST, [assumed])
    scanned = made(scan_config(config))
    laid_by = f"{LAID_BY}{scanned.result.name}"
    return around_scan(
        scanned, lambda end, seed: made(ramp_config(config, seed, end, laid_by)), test.seeds, test.rule or anchor.RULE
    )


def scan_config(config: Config) -> Config:
    """The scan of `config`: its data, model, optimizer and batch size, and nothing else of it."""
    steps = scan.STEPS
    policy = {"name": SCAN, "min_lr": scan.LOW, "max_lr": scan.HIGH, "iterations": steps, "ramp": "exponential"}
    few = replace(config.data, evaluated_images=_GLANCE)
    return _climb(replace(config, data=few), config.range_test.seeds[0], policy, 1, math.inf, "the ends of the scan")


def ramp_config(config: Config, seed: int, high: float, origin: str = "the ends of the ramp") -> Config:
    """The ramp of `config` up to `high`: its data, model, optimizer and batch size, and nothing else of it."""
    test = config.range_test
    length, every = f"{test.epochs:g} epochs", f"{test.epochs / test.points:.6f} epochs"
    policy = {"name": "ramp", "min_lr": test.low, "max_lr": high, "iterations": length, "ramp": test.ramp}
    return _climb(config, seed, policy, every, LOSS_LIMIT, origin)


def _climb(config: Config, seed: int, policy: dict[str, Any], every: Any, loss_limit: float, origin: str) -> Config:
    return replace(
        config,
        experiment=RANGE_TEST,
        arm=None,
        seed=seed,
        iterations=policy["iterations"],
        scale=1.0,
        averages=[],
        bounds=replace(config.bounds, base_lr=policy["min_lr"], max_lr=policy["max_lr"], origin=origin),
        policy={"_target_": "clrbench.schedules.ramp", **policy},
        data=replace(config.data, evaluate="validation"),
        trainer=replace(config.trainer, evaluate_every=every, loss_limit=loss_limit, devices=1, nodes=1),
    )


def with_ramp_bounds(composed: DictConfig) -> DictConfig:
    """`composed` with the ends of the ramp, or of the scan, for bounds: those that its range test trains between."""
    low, high = composed.range_test.low, composed.range_test.high
    # What is no range is told of when the whole is checked.
    is_range = all(isinstance(end, (int, float)) for end in (low, high)) and 0 <= low < high
    base_lr, max_lr = (low, high) if is_range else (0.0, scan.HIGH)
    return _with_bounds(composed, base_lr, max_lr, RANGE_TEST)


def _with_bounds(composed: DictConfig, base_lr: float, max_lr: float, origin: str) -> DictConfig:
    made = composed.copy()
    with open_dict(made):
        made.bounds.base_lr, made.bounds.max_lr, made.bounds.origin = base_lr, max_lr, origin
    return made
