"""From the configuration of a policy to its schedule."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import hydra
from hydra.errors import HydraException

from clrbench.config import Config, in_iterations, with_iterations
from clrbench.errors import ConfigError
from clrbench.schedules import Schedule
from clrbench.settings import SettingError, for_some_epoch


def check_policy(config: Config) -> None:
    """Refuse, before any data are read, what no data could make possible. Raises ConfigError."""

    def check(per_epoch: int) -> None:
        in_iterations(config.iterations, per_epoch, "iterations")
        in_iterations(config.trainer.evaluate_every, per_epoch, "trainer.evaluate_every")
        schedule_of(config, per_epoch)

    for_some_epoch(check, ConfigError)


def schedule_of(config: Config, iterations_per_epoch: int) -> Schedule:
    """The schedule of a configuration where an epoch has so many iterations. Raises ConfigError for impossible settings."""
    schedule = _schedule(with_iterations(config.policy, iterations_per_epoch, "policy"), "policy")
    return dataclasses.replace(schedule, scale=config.scale)


def _schedule(node: Any, key: str) -> Schedule:
    """The schedule that a policy's node describes; nodes within it (as the stages of a staged policy) become schedules too."""
    if not isinstance(node, dict) or "_target_" not in node or (key == "policy" and not node.get("name")):
        raise ConfigError(
            f"{key}: a policy has a name, a _target_ (the function of the iteration) and that function's settings"
        )
    settings = {
        name: _with_schedules(value, f"{key}.{name}") for name, value in node.items() if name not in ("name", "_target_")
    }
    with naming(key):
        return Schedule(hydra.utils.get_method(node["_target_"]), settings)


def _with_schedules(value: Any, key: str) -> Any:
    if isinstance(value, list):
        return [_with_schedules(item, f"{key}[{at}]") for at, item in enumerate(value)]
    if isinstance(value, dict):
        if "_target_" in value:
            return _schedule(value, key)
        return {name: _with_schedules(item, f"{key}.{name}") for name, item in value.items()}
    return value


@contextlib.contextmanager
def naming(key: str) -> Iterator[None]:
    """Turn what goes wrong within into a ConfigError of one line that names the key."""
    try:
        yield
    except (ValueError, TypeError, KeyError, ImportError, AttributeError, HydraException) as error:
        detail = error.__cause__ if isinstance(error, HydraException) and error.__cause__ else error
        within = "." if isinstance(error, SettingError) else ": "
        raise ConfigError(f"{key}{within}{' '.join(str(detail).split())}") from error
