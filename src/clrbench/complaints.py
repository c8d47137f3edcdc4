"""What Hydra and OmegaConf complain about over several lines, in one, with what is allowed."""

import difflib
import re
import shlex
from collections.abc import Callable, Sequence
from typing import Any

from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf

Compose = Callable[[Sequence[str]], DictConfig]
# What other libraries call it, and how it is said here.
_ELSEWHERE = {
    **dict.fromkeys(("epochs", "max_epochs"), "iterations='4 epochs'"),
    **dict.fromkeys(("steps", "max_steps"), "iterations=4000"),
    **dict.fromkeys(("lr", "learning_rate"), "bounds.base_lr=0.001 bounds.max_lr=0.006"),
    **dict.fromkeys(("mode", "scheduler"), "policy=triangular2"),
}
_NUMBERS = {"Float": "no number: write for instance 0.05", "Integer": "no whole number: write for instance 3"}
_OWN_DATA = "; your own are data=npz data.path=FILE, or data=imagefolder data.path=FOLDER"


def in_one_line(error: Exception, overrides: Sequence[str], compose: Compose) -> str:
    """The complaint of an error that composing `overrides` raised; `compose` finds the keys that there are."""
    text = f"{error}\n{error.__cause__ or ''}"
    if match := re.search(r"Could not override '([\w.@/]+)'", text):
        # What a net or a policy takes is known once it is chosen, which the arms of a sweep do.
        is_of_arms = {"-m", "--multirun"} & set(overrides) and match[1].startswith(("model.net.", "policy."))
        in_sweep = f"; ++{match[1]}=... sets what only a sweep's arms have" if is_of_arms else ""
        return unknown_key(match[1], _composed_without_values(overrides, compose)) + in_sweep
    if match := re.search(r"Could not find '([^']+)'\n\nAvailable options in '([\w/]+)':\n((?:\t.*\n?)+)", text):
        chosen, group, options = match.groups()
        choice = chosen.removeprefix(f"{group}/")
        return f"{group}={choice} is unknown: choose one of {', '.join(options.split())}{_OWN_DATA if group == 'data' else ''}"
    if match := re.search(r"Ambiguous value for argument '([^=']+)=(.*)'", text):
        key, values = match.groups()
        return f"{key}={values} are several values: add -m to sweep over them, or write {key}=[{values}] for a list"
    if isinstance(error, OverrideParseException) and (said := _of_quotes(error.override)):
        return said
    if match := re.search(r"Error merging override (\S+)\n(.*)", text):
        return _of_value(match[1], match[2])
    return "; ".join(line.strip() for line in text.splitlines() if line.strip())


def _of_value(override: str, said: str) -> str:
    """What a value should be that is not of its key's type; of an item in a list, what OmegaConf says."""
    value = re.escape(override.partition("=")[2])
    match = re.fullmatch(rf"Value '{value}' .* could not be converted to (Float|Integer)", said)
    return f"{override} is {_NUMBERS[match[1]]}" if match else f"{override}: {said}"


def _of_quotes(override: str) -> str | None:
    """How to write an override that Hydra's grammar does not take; None for a list or a mapping, which no quotes mend."""
    key, equals, value = override.partition("=")
    if not equals:
        return f"{override!r} is not KEY=VALUE: put a value with a space in quotes, as in iterations='4 epochs'"
    if not value or value[0] in "[{":
        return None
    escaped = value.replace('"', '\\"')
    quoted = shlex.quote(f'{key}="{escaped}"')
    return f"{override}: Hydra reads such characters in double quotes alone, and the shell needs quotes around these: {quoted}"


def _composed_without_values(overrides: Sequence[str], compose: Compose) -> DictConfig:
    """The configuration that the choices among `overrides` make, or where they are at fault too, the default one."""
    choices = [text for text in overrides if re.fullmatch(r"[\w/]+=[\w/]+", text)]
    try:
        return compose(choices)
    except HydraException:
        return compose([])


def unknown_key(key: str, config: Any) -> str:
    """What to say of a key that `config`, composed without it, does not have."""
    parent, _, name = key.rpartition(".")
    node = OmegaConf.select(config, parent) if parent else config
    allowed = sorted(map(str, node)) if isinstance(node, DictConfig) else []
    if isinstance(node, DictConfig) and not allowed:
        return f"{key} is no key: {parent} is empty with this choice of {key.partition('.')[0]}"
    close = difflib.get_close_matches(name, allowed, 1)
    meant = _ELSEWHERE.get(name) or (".".join(filter(None, (parent, close[0]))) if close else _like(name, config))
    hint = f"did you mean {meant}? " if meant else ""
    return f"{key} is no key: {hint}{parent or 'the configuration'} has {', '.join(allowed)}"


def _like(name: str, config: DictConfig) -> str | None:
    """The key, wherever it lies, whose last part is most like `name`."""
    keys = {key.rpartition(".")[2]: key for key in reversed(_keys(OmegaConf.to_container(config), ""))}
    close = difflib.get_close_matches(name, keys, 1, cutoff=0.8)
    return keys[close[0]] if close else None


def _keys(node: Any, prefix: str) -> list[str]:
    """All keys below `node` that hold a value of their own, not that of another key."""
    if isinstance(node, dict):
        return [key for name, value in node.items() for key in _keys(value, f"{prefix}.{name}" if prefix else str(name))]
    return [] if isinstance(node, str) and node.startswith("${") else [prefix]
