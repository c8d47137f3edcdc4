"""What the README shows is so."""

import re
import textwrap
from pathlib import Path
from statistics import fmean

import pytest
import pytorch_lightning as pl
import torch
from conftest import ROOT, composed

from clrbench import config
from clrbench.policies import schedule_of
from clrbench.report.policies import draw_policies
from clrbench.store import Record

README = (ROOT / "README.md").read_text(encoding="utf-8")
POLICIES = sorted(path.stem for path in (ROOT / "conf" / "policy").glob("*.yaml"))


def test_it_is_at_most_200_lines_long() -> None:
    assert len(README.splitlines()) <= 200


def test_its_callback_example_trains_a_module_that_knows_nothing_of_the_suite() -> None:
    class Module(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(2, 1)

        def training_step(self, batch: torch.Tensor) -> torch.Tensor:
            return self.layer(batch).square().mean()

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=1.0)

    example = textwrap.dedent(re.search(r"(    import pytorch_lightning.*?fit\(module, loader\))", README, re.DOTALL)[1])  # type: ignore[index]
    quick = example.replace("max_steps=16_000", "max_steps=3, logger=False, enable_checkpointing=False, accelerator='cpu'")
    names = {"module": Module(), "loader": torch.utils.data.DataLoader(torch.ones(8, 2), batch_size=2)}
    exec(quick, names)
    assert names["module"].trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.001 + 0.005 * 3 / 2000)


@pytest.mark.parametrize("arm", ["decay", "exp", "exp_range", "fixed", "triangular2"])
def test_the_accuracy_that_it_shows_is_the_mean_of_the_records(arm: str) -> None:
    results = [Record(folder).result() for folder in (ROOT / "results/evidence/table1").glob(f"{arm}-*")]
    accuracies = {result.seed: result.value for result in results if result is not None}
    seeds = ",".join(map(str, sorted(accuracies)))
    shown = rf"\| ([\d.]+)% \\\[[^|]+\| (\d+) \| `python train.py -m [^|]*arm=table1/{arm} [^|]*seed={seeds}` \|"
    assert re.findall(shown, README) == [(f"{fmean(accuracies.values()):.2f}", str(len(accuracies)))]


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_has_a_row_with_a_picture(policy: str) -> None:
    assert f"| `{policy}` |" in README
    assert f"(docs/policies/{policy}.svg)" in README
    assert (ROOT / "docs" / "policies" / f"{policy}.svg").is_file()


def test_every_link_to_a_file_leads_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if not link.startswith("http")]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_same_schedule_makes_the_same_picture(tmp_path: Path) -> None:
    schedule = schedule_of(config.checked(composed("policy=triangular2")), 500)
    one, other = (draw_policies({"triangular2": (schedule, 8000)}, tmp_path / name)[0] for name in ("one", "other"))
    assert one.read_bytes() == other.read_bytes()
    assert one.read_text().startswith("<?xml")
