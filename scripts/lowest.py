"""Run tests with the lowest version of each direct requirement that pyproject.toml admits: `make lowest`.

A new environment, outputs/lowest, gets those versions alone. All else is lent by the environment that runs this: what the
requirements need themselves, the tests' own packages, and torch and torchvision, which take several GB a version.
"""

import argparse
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LENT = ("torch", "torchvision")
# Callback, a run, the lock on it, the tracker, the report, verdicts and comparisons.
TESTS = ("callback", "run", "lock", "wandb", "report", "verdicts", "pairs", "range_test", "package")


def main() -> None:
    """Install, then run the tests that the command line names, else TESTS; ends with the exit code of pytest."""
    parser = argparse.ArgumentParser(description=__doc__)
    usual = [f"tests/test_{name}.py" for name in TESTS]
    parser.add_argument("tests", nargs="*", default=usual, help=f"files of tests ({', '.join(TESTS)})")
    tests = parser.parse_args().tests
    folder = ROOT / "outputs" / "lowest"
    venv.create(folder, clear=True, with_pip=False)
    python = folder / "bin" / "python"
    pins = lowest()
    print("lowest:", *pins, flush=True)
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-qq", "--no-deps"]
    subprocess.run([*pip, *pins], check=True)
    packages = folder / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"
    (packages / "lent.pth").write_text(f"{ROOT / 'src'}\n{sysconfig.get_path('purelib')}\n")
    sys.exit(subprocess.run([str(python), "-m", "pytest", *tests], cwd=ROOT, check=False).returncode)


def lowest() -> list[str]:
    """NAME==VERSION of each requirement but those that are lent."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    bounds = (re.split(r">=|,", text) for text in [*project["dependencies"], *project["optional-dependencies"]["suite"]])
    return [f"{name}=={version}" for name, version, *_ in bounds if name not in LENT]


if __name__ == "__main__":
    main()
