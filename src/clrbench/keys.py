"""Keys that nothing reads: Hydra's + and ++ add any key, also to sections whose keys are fixed."""

import dataclasses
import typing
from collections.abc import Iterator

from omegaconf import DictConfig, OmegaConf

from clrbench.complaints import unknown_key
from clrbench.errors import ConfigError


def check_keys(composed: DictConfig, form: type) -> None:
    """Refuse keys of `composed` that the dataclass `form` lacks. Raises ConfigError for the first, with what was meant."""
    unknown = list(_unknown(composed, form, ""))
    if unknown:
        known = OmegaConf.to_container(composed)
        for key in unknown:
            *sections, name = key.split(".")
            section: typing.Any = known
            for each in sections:
                section = section[each]
            del section[name]
        raise ConfigError(unknown_key(unknown[0], OmegaConf.create(known)))


def _unknown(node: DictConfig, form: type, prefix: str) -> Iterator[str]:
    # What nets, rules, policies and data modules take is up to their classes: those fields are no dataclasses.
    fields = typing.get_type_hints(form)
    for name in map(str, node):
        if name not in fields:
            yield prefix + name
        elif dataclasses.is_dataclass(fields[name]) and isinstance(section := node[name], DictConfig):
            yield from _unknown(section, fields[name], f"{prefix}{name}.")
