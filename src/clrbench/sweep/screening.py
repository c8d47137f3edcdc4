"""Bounds that a screening chose: of those that it tried, the best on images held out of training."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from omegaconf import DictConfig, OmegaConf, open_dict

from clrbench.checkout import program
from clrbench.config import SCREENED, Config, checked
from clrbench.errors import ConfigError
from clrbench.runs import OWN, Run, run_of
from clrbench.spec import Spec
from clrbench.store import records

# The screening of experiment=NAME is experiment=NAME_screening.
_SUFFIX = "_screening"
Resolve = Callable[[Config], Spec]
Say = Callable[[str], None]
# (base_lr, max_lr), and the values by seed of the runs between them.
Tried = Mapping[tuple[float, float], Mapping[int, float]]


def wants_screened_bounds(composed: DictConfig) -> bool:
    """Whether a composed configuration leaves its bounds to a screening."""
    return bool(composed.bounds.origin == SCREENED)


def with_screened_bounds(composed: DictConfig, resolve: Resolve, say: Say) -> DictConfig:
    """`composed` with the best of the bounds that its screening tried; itself where it has bounds of its own.

    resolve: the run of a configuration. Raises ConfigError where fewer than two bounds were tried with the same seeds.
    """
    if not wants_screened_bounds(composed):
        return composed
    runs = _screening(composed, resolve)
    tried = _values(runs)
    seeds = set.intersection(*map(set, tried.values())) if tried else set()
    name = composed.arm or OmegaConf.select(composed, "policy.name")
    if len(tried) < 2 or not seeds:
        raise ConfigError(
            f"bounds=screened: {name} has {len(tried)} bounds tried with one set of seeds, and a choice takes two: "
            f"`{program()} -m experiment={composed.experiment}{_SUFFIX}`, with the same settings, tries them"
        )
    sign = runs[0].measure.sign
    means = {bounds: sign * fmean(values[seed] for seed in seeds) for bounds, values in tried.items()}
    best = max(means, key=lambda bounds: means[bounds])
    say(f"{name}: {_choice(best, sorted(tried), len(seeds))}")
    names = ", ".join(run.result.name for run in runs)
    return _with(composed, {"bounds": {"base_lr": best[0], "max_lr": best[1], "origin": f"{SCREENED}, the best of: {names}"}})


def _screening(composed: DictConfig, resolve: Resolve) -> list[Run]:
    """The runs that differ from `composed` in bounds, seed and the images that they are evaluated on, and in nothing else."""
    folder = Path(composed.paths.results) / OWN / f"{composed.experiment}{_SUFFIX}"
    ended = [run for record in records(folder) for run in run_of(record, OWN)]
    return [run for run in ended if run.result.arm == composed.arm and _is_of(run, composed, resolve)]


def _is_of(run: Run, composed: DictConfig, resolve: Resolve) -> bool:
    bounds = {key: run.config["bounds"][key] for key in ("base_lr", "max_lr")}
    of_its_kind = _with(
        composed, {"bounds": {**bounds, "origin": "tried"}, "seed": run.result.seed, "data": {"evaluate": "validation"}}
    )
    return resolve(checked(of_its_kind)).run_id == run.result.run_id


def _values(runs: Sequence[Run]) -> Tried:
    """What the runs ended with; the worst there is for those that diverged."""
    tried: dict[tuple[float, float], dict[int, float]] = defaultdict(dict)
    for run in runs:
        bounds = run.config["bounds"]
        value = run.result.value
        tried[bounds["base_lr"], bounds["max_lr"]][run.result.seed] = -run.measure.sign * math.inf if value is None else value
    return tried


def _choice(best: tuple[float, float], tried: Sequence[tuple[float, float]], seeds: int) -> str:
    """Which bounds were chosen of which, and whether better ones may lie beyond them."""
    peaks = ", ".join(f"{peak:g}" for _, peak in tried)
    ends = {tried[0]: "lower", tried[-1]: "higher"}
    beyond = f"; a {ends[best]} one may be better still" if best in ends else ""
    return f"max_lr {best[1]:g} is the best of {peaks} on held-out images, {seeds} seed{'s' * (seeds > 1)} each{beyond}"


def _with(composed: DictConfig, changes: Mapping[str, object]) -> DictConfig:
    made = composed.copy()
    with open_dict(made):
        made.merge_with(OmegaConf.create(dict(changes)))
    return made
