"""What Hydra and OmegaConf complain about over several lines, in one, with what is allowed."""

import difflib
import re
from collections.abc import Callable, Sequence

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

Compose = Callable[[Sequence[str]], DictConfig]


def in_one_line(error: Exception, overrides: Sequence[str], compose: Compose) -> str:
    """The complaint of an error that composing `overrides` raised; `compose` finds the keys that there are."""
    text = f"{error}\n{error.__cause__ or ''}"
    if match := re.search(r"Could not override '([\w.@/]+)'", text):
        return _unknown_key(match[1], _composed_without_values(overrides, compose))
    if match := re.search(r"Could not find '([\w/]+)/([^/']+)'\n\nAvailable options in '[\w/]+':\n((?:\t.*\n?)+)", text):
        group, choice, options = match.groups()
        return f"{group}={choice} is unknown: choose one of {', '.join(options.split())}"
    if match := re.search(r"Error merging override (\S+)\n(.*)", text):
        return f"{match[1]}: {match[2]}"
    return "; ".join(line.strip() for line in text.splitlines() if line.strip())


def _composed_without_values(overrides: Sequence[str], compose: Compose) -> DictConfig:
    """The configuration that the choices among `overrides` make, or where they are at fault too, the default one."""
    choices = [text for text in overrides if re.fullmatch(r"[\w/]+=[\w/]+", text)]
    try:
        return compose(choices)
    except HydraException:
        return compose([])


def _unknown_key(key: str, config: DictConfig) -> str:
    parent, _, name = key.rpartition(".")
    node = OmegaConf.select(config, parent) if parent else config
    allowed = sorted(map(str, node)) if isinstance(node, DictConfig) else []
    close = difflib.get_close_matches(name, allowed, 1)
    hint = f"did you mean {'.'.join(filter(None, (parent, close[0])))}? " if close else ""
    return f"{key} is no key: {hint}{parent or 'the configuration'} has {', '.join(allowed)}"
