"""The repository stays light, and its layers in order."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT
from PIL import Image

from lowest import TESTS
from screenshots import SCREEN

LARGEST = 2_000_000  # bytes
LARGEST_SCREENSHOT = 200_000


def test_no_file_in_the_repository_is_above_2_megabytes() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no git checkout")
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    assert files
    assert [path.name for path in files if path.is_file() and path.stat().st_size > LARGEST] == []


def test_the_readmes_screenshots_are_below_200_kb_and_as_large_as_the_script_takes_them() -> None:
    pictures = sorted((ROOT / "docs" / "screenshots").iterdir())
    assert [path.name for path in pictures] == ["page.webp", "trackio.webp"]
    for path in pictures:
        assert path.stat().st_size < LARGEST_SCREENSHOT
        assert Image.open(path).size == (SCREEN["width"], SCREEN["height"])


def test_the_tests_that_run_with_the_lowest_versions_exist() -> None:
    assert [name for name in TESTS if not (ROOT / "tests" / f"test_{name}.py").is_file()] == []


# Which way imports go


_LAYERS = (
    (
        "errors",
        "files",
        "stats",
        "measure",
        "settings",
        "schedules",
        "cycles",
        "descents",
        "complaints",
        "keys",
        "identity",
        "schema",
        "seeds",
    ),
    ("packages", "unofficial", "checkout", "environment", "orphans", "interrupts", "quiet", "screen", "streams"),
    ("models", "optim", "driver", "own_schedulers", "callback", "store", "lock", "task_form", "config", "policies"),
    ("runs", "data", "problems", "spec"),
    ("range_test",),
    ("tasks",),
    ("training",),
    ("analysis", "decision"),
    ("league",),
    ("report",),
    ("tracking",),
    ("sweep", "arguments"),
    ("usage", "cli", "subcommands", "comparison", "__main__", "__init__", "hydra_plugins"),
)
_LEVELS = {name: level for level, names in enumerate(_LAYERS) for name in names}


def imported(path: Path) -> Iterator[str]:
    """The names below clrbench that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1] for alias in node.names if alias.name.startswith("clrbench."))
        elif isinstance(node, ast.ImportFrom) and node.module == "clrbench":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("clrbench."):
            yield str(node.module).split(".")[1]


def _level(path: Path) -> int:
    package, *below = path.parts
    return _LEVELS[below[0].removesuffix(".py") if package == "clrbench" else package]


def test_imports_go_one_way() -> None:
    sources = ROOT / "src"
    wrong = [
        f"{path.relative_to(sources)} imports {name}"
        for path in sorted(sources.rglob("*.py"))
        for name in imported(path)
        if _LEVELS[name] > _level(path.relative_to(sources))
    ]
    assert wrong == []
