"""The report: what it says is what the records say, and it works in a real browser."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from browser import Visit, browser, needs_browser
from conftest import ROOT
from made_up import CYCLES, FIXED, write_arm, write_run

from clrbench.errors import ClrbenchError
from clrbench.report import build
from clrbench.report.contents import gather
from clrbench.report.summary import BEGIN, END, readme_block, summary, with_block
from clrbench.report.tables import in_cell, text, to_html, to_markdown

CONF = ROOT / "conf"
BASE = (80.0, 80.4, 79.8, 80.1, 80.3)
NASTY = "<script>alert(1)</script>&\"'"


def made_up(results: Path) -> Path:
    """Two experiments: one that settles claims, one of the user's own with a name from outside."""
    for policy, by in (("fixed", 0.0), ("triangular2", 0.1), ("decay", -3.0)):
        schedule = CYCLES if policy == "triangular2" else FIXED
        for seed, value in enumerate(BASE, 1):
            write_run(results, policy, seed, value + by + seed / 50, schedule=schedule, curve=(50.0, 60.0 + by, 70.0))
    for others in ({}, {f"a_long_name_{number}": "and a long value of it" for number in range(9)}):
        write_arm(results, "fixed", BASE[:2], source="runs", experiment="mine", config={"data": {"name": NASTY}, **others})
    return results


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    build.write(build.own(made_up(folder / "results"), folder / "outputs", CONF))
    return folder / "outputs" / "report"


def visible(page: str) -> str:
    """The page's own text, without Plotly."""
    return page[: page.index("</main>")]


def test_the_same_records_make_the_same_report(report: Path, tmp_path: Path) -> None:
    again = build.own(report.parents[1] / "results", report.parent, CONF)
    assert {path: path.read_text(encoding="utf-8") for path in again} == again


def test_verdicts_numbers_and_records_are_on_the_page(report: Path) -> None:
    page = visible((report / "index.html").read_text(encoding="utf-8"))
    assert re.search(r"C1</a></th><td>[^<]*</td>\s*<td><span class=\"badge holds\">holds", page)
    assert re.search(r"C2</a></th><td>[^<]*</td>\s*<td><span class=\"badge holds\">holds", page)
    assert "+3.10 points" in page
    links = re.findall(r'<a href="(\.\./\.\./results/[^"]+)"', page)
    assert len(links) == 19
    assert all((report / link).resolve().is_dir() for link in links)


def test_a_claim_without_runs_shows_its_command(report: Path) -> None:
    page = visible((report / "index.html").read_text(encoding="utf-8"))
    assert "<code>python train.py -m experiment=sigmoid_bn data.order=fixed seed=1,2,3,4,5</code>" in page


def test_names_from_outside_are_text_on_the_page_and_in_the_summary(report: Path) -> None:
    page = visible((report / "index.html").read_text(encoding="utf-8"))
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in (report / "summary.md").read_text(encoding="utf-8")


def test_the_page_needs_nothing_from_elsewhere(report: Path) -> None:
    page = visible((report / "index.html").read_text(encoding="utf-8"))
    assert re.findall(r'(?:src|href)="(?:https?:)?//', page) == []


@needs_browser
def test_a_browser_shows_every_figure_and_the_controls_work(report: Path) -> None:
    with browser() as opened:
        visit = Visit(opened, ("file:", "data:"))
        page = visit.page
        page.goto((report / "index.html").as_uri())
        count = page.locator("script[data-plot]").count()
        assert count >= 6
        for plot in page.locator(".plot").all():
            plot.scroll_into_view_if_needed()
        page.wait_for_function(f"document.querySelectorAll('.plot .main-svg').length >= {count}")

        first = page.locator(".experiment").first
        lines = "plot => plot.data.filter(trace => trace.showlegend !== false && trace.visible !== false).length"
        assert first.locator(".plot").first.evaluate(lines) == 3
        first.get_by_label("decay").focus()
        page.keyboard.press("Space")
        page.wait_for_function(
            "[...document.querySelector('.experiment').querySelectorAll('.plot')].every("
            "plot => plot.data.every(trace => trace.legendgroup !== 'decay' || trace.visible === false))"
        )
        assert first.locator(".plot").first.evaluate(lines) == 2

        first.get_by_label("log x").first.check()
        page.wait_for_function("document.querySelector('.plot').layout.xaxis.type === 'log'")

        first.get_by_text("The numbers of this figure").first.click()
        assert first.locator("figure table").first.is_visible()
        page.get_by_role("link", name="C1", exact=True).click()
        assert page.locator(".claim:target").count() == 1
        assert visit.troubles == []


