"""The report: what it says is what the records say, and it works in a real browser."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import ROOT
from made_up import ARMS, BASE, CYCLES, write_arm, write_run, write_store

from clrbench import subcommands
from clrbench.errors import ClrbenchError
from clrbench.report import outputs
from clrbench.report.claim_table import claim_table
from clrbench.report.contents import gather
from clrbench.report.page import render
from clrbench.report.palette import dashes
from clrbench.report.summary import BEGIN, END, readme_block, summary, with_block
from clrbench.report.tables import in_cell, summary_frame, text, to_html, to_markdown

CONF = ROOT / "conf"


def visible(page: str) -> str:
    """The page's own text, without the numbers of its figures and its scripts."""
    return page[: page.index("</main>")]


def data(page: str) -> Any:
    """The numbers of its figures."""
    return json.loads(page.partition('id="data">')[2].partition("</script>")[0])


def test_the_same_records_make_the_same_report(report: Path) -> None:
    again = outputs.own(report.parents[1] / "results", report.parent, CONF)
    assert {path: path.read_text(encoding="utf-8") for path in again} == again


def test_verdicts_numbers_and_records_are_on_the_page(report: Path) -> None:
    page = visible((report / "index.html").read_text(encoding="utf-8"))
    for claim in ("c1", "c2"):
        assert re.search(rf'id="{claim}">\s*<tr><th scope="row">[^<]*</th>\s*<td><span class="badge holds">holds', page)
    assert "+3.10 points" in page
    links = re.findall(r'<a href="(\.\./\.\./results/[^"]+)"', page)
    assert len(links) == 19
    assert all((report / link).resolve().is_dir() for link in links)


def test_a_claim_without_runs_shows_its_command(report: Path) -> None:
    page = visible((report / "index.html").read_text(encoding="utf-8"))
    assert "<code>python train.py -m experiment=sigmoid_bn data.order=fixed seed=1,2,3,4,5</code>" in page


def test_a_claim_shows_the_commands_of_its_runs_and_what_would_settle_it_where_they_are_too_few(tmp_path: Path) -> None:
    for seeds, experiment, settings in ((5, "table1_fifth", "trainer.precision=bfloat16"), (1, "sigmoid_bn", "scale=0.2")):
        for policy in ("fixed", "triangular2"):
            for seed in range(1, seeds + 1):
                typed = [f"experiment={experiment}", f"arm={ARMS[experiment]}/{policy}", settings, f"seed={seed}"]
                config = {"overrides": typed, "trainer": {"precision": "bfloat16" if seeds == 5 else "float32"}}
                write_run(tmp_path, policy, seed, 80.0 + seed / 10, experiment=experiment, config=config)
    page = render(gather(tmp_path, CONF), tmp_path, CONF)
    claims = {name: page.partition(f'id="{name}">')[2].partition("</tbody>")[0] for name in ("c1", "c4")}
    for policy in ("fixed", "triangular2"):
        made = f"experiment=table1_fifth arm=table1/{policy} trainer.precision=bfloat16 seed=1,2,3,4,5"
        assert f"<code>python train.py -m {made}</code>" in claims["c1"]
        assert f"<code>python train.py experiment=sigmoid_bn arm=sigmoid_bn/{policy} scale=0.2 seed=1</code>" in claims["c4"]
    settles = "<dt>What would settle it</dt><dd><code>python train.py -m experiment=sigmoid_bn data.order=fixed"
    assert settles in claims["c4"]
    assert "What would settle it" not in claims["c1"].partition("variant")[0]


def test_names_from_outside_are_text_on_the_page_and_in_the_summary(report: Path) -> None:
    page = visible((report / "index.html").read_text(encoding="utf-8"))
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in (report / "summary.md").read_text(encoding="utf-8")


def test_the_page_needs_nothing_from_elsewhere(report: Path) -> None:
    page = visible((report / "index.html").read_text(encoding="utf-8"))
    assert re.findall(r'(?:src|href)="(?:https?:)?//', page) == []


