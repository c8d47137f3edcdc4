"""Where the suite's configurations lie and what its commands are called: in a checkout, and installed from a wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_ROOT = _PACKAGE.parents[1]
# Scripts of a checkout, and how the installed command is called that does the same.
_SCRIPTS = {"python train.py": "clrbench", "python scripts/range_test.py": "clrbench range-test"}
# Commands of `make` that `clrbench` has too, and settings that it calls otherwise.
_SHARED = ("plan", "decide", "league", "range-test", "report", "verify", "dashboard", "sync", "publish", "wandb")
_KEYS = {"SEEDS": "seed", "UNTIL": "hydra.sweeper.until"}


def configurations() -> Path:
    """The folder of the suite's configurations: inside the package, where a wheel has them, else conf/ of the checkout."""
    installed = _PACKAGE / "conf"
    return installed if installed.is_dir() else _ROOT / "conf"


def program() -> str:
    """How a user starts a run: by the checkout's script, else by the installed command."""
    return here("python train.py")


def decide_command() -> str:
    """How a user has a policy decided."""
    return here("make decide DATA=... MODEL=...")


def here(command: str) -> str:
    """A command of the checkout, as a user types it here: see `installed`."""
    return command if (_ROOT / "Makefile").is_file() else installed(command)


def here_in(sentence: str) -> str:
    """A sentence with each of its commands, which stand between backquotes, as a user types it here."""
    parts = sentence.split("`")
    return "`".join(here(part) if at % 2 else part for at, part in enumerate(parts))


def installed(command: str) -> str:
    """The command `clrbench` that does what a command of the checkout does; that itself where only a checkout can do it."""
    for script, name in _SCRIPTS.items():
        if command == script or command.startswith(f"{script} "):
            return name + command.removeprefix(script)
    name, *settings = command.removeprefix("make ").split() or [""]
    typed = [f"{_KEYS.get(key, key.lower())}={value}" for key, _, value in (word.partition("=") for word in settings)]
    if not command.startswith("make ") or name not in ("sweep", *_SHARED):
        return command
    if name == "sweep":
        return " ".join(["clrbench -m", *(typed or ["experiment=quick"])])
    return " ".join([f"clrbench {name}", *typed])
