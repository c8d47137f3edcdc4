"""The page of the report in a real browser."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Visit, browser, needs_browser

pytestmark = needs_browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as opened:
        yield opened


def test_a_browser_shows_every_figure_and_the_controls_work(report: Path, chromium: Any) -> None:
    visit = Visit(chromium, ("file:", "data:"))
    page = visit.page
    page.goto((report / "index.html").as_uri())
    count = page.locator(".plot").count()
    assert count >= 6
    for plot in page.locator(".plot").all():
        plot.scroll_into_view_if_needed()
    page.wait_for_function(f"document.querySelectorAll('.plot canvas').length >= {count}")

    first = page.locator(".experiment").first
    lines = "plot => drawn.get(plot).series.filter(series => series.label && series.width > 1).length"
    assert first.locator(".plot").first.evaluate(lines) == 3
    first.get_by_role("checkbox", name="decay").focus()
    page.keyboard.press("Space")
    assert first.locator(".plot").first.evaluate(lines) == 2

    assert first.locator(".plot").first.evaluate("plot => drawn.get(plot).scales.x.distr") == 1
    first.get_by_label("log x").first.check()
    assert first.locator(".plot").first.evaluate("plot => drawn.get(plot).scales.x.distr") == 3

    first.get_by_text("The numbers of this figure").first.click()
    cells = first.locator("figure table").first.locator("tbody tr").first.locator("td")
    assert "50.02" in cells.all_inner_texts() or "50" in cells.all_inner_texts()
    assert visit.troubles == []


def test_a_link_opens_the_fold_that_it_leads_into_and_the_filter_leaves_what_has_all_words(report: Path, chromium: Any) -> None:
    visit = Visit(chromium, ("file:", "data:"))
    page = visit.page
    page.goto((report / "index.html").as_uri() + "#table1-arm-1")
    assert page.locator("#table1-arm-1 table").is_visible()
    page.evaluate("location.hash = 'c4'")
    page.wait_for_function("document.querySelector('#waiting > details').open")
    assert page.locator("#c4 details").evaluate("fold => fold.open")

    page.get_by_label("Filter").fill("sigmoids batch")
    assert page.locator("#c4").is_visible()
    assert not page.locator("#c1").is_visible()
    assert page.locator(".experiment:visible").count() == 0
    page.get_by_label("Filter").fill("")
    assert page.locator("#c1").is_visible()
    assert visit.troubles == []


def test_on_paper_every_figure_is_drawn_as_wide_as_the_sheet_and_in_dark_ink(report: Path, chromium: Any) -> None:
    visit = Visit(chromium, ("file:", "data:"), color_scheme="dark")
    page = visit.page
    page.goto((report / "index.html").as_uri())
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("plots.every(plot => drawn.get(plot).width <= 680)")
    assert page.evaluate("ink()") == "#1a1a1a"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("ink()") == "#e8e8e8"
    assert visit.troubles == []


def test_on_paper_a_fold_is_there_only_where_it_is_open(report: Path, chromium: Any) -> None:
    visit = Visit(chromium, ("file:", "data:"))
    page = visit.page
    page.goto((report / "index.html").as_uri())
    page.locator("#c1 summary").click()
    page.emulate_media(media="print")
    assert page.locator("#c1 dl").first.is_visible()
    assert page.locator("#c2 > tr").first.is_visible()
    assert not page.locator("#c2 .fold").is_visible()
    assert page.locator("#waiting > details > summary").is_visible()
    assert not page.locator("#c4").is_visible()
    assert page.get_by_text("Folded parts are printed where they are open.").is_visible()


def test_without_scripts_a_line_says_where_the_picture_is_and_no_dead_figure_is_shown(report: Path, chromium: Any) -> None:
    visit = Visit(chromium, ("file:", "data:"), java_script_enabled=False)
    page = visit.page
    page.goto((report / "index.html").as_uri())
    assert page.get_by_role("link", name="table1.svg").is_visible()
    assert (report / "table1.svg").is_file()
    assert not any(one.is_visible() for one in page.locator(".plot, .policies").all())


def test_no_heading_of_the_claims_runs_into_the_next(report: Path, chromium: Any) -> None:
    page = Visit(chromium, ("file:", "data:"), viewport={"width": 1280, "height": 900}).page
    page.goto((report / "index.html").as_uri())
    heads = page.locator("#settled .claims > thead th")
    assert heads.count() == 4
    assert heads.evaluate_all("cells => cells.every(cell => cell.scrollWidth <= cell.clientWidth)")


@pytest.mark.parametrize("context", [{"viewport": {"width": 360, "height": 740}, "has_touch": True}, {"color_scheme": "dark"}])
def test_it_fits_a_phone_and_a_dark_screen(report: Path, chromium: Any, context: dict[str, Any]) -> None:
    visit = Visit(chromium, ("file:", "data:"), **context)
    page = visit.page
    page.goto((report / "index.html").as_uri())
    page.locator(".plot").first.scroll_into_view_if_needed()
    page.wait_for_selector(".plot canvas")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if "color_scheme" in context:
        background, ink = page.evaluate(
            "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
        )
        assert max(map(int, re.findall(r"\d+", background))) < 60
        assert min(map(int, re.findall(r"\d+", ink))) > 200
        assert page.evaluate("drawn.get(plots[0]).axes[0].stroke()") == page.evaluate("ink()") == "#e8e8e8"
    else:
        # Claim, verdict and number are in sight, one below the other.
        cells = page.locator("#c1 > tr").first.locator("th, td").all()
        boxes = [cell.bounding_box() for cell in cells]
        assert all(box["x"] + box["width"] <= 360 for box in boxes)
        assert [box["y"] for box in boxes] == sorted({box["y"] for box in boxes})
        # What scrolls sideways keeps its first column in sight.
        page.locator("#table1-arm-1").evaluate("fold => { for (let at = fold; at; at = at.parentElement) at.open = true; }")
        table = page.locator("#table1-arm-1 .scroll")
        table.evaluate("box => { box.scrollLeft = 200; }")
        left = table.locator("tbody th").first.evaluate("cell => cell.getBoundingClientRect().left")
        assert 0 <= left < 60
    assert visit.troubles == []