@needs_browser
@pytest.mark.parametrize("context", [{"viewport": {"width": 360, "height": 740}}, {"color_scheme": "dark"}])
def test_it_fits_a_phone_and_a_dark_screen(report: Path, context: dict[str, Any]) -> None:
    with browser() as opened:
        visit = Visit(opened, ("file:", "data:"), **context)
        visit.page.goto((report / "index.html").as_uri())
        visit.page.locator(".plot").first.scroll_into_view_if_needed()
        visit.page.wait_for_selector(".plot .main-svg")
        assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        if "color_scheme" in context:
            background, ink = visit.page.evaluate(
                "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
            )
            assert max(map(int, re.findall(r"\d+", background))) < 60
            assert min(map(int, re.findall(r"\d+", ink))) > 200
            assert visit.page.evaluate("document.querySelector('.plot').layout.font.color") == ink
        assert visit.troubles == []


def test_two_hundred_runs_make_a_page_of_less_than_8_megabytes_and_every_run_is_on_it(tmp_path: Path) -> None:
    rising = [50 + at / 2 for at in range(60)]
    for arm in range(20):
        schedule = {**CYCLES, "max_lr": 0.006 + arm / 1000}
        write_arm(
            tmp_path, "triangular", [80.0 + at / 10 for at in range(10)], schedule=schedule, iterations=6100, curve=rising
        )
    page = build.own(tmp_path, tmp_path / "outputs", CONF)[tmp_path / "outputs" / "report" / "index.html"]
    assert len(page.encode()) < 8_000_000
    assert len(set(re.findall(r'href="(\.\./[^"]+)"', visible(page)))) == 200


def test_thinning_keeps_the_ends_of_cycles_and_of_the_budget(tmp_path: Path) -> None:
    curve = [50.0] * 399
    write_arm(tmp_path, "triangular", [80.0], schedule={**CYCLES, "step_size": 350}, iterations=4000, curve=curve)
    (section,) = gather(tmp_path, CONF).sections
    points = section.accuracy["triangular"]["iteration"].to_list()
    assert len(points) < 220
    assert {700, 1400, 2100, 2800, 3500, 4000} <= set(points)


def test_a_damaged_record_is_left_out_and_told(tmp_path: Path) -> None:
    write_arm(tmp_path, "fixed", BASE)
    damaged = write_run(tmp_path, "fixed", 6, 80.0)
    (damaged.folder / "result.json").write_text("{")
    contents = gather(tmp_path, CONF)
    assert len(contents.runs) == 5
    assert "result.json: is damaged" in contents.faults[0]
    assert "Left out" in summary(contents)


def test_an_empty_store_makes_a_report_that_says_how_to_begin(tmp_path: Path) -> None:
    files = build.own(tmp_path / "results", tmp_path / "outputs", CONF)
    assert "make sweep" in files[tmp_path / "outputs" / "report" / "summary.md"]
    assert "No runs yet" in files[tmp_path / "outputs" / "report" / "index.html"]


# clrbench verify


