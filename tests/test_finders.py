"""The comparison of range tests."""

import json
import math

import pytest
from conftest import ROOT

from bench import consequence, finders
from clrbench.report.tables import to_markdown

RECORD = ROOT / "results" / "bench" / "finders.json"


def test_the_spread_is_highest_over_lowest_and_no_answer_is_counted() -> None:
    (row,) = finders.spread({("a", "rate"): [0.1, 0.4, None, 0.2]}).iter_rows(named=True)
    assert (row["median_rate"], row["lowest"], row["highest"], row["without"]) == (0.2, 0.1, 0.4, 1)
    assert math.isclose(row["factor"], 4.0)
    assert finders.spread({("a", "rate"): [None]})["factor"].to_list() == [None]


@pytest.mark.slow
@pytest.mark.parametrize("finder", list(finders.FINDERS))
def test_every_finder_answers_with_rates_within_the_range(finder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if finder == "torch-lr-finder":
        pytest.importorskip("torch_lr_finder", reason="torch-lr-finder is not installed")
    monkeypatch.setattr(finders, "STEPS", 80)
    for rate in finders.FINDERS[finder](finders.Problem.digits(), 1).values():
        assert rate is None or finders.LOW <= rate <= finders.HIGH


def test_the_table_in_the_docs_is_that_of_the_record() -> None:
    answers = {(found["finder"], found["answer"]): found["rates"] for found in json.loads(RECORD.read_text())["answers"]}
    assert all(len(rates) == 10 for rates in answers.values())
    assert to_markdown(finders.spread(answers)) in (ROOT / "docs" / "range_test.md").read_text()


def test_the_tables_of_consequences_in_the_docs_are_those_of_the_record() -> None:
    record = json.loads((RECORD.parent / "consequence.json").read_text())["problems"]
    page = (ROOT / "docs" / "range_test.md").read_text()
    assert to_markdown(consequence.table(record)).strip() in page
    assert to_markdown(consequence.spread(record)).strip() in page
    seeds = {len(rows) for found in record.values() for rows in [*found["finders"].values(), *found["grid"].values()]}
    assert seeds == {len(consequence.SEEDS)}
