"""The commands, as a user types them."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import carried_out
from conftest import ROOT
from sweeps import NETS, results_by_status

from clrbench.interrupts import INTERRUPTED

SHORT = ("iterations=2 epochs", "policy.step_size=1 epoch", "tracking.wandb=disabled")


def arguments_for(folder: Path, *overrides: str) -> list[str]:
    return [sys.executable, "train.py", *overrides, f"paths.results={folder}/results", f"paths.outputs={folder}/outputs"]


def run(folder: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    return carried_out(arguments_for(folder, *overrides)[1:], ROOT)


def test_one_run_says_each_choice_and_the_result_with_its_record(tmp_path: Path) -> None:
    done = run(tmp_path, *SHORT, "policy=exp_range")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    names = [line.split()[0] for line in done.stdout.splitlines()]
    assert names == ["data", "model", "optimizer", "policy", "budget", "seed", "record", "test"]
    folder = next((tmp_path / "results" / "runs" / "adhoc").iterdir())
    assert done.stdout.splitlines()[-1].endswith(str(folder))


def test_a_sweep_goes_on_after_a_bad_run_ends_with_a_table_and_tells_in_its_exit_code(tmp_path: Path) -> None:
    sweep = (
        "-m",
        "iterations=80",
        "tracking.wandb=disabled",
        "policy=fixed,exp",
        "data.batch_size=32,5000",
        "hydra.launcher.n_jobs=1",
    )
    done = run(tmp_path, *sweep)
    assert done.returncode == 1
    assert "data.batch_size=5000 is more than the 1302 training images" in done.stderr
    names = [path.name.partition("-")[0] for path in (tmp_path / "results" / "runs" / "adhoc").iterdir()]
    assert sorted(names) == ["exp", "fixed", "invalid", "invalid"]
    table = [line for line in done.stdout.splitlines() if line.startswith("│")]
    assert [re.findall(r"\w+", line)[0] for line in table] == ["fixed", "exp"]
    assert re.search(r"^(fixed|exp) is [a-z ]+ (fixed|exp): \+\d+\.\d\d points, n = 1 common seed$", done.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("policy=exprange", "policy=exprange is unknown: choose one of cosine, cosine_restarts"),
        ("policy.gama=0.9", "policy.gama is no key"),
        ("seed=first", "seed=first is no whole number: write for instance 3"),
        ("bounds.max_lr=0.001", "bounds.max_lr=0.001 is not above bounds.base_lr=0.002: raise it"),
        ("seed=1,2", "seed=1,2 are several values: add -m to sweep over them"),
        ("iterations=0", "iterations=0 is not a length"),
        ("data.path=mine.npz", "data.path=mine.npz is not read by data=digits: take data=npz"),
        ("data.module._target_=mine.Images", "data.module._target_ is no key: data.module is empty with this choice of data"),
        ("++data.module._target_=mine.Images", "data.module is not read by data=digits: take data=datamodule with it"),
        ("experiment=null", "experiment=null chooses nothing: leave it out"),
        ("--epochs=3", "--epochs=3 is no option: write settings as KEY=VALUE, without dashes"),
        ("+foo=1", "foo is no key: the configuration has arm, averages, bounds"),
        ("++trainer.max_epochs=1", "trainer.max_epochs is no key: did you mean iterations='4 epochs'?"),
        ("policy.window=square", "window=square is impossible: it must be one of triangular, parabolic, hann"),
    ],
)
def test_a_wrong_override_ends_in_one_line_before_anything_is_made(tmp_path: Path, override: str, words: str) -> None:
    done = run(tmp_path, override)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "results").exists()
    assert not (tmp_path / "outputs" / "cache").exists()


def test_a_sweep_over_nets_says_how_to_set_what_they_alone_have(tmp_path: Path) -> None:
    sweep = ("-m", "model=resnet,stochastic_depth", "hydra.sweeper.plan_only=true")
    said = run(tmp_path, *sweep, "model.net.depth=8").stderr
    assert said.startswith("error: model.net.depth is no key: ")
    assert said.endswith("; ++model.net.depth=... sets what only a sweep's arms have\n")
    assert "2 runs: 2 missing" in run(tmp_path, *sweep, "++model.net.depth=8").stdout


def test_options_may_stand_between_overrides_and_behind_them(tmp_path: Path) -> None:
    shown = run(tmp_path, "policy=fixed", "-m", "seed=1,2", "hydra.sweeper.plan_only=true", "--config-dir", str(tmp_path))
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "2 runs: 2 missing" in shown.stdout


def test_what_a_sweep_spans_can_be_added_to_the_sweeper_itself(tmp_path: Path) -> None:
    shown = run(tmp_path, "-m", "+hydra.sweeper.params.seed='1,2'", "hydra.sweeper.plan_only=true")
    assert "2 runs: 2 missing" in shown.stdout


def test_help_lists_the_choices_and_the_configuration_can_be_shown(tmp_path: Path) -> None:
    assert "policy: cosine, cosine_restarts, decay" in run(tmp_path, "--help").stdout
    assert "step_size: 4 epochs" in run(tmp_path, "--cfg", "job").stdout


def test_ctrl_c_ends_a_run_with_one_line_and_the_same_command_goes_on(tmp_path: Path) -> None:
    long = ("iterations=1000", "trainer.evaluate_every=20", "tracking.wandb=disabled")
    command = arguments_for(tmp_path, *long)
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not list(tmp_path.glob("results/runs/adhoc/*/evals.csv")):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.splitlines() == [f"error: {INTERRUPTED}"]
    again = run(tmp_path, *long)
    assert re.search(r"goes on from iteration [\d,]+ of 1,000", again.stdout)
    assert again.returncode == 0


def test_a_run_whose_reader_goes_away_ends_well(tmp_path: Path) -> None:
    command = arguments_for(tmp_path, *SHORT, f"model.net._target_={NETS}.Talking")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": os.environ | {"PYTHONPATH": str(ROOT / "tests")}}
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert [(status, len(found)) for status, found in results_by_status(tmp_path).items()] == [("finished", 1)]


def test_make_alone_lists_the_commands() -> None:
    listed = subprocess.run(
        ["make"], cwd=ROOT, capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]}
    ).stdout
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {"setup", "sweep", "test", "bench", "publish"} <= set(targets)
    assert all(re.search(rf"^  {target} ", listed, re.MULTILINE) for target in targets)