@pytest.mark.slow
def test_two_hundred_runs_make_a_page_of_less_than_a_megabyte_and_a_half_and_every_run_is_on_it(tmp_path: Path) -> None:
    rising = [50 + at / 2 for at in range(60)]
    for arm in range(20):
        schedule = {**CYCLES, "max_lr": 0.006 + arm / 1000}
        write_arm(
            tmp_path, "triangular", [80.0 + at / 10 for at in range(10)], schedule=schedule, iterations=6100, curve=rising
        )
    page = outputs.own(tmp_path, tmp_path / "outputs", CONF)[tmp_path / "outputs" / "report" / "index.html"]
    assert len(page.encode()) < 1_500_000
    assert len(set(re.findall(r'href="(\.\./[^"]+)"', visible(page)))) == 200


def test_thinning_keeps_the_ends_of_cycles_and_of_the_budget(tmp_path: Path) -> None:
    curve = [50.0] * 399
    write_arm(tmp_path, "triangular", [80.0], schedule={**CYCLES, "step_size": 350}, iterations=4000, curve=curve)
    (section,) = gather(tmp_path, CONF).sections
    points = section.accuracy["triangular"]["iteration"].to_list()
    assert len(points) < 220
    assert {700, 1400, 2100, 2800, 3500, 4000} <= set(points)


def test_a_dash_is_that_of_the_setting_for_every_policy_and_tells_policies_of_one_colour_apart(tmp_path: Path) -> None:
    for name, behind in (("fixed", 0.0), ("decay", 1.0)):
        for precision, by in (("float32", 0.5), ("bfloat16", -0.5)):
            config = {"trainer": {"precision": precision}}
            write_run(
                tmp_path, name, 1, 80.0 + behind + (by if name == "fixed" else -by), experiment="table1_fifth", config=config
            )
    (section,) = gather(tmp_path, CONF).sections
    found = dashes(section.best_first)
    assert {label.partition("=")[2]: found[label] for label in found} == {"float32)": 0, "bfloat16)": 1}
    assert len(found) == 4
    for name, seed in (("rex", 11), ("warmup", 11)):
        write_run(tmp_path, name, seed, 80.0, experiment="rivals")
    rivals = next(section for section in gather(tmp_path, CONF).sections if section.experiment == "rivals")
    assert sorted(dashes(rivals.best_first).values()) == [0, 1]


def test_a_damaged_record_is_left_out_and_told(tmp_path: Path) -> None:
    write_arm(tmp_path, "fixed", BASE)
    damaged = write_run(tmp_path, "fixed", 6, 80.0)
    (damaged.folder / "result.json").write_text("{")
    contents = gather(tmp_path, CONF)
    assert len(contents.runs) == 5
    assert "result.json: is damaged" in contents.faults[0]
    assert "Left out" in summary(contents, CONF)


@pytest.mark.parametrize("damage", ["absent", "a value is missing", "half a line", "no end", "twice"])
def test_a_run_without_its_evaluations_is_left_out_and_told(tmp_path: Path, damage: str) -> None:
    write_arm(tmp_path, "fixed", BASE)
    path = write_run(tmp_path, "fixed", 6, 80.0).folder / "evals.csv"
    header, *rows = path.read_text().splitlines()
    if damage == "absent":
        path.unlink()
    elif damage == "half a line":
        path.write_text(f"{header}\n{rows[0][:5]}\n")
    elif damage == "no end":
        path.write_text("\n".join([header, rows[0].replace("400,", "399,", 1)]) + "\n")
    elif damage == "twice":
        path.write_text("\n".join([header, *rows, *rows]) + "\n")
    else:
        place = header.split(",").index("test_accuracy")
        values = rows[0].split(",")
        path.write_text("\n".join([header, ",".join([*values[:place], "", *values[place + 1 :]]), *rows[1:]]) + "\n")
    contents = gather(tmp_path, CONF)
    assert len(contents.runs) == 5
    assert "evals.csv: " in contents.faults[0]


def test_an_empty_store_makes_a_report_that_says_how_to_begin(tmp_path: Path) -> None:
    files = outputs.own(tmp_path / "results", tmp_path / "outputs", CONF)
    assert "make sweep" in files[tmp_path / "outputs" / "report" / "summary.md"]
    assert "No runs yet" in files[tmp_path / "outputs" / "report" / "index.html"]


def test_results_that_are_not_there_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["clrbench report", "--results", "nowhere"])
    with pytest.raises(SystemExit, match="2"):
        subcommands.report()
    assert "'nowhere' is no folder: name the one that has runs/ or evidence/" in capsys.readouterr().err
    assert not (tmp_path / "outputs").exists()


# clrbench verify


