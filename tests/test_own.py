"""What docs/own.md shows is done as it is written there."""

import json
import os
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from commands import carried_out
from conftest import ROOT

from clrbench.schedules import Schedule

PAGE = (ROOT / "docs" / "own.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"`(mine/[\w./]+)`:\n\n```\w+\n(.*?)```", PAGE, re.DOTALL))
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]

# The modules of the page, each with its data.
TASKS = {
    **{"CharLM": "Corpus", "Curve": "Sine", "Tagger": "Tagged", "FineTuned": "Digits", "Autoencoder": "Pictures"},
    "Gan": "Ring",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout, as far as the page needs one, with the files that it shows."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("train.py", "conf"):
        (folder / name).symlink_to(ROOT / name)
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    return folder


def run(command: str, folder: Path) -> str:
    *settings, program = re.split(r"(?<=\w) (?=python )", command)
    environment = os.environ | dict(setting.split("=", 1) for setting in settings)
    arguments = shlex.split(program)[1:]
    if "train.py" in program:
        arguments.append("tracking.wandb=disabled")
    done = carried_out(arguments, folder, environment)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def test_every_command_of_the_page_runs_as_it_is_written(folder: Path) -> None:
    for command in COMMANDS:
        run(command, folder)
    records = [json.loads(path.read_text()) for path in sorted(folder.glob("results/runs/adhoc/*/result.json"))]
    assert {record["status"] for record in records} == {"finished"}
    assert {record["data"] for record in records} == {"stripes", "datamodule", "digits", *TASKS.values()}
    assert {record["model"] for record in records} == {"small_cnn", "perceptron", *TASKS}
    assert sorted((record["policy"], record["seed"]) for record in records if record["data"] == "digits") == [
        (policy, seed) for policy in ("halving", "triangular2") for seed in range(1, 6)
    ]


@pytest.mark.parametrize("module", TASKS)
def test_a_task_of_the_page_takes_less_than_forty_lines(module: str) -> None:
    (text,) = (text for text in FILES.values() if f"class {module}(" in text)
    assert len([line for line in text.splitlines() if line]) < 40


def test_the_policy_of_the_page_descends_from_half_the_rate_each_time() -> None:
    shown: dict[str, object] = {}
    exec(FILES["mine/my_policies.py"], shown)
    rates = shown["halving"](np.array([0, 50, 100, 150, 299]), max_lr=0.1, length=100)  # type: ignore[operator]
    assert rates == pytest.approx([0.1, 0.05, 0.05, 0.025, 0.00025])
    assert Schedule(shown["halving"], {"max_lr": 0.1, "length": 100}).cycle_ends(350) == [100, 200, 300]
