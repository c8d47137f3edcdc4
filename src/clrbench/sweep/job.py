"""What a sweep hands to a worker: one run, every choice made and written down, so that the worker composes nothing."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigSource
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from clrbench.config import Config
from clrbench.files import write_text

JOB = "job"


@dataclass(frozen=True)
class Job:
    """A run: its configuration, bounds and seed bound; what was typed for it; and the id that it must lead to.

    branches: the iterations at which it leaves a checkpoint in the working folder of another run, which begins like it.
    """

    config: Config
    overrides: Sequence[str]
    run_id: str
    branches: Sequence[tuple[int, str]] = ()

    def write(self, path: Path) -> None:
        """Write it down; a kill leaves all of it or nothing."""
        content = {**vars(self), "config": asdict(self.config), "overrides": list(self.overrides)}
        write_text(path, json.dumps(content, indent=2) + "\n", flush=False)

    @classmethod
    def read(cls, path: Path) -> "Job":
        """What was written there."""
        content = json.loads(path.read_text(encoding="utf-8"))
        sections = {field.name: field.type for field in fields(Config) if is_dataclass(field.type)}
        settings: dict[str, Any] = {
            key: sections[key](**value) if key in sections else value  # type: ignore[operator]
            for key, value in content["config"].items()
        }
        return cls(Config(**settings), content["overrides"], content["run_id"], tuple(map(tuple, content["branches"])))


class JobLoader(ConfigLoader):
    """Makes of `job=PATH` what a launcher gives to a worker: the path, and the settings of Hydra that are the sweep's.

    Each launcher composes the configuration of every job; with this loader there is nothing to compose. All else is the
    business of the loader of the command.
    """

    def __init__(self, loader: ConfigLoader) -> None:
        self._loader = loader

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: Sequence[str]) -> DictConfig:
        """The configuration of the job that the one override names."""
        ((_, _, path),) = (text.partition("=") for text in sweep_overrides)
        made = OmegaConf.create({JOB: path})
        for key in ("paths", "hydra"):
            made[key] = master_config[key]  # a copy, as all that is put into a configuration
        OmegaConf.set_struct(made, True)
        with open_dict(made):
            made.hydra.overrides.task = []
        return made

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        """As the command's loader does it."""
        return self._loader.load_configuration(config_name, overrides, run_mode, from_shell, validate_sweep_overrides)

    def get_search_path(self) -> ConfigSearchPath:
        """As the command's loader has it."""
        return self._loader.get_search_path()

    def get_sources(self) -> list[ConfigSource]:
        """As the command's loader has them."""
        return self._loader.get_sources()

    def list_groups(self, parent_name: str) -> list[str]:
        """As the command's loader has them."""
        return self._loader.list_groups(parent_name)

    def get_group_options(
        self,
        group_name: str,
        results_filter: ObjectType | None = ObjectType.CONFIG,
        config_name: str | None = None,
        overrides: list[str] | None = None,
    ) -> list[str]:
        """As the command's loader has them."""
        return self._loader.get_group_options(group_name, results_filter, config_name, overrides)

    def compute_defaults_list(self, config_name: str | None, overrides: list[str], run_mode: RunMode) -> Any:
        """As the command's loader does it."""
        return self._loader.compute_defaults_list(config_name, overrides, run_mode)
