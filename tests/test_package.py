"""The package beside other people's projects: what its parts import, what Hydra hears of it, and the command `clrbench`."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from conftest import ROOT

from clrbench import __main__ as command
from clrbench import checkout

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SHORT = ("iterations=2 epochs", "policy.step_size=1 epoch", "tracking.wandb=disabled", "trainer.threads=1")


def done(code_or_module: str, *arguments: str, folder: Path, option: str = "-c") -> subprocess.CompletedProcess[str]:
    started = [sys.executable, option, code_or_module, *arguments]
    return subprocess.run(started, cwd=folder, capture_output=True, text=True, check=False, timeout=240)


def clrbench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return done("clrbench", *arguments, folder=folder, option="-m")


# What only the suite needs


LACKING_SUITE = """
import sys

SUITE = {suite}


class Lacking:
    # Lightning may take of it what it finds: it is the package that has to do without.
    def find_spec(self, name, path=None, target=None):
        frame = sys._getframe(1)
        while "importlib" in frame.f_code.co_filename:
            frame = frame.f_back
        if name.split(".")[0] in SUITE and frame.f_globals["__name__"].startswith(("clrbench", "__main__")):
            raise ModuleNotFoundError(name, name=name)


sys.meta_path.insert(0, Lacking())
"""
# By the name under which a requirement is imported, where that is another one.
IMPORTED_AS = {
    "hydra-core": "hydra",
    "hydra-joblib-launcher": "hydra_plugins",
    "pillow": "PIL",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
}
LIBRARY = """
import torch, pytorch_lightning as pl
from torch.utils.data import DataLoader, TensorDataset
from clrbench import CyclicLR, LRRangeTest, schedules

class Module(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 2)
    def forward(self, images):
        return self.layer(images)
    def training_step(self, batch):
        return torch.nn.functional.cross_entropy(self(batch[0]), batch[1])
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

