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
from clrbench.report.policy_pictures import LAYOUTS, draw_policies
from clrbench.store import Record

README = (ROOT / "README.md").read_text(encoding="utf-8")
POLICIES = sorted(path.stem for path in (ROOT / "conf" / "policy").glob("*.yaml"))


def test_it_is_shorter_than_150_lines() -> None:
    assert len(README.splitlines()) < 150


def test_it_names_no_claim_by_its_code() -> None:
    assert re.findall(r"\b[CP]\d+[a-f]?\b", README) == []


def test_every_long_command_has_its_hours_beside_it() -> None:
    long = re.findall(r"`make sweep EXPERIMENT=[^`]+`[^\n]*", README.partition("<!-- end of results -->")[2])
    assert long
    assert [row for row in long if not re.search(r"\| \d+ \|$", row)] == []


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


def test_the_answer_is_the_mean_and_the_median_of_the_records() -> None:
    ends, courses = {}, {}
    for arm in ("fixed", "triangular2"):
        records = [Record(folder) for folder in sorted((ROOT / "results/evidence/table1").glob(f"{arm}-*"))]
        ends[arm] = fmean(result.value for record in records if (result := record.result()) and result.value is not None)
        courses[arm] = [{row.iteration: row.metrics["test_accuracy"] for row in record.evaluations()} for record in records]
    at_25000 = fmean(course[25_000] for course in courses["fixed"])
    stands = f"triangular2 stands at {ends['triangular2']:.1f}%, the fixed rate at {at_25000:.1f}% before it drops"
    assert f"After 25,000 iterations {stands}." in README
    assert f"{ends['fixed'] - ends['triangular2']:.1f} points" in README


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_has_a_formula_and_a_place_in_the_picture(policy: str) -> None:
    assert f"| `{policy}` |" in (ROOT / "docs" / "policies.md").read_text(encoding="utf-8")
    for name in LAYOUTS:
        assert f">{policy}</text>" in (ROOT / "docs" / "policies" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["README.md", "docs/guide.md", "docs/policies.md", "docs/report.md"])
def test_every_link_to_a_file_leads_somewhere(name: str) -> None:
    document = ROOT / name
    links = re.findall(r"\]\(([^)#]+)[^)]*\)|src(?:set)?=\"([^\"]+)\"", document.read_text(encoding="utf-8"))
    files = [link or source for link, source in links if not (link or source).startswith("http")]
    assert files
    assert [file for file in files if not (document.parent / file).exists()] == []


def test_every_claim_that_it_links_to_has_its_place_in_the_summary() -> None:
    summary = (ROOT / "results" / "report" / "summary.md").read_text(encoding="utf-8")
    places = re.findall(r"results/report/summary\.md#(c\w+)", README)
    assert places
    assert [place for place in places if f'<a id="{place}"></a>' not in summary] == []


def test_the_same_schedule_makes_the_same_picture(tmp_path: Path) -> None:
    schedule = schedule_of(config.checked(composed("policy=triangular2")), 500)
    one, other = (draw_policies({"triangular2": (schedule, 8000)}, tmp_path / name) for name in ("one", "other"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]