@pytest.fixture
def verified(store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[], object]:
    """Carry the command out in `store`: what it prints, or the line with which it ends the process."""
    monkeypatch.chdir(store)
    monkeypatch.setattr(sys, "argv", ["clrbench verify"])

    def verify() -> object:
        try:
            subcommands.verify()
        except SystemExit as ended:
            return ended.code
        return capsys.readouterr().out

    return verify


@pytest.fixture
def store(report: Path, tmp_path: Path) -> Path:
    """A folder with records, and the report of them."""
    shutil.copytree(report.parents[1], tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_verify_passes_on_a_fresh_report(verified: Callable[[], object]) -> None:
    assert verified() == "4 files are what the records make\n"


@pytest.mark.parametrize(("file", "old", "new"), [("summary.md", "+3.10", "+3.60"), ("index.html", "77.40", "78.40")])
def test_verify_fails_on_a_changed_number(store: Path, verified: Callable[[], object], file: str, old: str, new: str) -> None:
    path = store / "outputs" / "report" / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    said = str(verified())
    assert said.startswith(f"error: {path.relative_to(store)}, line ")
    assert new in said
    assert "\n" not in said


def test_verify_fails_when_a_record_has_changed(store: Path, verified: Callable[[], object]) -> None:
    path = next(store.glob("results/evidence/table1/decay-*/result.json"))
    path.write_text(path.read_text().replace('"value": 7', '"value": 6'))
    assert str(verified()).startswith("error: outputs/report/")


def test_verify_fails_when_there_is_no_report(store: Path, verified: Callable[[], object]) -> None:
    (store / "outputs" / "report" / "summary.md").unlink()
    assert "is missing: `clrbench report` makes it" in str(verified())


def test_a_report_of_few_runs_starts_in_seconds_and_without_torch(store: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from clrbench.report import outputs; "
        f"outputs.own(Path('results'), Path('outputs'), Path({str(CONF)!r})); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=store, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


# The README


def test_the_readmes_results_come_from_shipped_records_alone(tmp_path: Path) -> None:
    write_arm(tmp_path, "fixed", BASE, source="runs")
    write_arm(tmp_path, "triangular2", BASE, source="runs")
    assert "#c1-yours)" not in readme_block(gather(tmp_path, CONF, ["evidence"]))
    assert "#c1-yours)" in readme_block(gather(tmp_path, CONF))


def test_the_readme_has_of_each_claim_the_verdict_from_most_seeds(tmp_path: Path) -> None:
    for experiment, seeds in (("table1", 1), ("table1_fifth", 5)):
        for policy in ("fixed", "triangular2"):
            write_arm(tmp_path, policy, BASE[:seeds], experiment=experiment)
    table = claim_table(gather(tmp_path, CONF).verdicts)
    (row,) = [row for row in table.judged if row.verdict.claim.id == "C1"]
    assert row.verdict.experiment == "table1_fifth"
    assert "table1" in [variant.experiment for variant in row.variants]


def test_the_readme_only_counts_the_claims_that_too_few_seeds_have_been_run_for(tmp_path: Path) -> None:
    for policy in ("fixed", "triangular2"):
        write_arm(tmp_path, policy, BASE[:4])
    block = readme_block(gather(tmp_path, CONF))
    assert "Further claims: 2 with too few seeds to settle anything" in block
    assert "summary.md#c1)" not in block


@pytest.mark.parametrize("other", [{"scale": 0.2}, {"data": {"batch_size": 50}}, {"trainer": {"precision": "bfloat16"}}])
def test_only_runs_in_the_papers_setting_stand_beside_its_numbers(tmp_path: Path, other: dict[str, Any]) -> None:
    write_run(tmp_path, "fixed", 1, 80.0)
    write_run(tmp_path, "fixed", 2, 70.0, config=other)
    block = summary(gather(tmp_path, CONF), CONF).partition("## The runs of the paper")[2].partition("## Table 1")[0]
    assert "| 81.4% | 80.00% | 1 |" in block
    assert "70.00%" not in block


def test_the_seeds_of_a_run_of_the_paper_share_a_row_and_a_command_for_any_device(tmp_path: Path) -> None:
    for seed, accuracy in ((1, 80.0), (2, 82.0)):
        typed = ["experiment=table1", "arm=table1/fixed", f"seed={seed}", "trainer=gpu", "trainer.threads=1"]
        write_run(tmp_path, "fixed", seed, accuracy, config={"overrides": typed})
    block = summary(gather(tmp_path, CONF), CONF)
    row = r"81.4% | 81.00% \[68.29, 93.71\] | 2 | `python train.py -m experiment=table1 arm=table1/fixed seed=1,2` |"
    assert row in block


def test_a_run_of_the_paper_says_where_its_length_and_arithmetic_are_not_the_papers(tmp_path: Path) -> None:
    write_run(
        tmp_path, "fixed", 1, 80.0, experiment="table1_fifth", config={"scale": 0.2, "trainer": {"precision": "bfloat16"}}
    )
    block = summary(gather(tmp_path, CONF), CONF).partition("## The runs of the paper")[2].partition("## Table 1")[0]
    assert "| fixed, 400 iterations, at 1/5 of the paper's length, in bfloat16, images in one order |" in block


def test_an_accuracy_on_held_out_images_is_called_so(tmp_path: Path) -> None:
    write_run(tmp_path, "cosine", 201, 80.0, experiment="rivals_screening", config={"data": {"evaluate": "validation"}})
    contents = gather(tmp_path, CONF)
    (section,) = contents.sections
    assert "accuracy on held-out images, %" in summary_frame(section.arms, section.summary).columns
    page = render(contents, tmp_path, CONF)
    assert ">accuracy on held-out images, %</th>" in page
    assert "test accuracy" not in page.partition('id="rivals_screening"')[2].partition("</section>")[0]


def test_the_readme_tells_the_claims_that_are_not_the_papers_in_a_line(tmp_path: Path) -> None:
    for precision, by in (("float32", 0.0), ("bfloat16", 0.01)):
        setting = {"trainer": {"precision": precision}, "scale": 0.2}
        values = [value + by * seed for seed, value in enumerate(BASE)]
        write_arm(tmp_path, "fixed", values, experiment="table1_fifth", config=setting)
    block = readme_block(gather(tmp_path, CONF))
    assert "Claims that are not the paper's: bfloat16 beside float32 (1 holds)." in block
    assert "#p1a)" not in block


def test_the_readme_keeps_all_but_its_results() -> None:
    readme = f"head\n{BEGIN}\nold\n{END}\ntail\n"
    assert with_block(readme, "new") == f"head\n{BEGIN}\n\nnew\n\n{END}\ntail\n"
    with pytest.raises(ClrbenchError, match=r"README.md: lacks the lines"):
        with_block("head", "new")


def test_the_report_and_readme_that_ship_are_what_the_records_that_ship_make() -> None:
    outputs.verify(outputs.shipped(ROOT, CONF), "make ship")


def test_no_run_of_your_own_changes_what_ships(tmp_path: Path) -> None:
    write_store(tmp_path / "results")
    (tmp_path / "README.md").write_text(f"{BEGIN}\n{END}\n")
    before = outputs.shipped(tmp_path, CONF)
    write_arm(tmp_path / "results", "triangular2", BASE, source="runs")
    write_run(tmp_path / "results", "fixed", 9, 80.0, source="runs").folder.joinpath("result.json").write_text("{")
    assert outputs.shipped(tmp_path, CONF) == before
    assert set(before) == {
        tmp_path / "README.md",
        *(tmp_path / "results" / "report" / name for name in ("index.html", "summary.md", "table1.svg", "table1_narrow.svg")),
    }


# Tables


def test_text_keeps_to_its_cell() -> None:
    assert in_cell("a|b\n*c* `d` [e] <f>") == "a\\|b \\*c\\* \\`d\\` \\[e\\] &lt;f&gt;"
    table = to_markdown(pl.DataFrame({"arm": ["a|b"], "accuracy": [1.234]}))
    assert table.splitlines() == ["| arm | accuracy |", "| --- | ---: |", "| a\\|b | 1.23 |"]
    assert ">&lt;b&gt;</th>" in to_html(pl.DataFrame({"arm": ["<b>"]}))


@pytest.mark.parametrize(
    ("value", "column", "shown"),
    [(None, "low", ""), (81.284, "accuracy", "81.28"), (float("inf"), "median", "never"), (25000, "budget", "25,000")],
)
def test_numbers_are_shown_as_a_reader_wants_them(value: Any, column: str, shown: str) -> None:
    assert text(value, column) == shown
