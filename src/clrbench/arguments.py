"""What was typed, before Hydra reads it: options in any place, choices of nothing, choices that contradict each other."""

import re
from collections.abc import Collection, Sequence

from clrbench.errors import ConfigError

# Hydra's options, with their short forms: those that stand alone, those with a value, and the one whose value may be missing.
_SWITCHES = {
    **{"--help": "-h", "--hydra-help": "", "--version": "", "--resolve": "", "--run": "-r", "--multirun": "-m"},
    "--shell-completion": "-sc",
}
_VALUED = {
    **{"--cfg": "-c", "--package": "-p", "--config-path": "-cp", "--config-name": "-cn", "--config-dir": "-cd"},
    "--experimental-rerun": "",
}
_INFO = "--info"
OPTIONS = {**_SWITCHES, **_VALUED, _INFO: "-i"}
_CHOICE = re.compile(r"(\w+)=(.+)")


def options_first(arguments: Sequence[str]) -> list[str]:
    """The arguments with the options before the overrides: Hydra refuses overrides on both sides of an option.

    Raises ConfigError for an unknown option.
    """
    options: list[str] = []
    overrides: list[str] = []
    waiting = ""  # the option that the next argument may be the value of
    for text in arguments:
        if waiting in _VALUED or (waiting and "=" not in text):
            options[-1] = f"{waiting}={text}"
            waiting = ""
        elif text.startswith("-"):
            option = _option(text)
            options.append(f"{_INFO}=all" if text in (_INFO, OPTIONS[_INFO]) else text)
            waiting = "" if option in _SWITCHES or "=" in text else option
        else:
            overrides.append(text)
            waiting = ""
    return options + overrides


def _option(text: str) -> str:
    """The full name of an option; a part of it is enough as long as no other begins like that."""
    typed = text.partition("=")[0]
    found = [name for name, short in OPTIONS.items() if typed in (name, short)]
    found = found or [name for name in OPTIONS if len(typed) > 2 and name.startswith(typed)]
    if len(found) != 1:
        known = ", ".join(f"{name} ({short})" if short else name for name, short in OPTIONS.items())
        raise ConfigError(f"{text} is no option: write settings as KEY=VALUE, without dashes; the options are {known}")
    return found[0]


def check_choices(arguments: Sequence[str], groups: Collection[str]) -> None:
    """Refuse a choice of nothing, such as experiment=null, which Hydra cannot read. Raises ConfigError."""
    for text in arguments:
        match = _CHOICE.fullmatch(text.lstrip("+"))
        if match and match[1] in groups and "null" in match[2].lower().split(","):
            raise ConfigError(f"{text} chooses nothing: leave it out, or choose one that --help lists")


def check_search(arguments: Sequence[str]) -> None:
    """Refuse params for Optuna's sweeper: its own are null, and Hydra cannot merge into that. Raises ConfigError."""
    if "hydra/sweeper=optuna" in arguments and any(text.startswith("hydra.sweeper.params=") for text in arguments):
        raise ConfigError(
            "hydra.sweeper.params=... cannot be set beside hydra/sweeper=optuna: write what it searches as settings of their "
            "own, such as 'bounds.max_lr=interval(0.01,0.1)'"
        )


def check_arm(overrides: Sequence[str]) -> None:
    """Refuse a policy beside an arm, for an arm is a policy with its budget. Raises ConfigError."""
    chosen = {match[1]: match[2] for text in overrides if (match := _CHOICE.fullmatch(text))}
    if "arm" in chosen and "policy" in chosen:
        raise ConfigError(
            f"policy={chosen['policy']} contradicts the arm, which brings its own policy: leave it out, or sweep over policies "
            "instead of arms, as in -m policy=fixed,hann"
        )
