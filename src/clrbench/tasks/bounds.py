"""The range test of a user's own module: by `LRRangeTest`, on its own validation loop; kept beside the ramps of images.

RESULTS/runs/range_test/MODULE-DATA-DIGITS/bounds.json
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import hydra
import numpy as np
from pytorch_lightning.utilities.seed import isolate_rng

from clrbench.config import PRECISIONS, Config
from clrbench.errors import ConfigError
from clrbench.files import write_text
from clrbench.identity import digits
from clrbench.range_test.anchor import RULE
from clrbench.range_test.curve import Curve
from clrbench.range_test.judge import FoundBounds
from clrbench.range_test.records import RANGE_TEST, Measured
from clrbench.range_test.standalone import Found, LRRangeTest
from clrbench.store import run_folder
from clrbench.tasks.deal import seed_all
from clrbench.tasks.own_spec import OwnSpec, accumulated, blaming, resolve_own

Say = Callable[[str], None]
_LEAST_STEPS = 200
# What LRRangeTest calls `seeds` and `iterations`.
_SEEDS, _LENGTH = "range_test.seeds", "range_test.epochs"
_VALUES = ("rates", "accuracies", "losses")
# What of a run's identity its bounds do not depend on.
_OF_A_RUN = ("policy", "iterations", "seed", "evaluate_every", "scale")


@dataclass(frozen=True)
class OwnMeasured(Measured):
    """The range test of a user's own module, whose ramps are no runs. identity: all that decides the bounds."""

    names: Sequence[str]
    found: Sequence[Curve]
    identity: Mapping[str, Any]

    @property
    def curves(self) -> list[Curve]:
        """The metric against the rate, a curve a seed."""
        return list(self.found)

    @property
    def subject(self) -> Sequence[str]:
        """The names of data and module."""
        return self.names

    @property
    def classes(self) -> None:
        """None: a module is judged by a metric of its own."""
        return None

    @property
    def _digits(self) -> str:
        return digits(self.identity)


def measure_own(config: Config, say: Say) -> OwnMeasured:
    """The bounds of the module of `config`, measured where they were not before. Raises ConfigError in one line."""
    spec = _spec(config)
    if not _file(spec).is_file():
        with blaming("bounds=range_test"):
            _write(spec, *_found(spec, say))
    return _read(spec, say)


def look_up_own(config: Config, say: Say) -> OwnMeasured:
    """The same, where nothing may be started. Raises ConfigError where they were not measured before."""
    spec = _spec(config)
    if not _file(spec).is_file():
        raise ConfigError("bounds=range_test: not measured yet: `clrbench range-test ...` does it, as does the sweep itself")
    return _read(spec, say)


def _spec(config: Config) -> OwnSpec:
    """The module and the data, without the policy that is to have the bounds."""
    policy = {"name": RANGE_TEST, "_target_": "clrbench.schedules.fixed", "base_lr": 0.0}
    return resolve_own(replace(config, policy=policy, iterations=1, scale=1.0))


def _found(spec: OwnSpec, say: Say) -> tuple[Found, float]:
    """What the range test finds, and the seconds that it takes."""
    config, test, started = spec.config, spec.config.range_test, time.monotonic()
    if test.rule not in (None, RULE):
        raise ConfigError(f"range_test.rule={test.rule} reads the accuracies of images: leave it out with task=lightning")
    steps = max(_LEAST_STEPS, round(test.epochs * spec.iterations_per_epoch))
    seed_all(test.seeds[0], "weights")
    module = hydra.utils.instantiate(config.task.module, _convert_="all")
    ranging = LRRangeTest(
        high=None if test.finds_range else test.high,
        low=test.low,
        ramp=test.ramp,
        iterations=steps,
        points=test.points,
        seeds=test.seeds,
        say=say,
        trainer={
            "accelerator": "cuda" if config.trainer.accelerator == "gpu" else "cpu",
            "precision": PRECISIONS[config.trainer.precision],
            **config.task.trainer,
            "accumulate_grad_batches": accumulated(config) * config.trainer.processes,  # one device, for as many batches
        },
    )
    with isolate_rng():
        data = hydra.utils.instantiate(config.task.data, _convert_="all")
        found = ranging.run(module, data, monitor=config.task.monitor, mode=str(config.task.mode))
    reasons = tuple(reason.replace("`seeds`", _SEEDS).replace("`iterations`", _LENGTH) for reason in found.bounds.reasons)
    return replace(found, bounds=replace(found.bounds, reasons=reasons)), time.monotonic() - started


def _identity(spec: OwnSpec) -> dict[str, Any]:
    """All that decides the bounds."""
    return {**{key: value for key, value in spec.identity.items() if key not in _OF_A_RUN}, "range_test": _settings(spec)}


def _settings(spec: OwnSpec) -> Mapping[str, Any]:
    return {key: str(value) if key == "high" else value for key, value in asdict(spec.config.range_test).items()}


def _file(spec: OwnSpec) -> Path:
    name = f"{spec.config.model.name}-{spec.config.data.name}-{digits(_identity(spec))}"
    return run_folder(Path(spec.config.paths.results), RANGE_TEST, name) / "bounds.json"


def _write(spec: OwnSpec, found: Found, seconds: float) -> None:
    curves = [{**vars(curve), **{key: list(getattr(curve, key)) for key in _VALUES}} for curve in found.curves]
    about = {"identity": _identity(spec), "source": dict(spec.source), "steps": found.steps, "seconds": round(seconds, 3)}
    write_text(_file(spec), json.dumps({**about, "bounds": asdict(found.bounds), "curves": curves}, indent=2) + "\n")


def _read(spec: OwnSpec, say: Say) -> OwnMeasured:
    content = json.loads(_file(spec).read_text(encoding="utf-8"))
    if content["source"] != dict(spec.source):
        say(
            f"warning: the code of the task has changed since its range test ({_file(spec)}), whose bounds are taken as they "
            "are: say another task.version to measure them anew"
        )
    bounds: dict[str, Any] = {key: _tuple(value) for key, value in content["bounds"].items()}
    curves = [Curve(**one | {key: np.array(one[key], float) for key in _VALUES}) for one in content["curves"]]
    return OwnMeasured((), FoundBounds(**bounds), [spec.config.data.name, spec.config.model.name], curves, _identity(spec))


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
