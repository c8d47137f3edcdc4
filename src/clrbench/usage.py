"""What `--help` prints: of a subcommand what it does and its own settings, and of Hydra the choices that a user has."""

import contextlib
import io
import sys
from collections.abc import Iterator

from clrbench.checkout import configurations

# The group of configurations that holds the settings of a subcommand.
_SETTINGS = {"decide": "decide", "league": "league", "range-test": "range_test"}
# Configurations that nobody chooses: the suite reads all of them.
_NO_CHOICE = "claims: "


def introduction(subcommand: str, words: str) -> str:
    """What a subcommand does, and its settings with their usual values and meaning, a line each."""
    lines = [f"clrbench {subcommand} CHOICES: {words}"]
    if group := _SETTINGS.get(subcommand):
        text = (configurations() / group / "default.yaml").read_text(encoding="utf-8")
        lines += ["", "Settings (KEY=VALUE):", "", *(_setting(line, group) for line in text.splitlines())]
    return "\n".join([*lines, "", "It takes the choices of a run, too:"])


def _setting(line: str, group: str) -> str:
    """A line of a configuration as one types it, KEY=VALUE, with its meaning behind; a comment stays as it is."""
    if line.startswith(("#", " ")):
        return line
    key, _, rest = line.partition(": ")
    value, _, meaning = rest.partition("#")
    typed = f"{group}.{key}={value.strip().replace(', ', ',')}"
    return f"{typed:<26} # {meaning.strip()}" if meaning else typed


@contextlib.contextmanager
def without_what_nobody_chooses() -> Iterator[None]:
    """Within, Hydra's help lacks the configurations that are no choice."""
    if not wants_help():
        yield
        return
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            yield
    finally:  # Hydra ends the process behind its help
        print("\n".join(line for line in printed.getvalue().splitlines() if not line.startswith(_NO_CHOICE)))


def wants_help() -> bool:
    """Whether the command line asks for help."""
    return any(text in ("-h", "--help") for text in sys.argv[1:])