images = torch.randn(100, 4)
loader = DataLoader(TensorDataset(images, (images[:, 0] > 0).long()), 20)
clr = CyclicLR("triangular2", base_lr=0.001, max_lr=0.006, step_size=20)
quiet = dict(logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu")
pl.Trainer(max_steps=10, callbacks=[clr], **quiet).fit(Module(), loader)
found = LRRangeTest(high=1.0, iterations=40).run(Module(), loader, loader)
print(float(schedules.triangular2(20, 0.001, 0.006, 20)), found.bounds)
"""


def names(requirements: list[str]) -> set[str]:
    stripped = (requirement.split(">")[0].split("[")[0] for requirement in requirements)
    return {IMPORTED_AS.get(name, name.replace("-", "_")) for name in stripped}


SUITE = names(PROJECT["optional-dependencies"]["suite"])


def test_callback_schedules_and_range_test_work_without_the_suite(tmp_path: Path) -> None:
    ended = done(LACKING_SUITE.format(suite=SUITE) + LIBRARY, folder=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1].startswith("0.006 FoundBounds(")


def test_the_schedules_need_numpy_alone(tmp_path: Path) -> None:
    code = "import sys, clrbench.schedules; print('torch' in sys.modules, 'scipy' in sys.modules)"
    assert done(code, folder=tmp_path).stdout == "False False\n"


def test_the_command_without_the_suite_says_in_one_line_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == "polars" else object())
    with pytest.raises(SystemExit) as caught:
        command.main()
    words = "the command needs the whole suite, but polars is not installed: pip install 'clrbench[suite]'"
    assert caught.value.code == f"error: {words}"


def test_the_bare_package_asks_for_four_others() -> None:
    assert names(PROJECT["dependencies"]) == {"torch", "pytorch_lightning", "numpy", "scipy"}
    assert not SUITE & {"torch", "pytorch_lightning", "numpy", "scipy"}


# Somebody else's Hydra project


FOREIGN = """
import json, sys, warnings
import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins

@hydra.main(version_base="1.3", config_path=None)
def main(_):
    plugins = [kind.__name__ for kind in Plugins.instance().discover()]
    loaded = [name for name in sys.modules if name.startswith(("clrbench.", "hydra_plugins.clrbench_cells."))]
    print(json.dumps([loaded, "CellSweeper" in plugins, plugins.count("SlurmLauncher"), list(ConfigStore.instance().repo)]))

main()
"""


def test_another_hydra_program_of_the_environment_hears_nothing_of_the_suite(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(FOREIGN)
    ended = subprocess.run([sys.executable, "app.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ended.stderr == ""
    loaded, has_sweeper, launchers, stored = json.loads(ended.stdout)
    assert (loaded, has_sweeper) == ([], False)
    assert launchers <= 1  # submitit's own, where it is installed
    assert "schema.yaml" not in stored


# The command


def test_the_configurations_lie_in_the_package_where_a_wheel_has_them_else_in_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert checkout.configurations() == ROOT / "conf"
    monkeypatch.setattr(checkout, "_PACKAGE", tmp_path)
    (tmp_path / "conf").mkdir()
    assert checkout.configurations() == tmp_path / "conf"


@pytest.mark.parametrize(
    ("command", "installed"),
    [
        ("python train.py", "clrbench"),
        ("python train.py -m experiment=table1 seed=1,2", "clrbench -m experiment=table1 seed=1,2"),
        ("python scripts/range_test.py data=mnist", "clrbench range-test data=mnist"),
        ("make sweep", "clrbench -m experiment=quick"),
        ("make sweep EXPERIMENT=windows UNTIL=settled", "clrbench -m experiment=windows hydra.sweeper.until=settled"),
        ("make range-test DATA=digits MODEL=linear", "clrbench range-test data=digits model=linear"),
        ("make sync", "clrbench sync"),
        ("make bench", "make bench"),
        ("", ""),
    ],
)
def test_advice_names_the_command_that_there_is(
    command: str, installed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert checkout.here_in(f"then `{command}` does it") == f"then `{command}` does it"
    monkeypatch.setattr(checkout, "_ROOT", tmp_path)
    assert checkout.here_in(f"then `{command}` does it") == f"then `{installed}` does it"


def test_a_wheel_has_a_command_for_each_of_make_but_those_that_work_on_the_checkout() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {line.partition(":")[0] for line in text.splitlines() if "  ## " in line}
    assert {name for name in targets if checkout.installed(f"make {name}") == f"clrbench {name}"} == command.SUBCOMMANDS.keys()


def test_in_an_empty_folder_the_command_trains_and_reports_and_leaves_results_and_outputs(tmp_path: Path) -> None:
    ran = clrbench(tmp_path, *SHORT, "policy=exp_range")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "test accuracy" in ran.stdout
    reported = clrbench(tmp_path, "report")
    answer, *files = reported.stdout.splitlines()
    assert answer.startswith("No runs bear on the paper's main claim yet")
    assert files == ["outputs/report/index.html", "outputs/report/summary.md"]
    assert clrbench(tmp_path, "verify").returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outputs", "results"]


def test_ones_own_configurations_join_those_of_the_package(tmp_path: Path) -> None:
    (tmp_path / "mine" / "policy").mkdir(parents=True)
    policy = (ROOT / "conf" / "policy" / "fixed.yaml").read_text()
    (tmp_path / "mine" / "policy" / "steady.yaml").write_text(policy)
    planned = clrbench(tmp_path, "plan", "--config-dir", "mine", "policy=steady,fixed", "seed=1,2")
    assert "4 runs: 4 missing" in planned.stdout
    assert not (tmp_path / "results").exists()


def test_a_wrong_choice_ends_in_one_line(tmp_path: Path) -> None:
    ended = clrbench(tmp_path, "policy.gama=0.9")
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: policy.gama is no key")
    assert ended.stderr.count("\n") == 1


def test_help_lists_subcommands_and_choices(tmp_path: Path) -> None:
    said = clrbench(tmp_path, "--help").stdout
    assert all(f"clrbench {name} " in said for name in command.SUBCOMMANDS)
    assert "policy: cosine" in said
    assert "\nclaims: " not in said


@pytest.mark.parametrize(("name", "setting"), [("decide", "decide.ratio=4 "), ("league", "league.parts=[1,3] "), ("plan", "")])
def test_a_subcommand_of_runs_tells_what_it_does_and_its_settings_before_the_choices(
    name: str, setting: str, tmp_path: Path
) -> None:
    said = clrbench(tmp_path, name, "--help").stdout
    assert said.startswith(f"clrbench {name} CHOICES: {command.SUBCOMMANDS[name][1]}")
    assert setting in said.partition("policy: cosine")[0]
    assert "One run of the benchmark suite" not in said


@pytest.mark.parametrize("subcommand", sorted(set(command.SUBCOMMANDS) - {"plan", "decide", "league", "range-test"}))
def test_a_subcommand_tells_its_options_under_its_own_name(subcommand: str, tmp_path: Path) -> None:
    assert clrbench(tmp_path, subcommand, "--help").stdout.startswith(f"usage: clrbench {subcommand} ")