def verified(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "clrbench", "verify"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def store(report: Path, tmp_path: Path) -> Path:
    """A folder with records, and the report of them."""
    shutil.copytree(report.parents[1], tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_verify_passes_on_a_fresh_report(store: Path) -> None:
    done = verified(store)
    assert (done.returncode, done.stdout) == (0, "2 files are what the records make\n")


@pytest.mark.parametrize(("file", "old", "new"), [("summary.md", "+3.10", "+3.60"), ("index.html", "77.40", "78.40")])
def test_verify_fails_on_a_changed_number(store: Path, file: str, old: str, new: str) -> None:
    path = store / "outputs" / "report" / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    done = verified(store)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {path.relative_to(store)}, line ")
    assert new in done.stderr
    assert done.stderr.count("\n") == 1


def test_verify_fails_when_a_record_has_changed(store: Path) -> None:
    path = next(store.glob("results/evidence/table1/decay-*/result.json"))
    path.write_text(path.read_text().replace('"value": 7', '"value": 6'))
    assert verified(store).returncode == 1


def test_verify_fails_when_there_is_no_report(store: Path) -> None:
    (store / "outputs" / "report" / "summary.md").unlink()
    assert "is missing: `clrbench report` makes it" in verified(store).stderr


def test_a_report_of_few_runs_starts_in_seconds_and_without_torch(store: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from clrbench.report import build; "
        f"build.own(Path('results'), Path('outputs'), Path({str(CONF)!r})); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=store, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


# The README


def test_the_readmes_results_come_from_shipped_records_alone(tmp_path: Path) -> None:
    write_arm(tmp_path, "fixed", BASE, source="runs")
    write_arm(tmp_path, "triangular2", BASE, source="runs")
    assert "C1" not in readme_block(gather(tmp_path, CONF, ["evidence"]), CONF)
    assert "C1" in readme_block(gather(tmp_path, CONF), CONF)


def test_the_readme_has_of_each_claim_the_verdict_from_most_seeds(tmp_path: Path) -> None:
    for experiment, seeds in (("table1", 1), ("table1_fifth", 5)):
        for policy in ("fixed", "triangular2"):
            write_arm(tmp_path, policy, BASE[:seeds], experiment=experiment)
    rows = [line for line in readme_block(gather(tmp_path, CONF), CONF).splitlines() if line.startswith("| C1 ")]
    assert ["table1\\_fifth" in row for row in rows] == [True]


def test_the_readme_only_names_the_claims_that_too_few_seeds_have_been_run_for(tmp_path: Path) -> None:
    for policy in ("fixed", "triangular2"):
        write_arm(tmp_path, policy, BASE[:4])
    block = readme_block(gather(tmp_path, CONF), CONF)
    assert "too few seeds for a verdict: C1, C1r." in block
    assert "| C1 |" not in block


@pytest.mark.parametrize("other", [{"scale": 0.2}, {"data": {"batch_size": 50}}, {"trainer": {"precision": "bfloat16"}}])
def test_only_runs_in_the_papers_setting_stand_beside_its_numbers(tmp_path: Path, other: dict[str, Any]) -> None:
    write_run(tmp_path, "fixed", 1, 80.0)
    write_run(tmp_path, "fixed", 2, 70.0, config=other)
    block = readme_block(gather(tmp_path, CONF), CONF)
    assert "| 81.4% | 80.00% | 1 |" in block
    assert "70.00%" not in block


def test_the_seeds_of_a_run_of_the_paper_share_a_row_and_a_command_for_any_device(tmp_path: Path) -> None:
    for seed, accuracy in ((1, 80.0), (2, 82.0)):
        typed = ["experiment=table1", "arm=table1/fixed", f"seed={seed}", "trainer=gpu", "trainer.threads=1"]
        write_run(tmp_path, "fixed", seed, accuracy, config={"overrides": typed})
    block = readme_block(gather(tmp_path, CONF), CONF)
    row = r"81.4% | 81.00% \[68.29, 93.71\] | 2 | `python train.py -m experiment=table1 arm=table1/fixed seed=1,2` |"
    assert row in block


def test_the_readme_tells_the_claims_that_are_not_the_papers_in_a_line(tmp_path: Path) -> None:
    for precision, by in (("float32", 0.0), ("bfloat16", 0.01)):
        setting = {"trainer": {"precision": precision}, "scale": 0.2}
        values = [value + by * seed for seed, value in enumerate(BASE)]
        write_arm(tmp_path, "fixed", values, experiment="table1_fifth", config=setting)
    block = readme_block(gather(tmp_path, CONF), CONF)
    assert "bfloat16 beside float32 (not of the paper): P1a holds." in block
    assert "| P1a |" not in block


def test_the_readme_keeps_all_but_its_results() -> None:
    readme = f"head\n{BEGIN}\nold\n{END}\ntail\n"
    assert with_block(readme, "new") == f"head\n{BEGIN}\n\nnew\n\n{END}\ntail\n"
    with pytest.raises(ClrbenchError, match=r"README.md: lacks the lines"):
        with_block("head", "new")


def test_the_report_and_readme_that_ship_are_what_the_records_that_ship_make() -> None:
    build.verify(build.shipped(ROOT, CONF), "make ship")


def test_no_run_of_your_own_changes_what_ships(tmp_path: Path) -> None:
    made_up(tmp_path / "results")
    (tmp_path / "README.md").write_text(f"{BEGIN}\n{END}\n")
    before = build.shipped(tmp_path, CONF)
    write_arm(tmp_path / "results", "triangular2", BASE, source="runs")
    write_run(tmp_path / "results", "fixed", 9, 80.0, source="runs").folder.joinpath("result.json").write_text("{")
    assert build.shipped(tmp_path, CONF) == before
    assert set(before) == {
        tmp_path / "README.md",
        *(tmp_path / "results" / "report" / name for name in ("index.html", "summary.md")),
    }


# Tables


def test_text_keeps_to_its_cell() -> None:
    assert in_cell("a|b\n*c* `d` [e] <f>") == "a\\|b \\*c\\* \\`d\\` \\[e\\] &lt;f&gt;"
    table = to_markdown(pl.DataFrame({"arm": ["a|b"], "accuracy": [1.234]}))
    assert table.splitlines() == ["| arm | accuracy |", "| --- | ---: |", "| a\\|b | 1.23 |"]
    assert "<td>&lt;b&gt;</td>" in to_html(pl.DataFrame({"arm": ["<b>"]}))


@pytest.mark.parametrize(
    ("value", "column", "shown"),
    [(None, "low", ""), (81.284, "accuracy", "81.28"), (float("inf"), "median", "never"), (25000, "budget", "25,000")],
)
def test_numbers_are_shown_as_a_reader_wants_them(value: Any, column: str, shown: str) -> None:
    assert text(value, column) == shown
