"""Where the suite's configurations lie and what its commands are called: in a checkout, and installed from a wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_ROOT = _PACKAGE.parents[1]


def configurations() -> Path:
    """The folder of the suite's configurations: inside the package, where a wheel has them, else conf/ of the checkout."""
    installed = _PACKAGE / "conf"
    return installed if installed.is_dir() else _ROOT / "conf"


def decide_command() -> str:
    """How a user has a policy decided."""
    return "make decide" if (_ROOT / "Makefile").is_file() else "clrbench decide"


def program() -> str:
    """How a user starts a run: by the checkout's script, else by the installed command."""
    return "python train.py" if (_ROOT / "train.py").is_file() else "clrbench"
