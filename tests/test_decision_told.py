"""How the answer of a decision is told: as text, as JSON and as a picture."""

import dataclasses
import html
import json
import math
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from conftest import ROOT

from clrbench.callback import CyclicLR
from clrbench.decision.conclusion import CYCLE, KEEP, conclusion_of
from clrbench.decision.trials import CYCLICAL, FIXED, OTHER, Family, Rules
from clrbench.decision.worlds import World, played
from clrbench.files import write_text
from clrbench.measure import PERCENT, Measure
from clrbench.report.decision import Decided, as_json, lines
from clrbench.report.decision_picture import picture
from clrbench.report.decisions import decisions
from clrbench.report.outputs import own
from simulate_decisions import table

FAMILIES = [Family("fixed", FIXED), Family("linear", OTHER), Family("triangular2", CYCLICAL)]
POLICY = {
    "name": "triangular2",
    "_target_": "clrbench.schedules.triangular2",
    "base_lr": 0.01,
    "max_lr": 0.04,
    "step_size": 50,
    "window": None,
}
BITS = Measure("val_bpc", "min", "bits", 0.5)


def decided(ahead: float, measure: Measure = PERCENT, noise: float = 0.2, seed: int = 0) -> Decided:
    """A decision in a world in which cycles are ahead."""
    tops = {family: ahead * (family.kind == CYCLICAL) for family in FAMILIES}
    tops = {family: measure.sign * 90.0 + top for family, top in tops.items()}
    world = World(tops, dict.fromkeys(FAMILIES, 0.4), 0.5, dict.fromkeys((FIXED, OTHER, CYCLICAL), noise))
    rules = Rules(margin=0.5)
    state, runs = played(world, FAMILIES, rules, np.random.default_rng(seed))
    return Decided(
        task=("digits", "small_cnn"),
        measure=measure,
        metric=measure.metric,
        iterations=400,
        conclusion=conclusion_of(state, rules),
        state=state,
        bounds={one: (0.005 * 2.0**one.rung, 0.02 * 2.0**one.rung) for one in state.screened},
        asked=["decide.ratio=4", "bounds.max_lr=0.02"],
        arms={family: f"decide/{family.name}" for family in FAMILIES},
        command="python train.py arm=decide/triangular2 seed=1",
        policy=POLICY,
        runs=runs,
        hours=0.1,
        range_test=1.5,
        notes=["a note"],
    )


def test_the_first_line_says_what_to_take_and_a_project_of_ones_own_gets_its_line() -> None:
    said = lines(decided(ahead=2.0))
    assert said[0].startswith(f"answer   {CYCLE}: triangular2 with max_lr 0.0")
    assert "step_size 50" in said[0]
    assert "         clr = CyclicLR('triangular2', base_lr=0.01, max_lr=0.04, step_size=50)" in said
    assert "run      python train.py arm=decide/triangular2 seed=1" in said


def test_gain_regret_and_what_would_turn_it_are_told_in_points() -> None:
    told = "\n".join(lines(decided(ahead=2.0)))
    gain = ("gain     triangular2 at", "points [+", "seeds: better")
    for part in (*gain, "regret   at most 0.00 points beside", "turns    ", "note     a note"):
        assert part in told


def test_where_less_is_better_values_are_those_of_the_metric_and_gains_are_still_positive() -> None:
    made = decided(ahead=2.0, measure=BITS)
    content = as_json(made)
    assert made.conclusion.verdict == CYCLE
    assert content["value"] == pytest.approx(88, abs=1)
    (gain,) = (gain for gain in content["gains"] if gain["over"]["family"] == "fixed" and gain["of"]["family"] == "triangular2")
    assert gain["mean"] == pytest.approx(2, abs=0.5)


def test_no_difference_that_matters_is_an_answer() -> None:
    told = lines(decided(ahead=0.0))
    assert told[0].startswith(f"answer   {KEEP}: ")
    assert any(line.startswith("because  no difference that matters") for line in told)


ADDED = "takes more seeds; added after an open end, they make an error likelier than 5%"


def test_an_open_decision_says_that_it_is_a_guess_and_that_added_looks_cost_more_than_the_level() -> None:
    told = lines(decided(ahead=0.5, noise=2.0))
    assert "(not settled: the best guess)" in told[0]
    assert told[-1] == f"more     decide.looks=[5,8,12,20] {ADDED}"


def test_more_seeds_than_were_asked_for_are_advised_and_none_where_the_hours_ended_the_decision() -> None:
    made = decided(ahead=0.5, noise=2.0)
    assert made.state.final is not None
    wider = dataclasses.replace(made.state.final, rules=Rules(margin=0.5, looks=(5, 8, 12, 20)))
    asked = dataclasses.replace(made, state=dataclasses.replace(made.state, final=wider))
    assert lines(asked)[-1] == f"more     decide.looks=[5,8,12,20,33] {ADDED}"
    ended = dataclasses.replace(made, state=dataclasses.replace(made.state, stage="final"))
    assert not [line for line in lines(ended) if line.startswith("more")]


FIXED_RATE = {"name": "fixed", "_target_": "clrbench.schedules.fixed", "base_lr": 0.1}


@pytest.mark.parametrize(
    "settings",
    [
        {"_target_": "clrbench.schedules.dropping", "schedule": FIXED_RATE, "drops": [8, 16]},
        {
            "_target_": "clrbench.schedules.staged",
            "stages": [{"start": 0, "schedule": FIXED_RATE}, {"start": 50, "schedule": POLICY}],
        },
        POLICY,
    ],
    ids=lambda settings: settings["_target_"],
)
def test_the_lines_for_a_project_of_ones_own_run(settings: dict[str, object]) -> None:
    said = lines(dataclasses.replace(decided(ahead=2.0), policy={"name": "mine", **settings}))
    assert clr_of(said).schedule(60) > 0


def clr_of(said: list[str]) -> CyclicLR:
    """What the lines for a project of one's own make."""
    begin, end = (next(at for at, line in enumerate(said) if part in line) for part in ("yours  ", "Trainer("))
    made: dict[str, Any] = {}
    exec("\n".join(line[9:] for line in said[begin:end]), made)
    return made["clr"]  # type: ignore[no-any-return]


OWN = {"_target_": "own_policies.sag", "max_lr": 0.05, "length": 4, "least": None}


@pytest.mark.parametrize(
    "settings", [OWN, {"_target_": "clrbench.schedules.dropping", "schedule": OWN, "drops": [100]}], ids=["alone", "within"]
)
def test_the_lines_for_a_project_of_ones_own_run_with_a_policy_of_ones_own(
    settings: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_policies.py").write_text(
        "def sag(iteration, max_lr, length, least):\n    return max_lr / (1 + iteration / length)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    said = lines(dataclasses.replace(decided(ahead=2.0), policy={"name": "sag", **settings}))
    assert clr_of(said).schedule(4) == pytest.approx(0.025)


def test_json_holds_no_number_that_json_lacks() -> None:
    made = decided(ahead=2.0)
    first = made.conclusion.gains[0]
    broken = dataclasses.replace(first, mean=math.nan, low=-math.inf, high=math.inf)
    made = dataclasses.replace(made, conclusion=dataclasses.replace(made.conclusion, gains=[broken]))
    assert json.loads(json.dumps(as_json(made), allow_nan=False))["gains"][0]["mean"] is None


def test_the_picture_has_a_panel_a_family_and_escapes_names() -> None:
    made = dataclasses.replace(decided(ahead=2.0), task=("a<b", "net"))
    root = ElementTree.fromstring(picture(made))
    texts = ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"fixed", "linear", "triangular2 (the answer)"} <= set(texts)
    assert "a<b" in "".join(root.find("{http://www.w3.org/2000/svg}title").itertext())  # type: ignore[union-attr]


def page_with(folder: Path, made: Decided) -> str:
    """The report of no runs beside this decision."""
    decide = folder / "outputs" / "decide"
    write_text(decide / "one.json", json.dumps(as_json(made)))
    write_text(decide / "one.svg", picture(made))
    files = own(folder / "results", folder / "outputs", ROOT / "conf")
    return files[folder / "outputs" / "report" / "index.html"]


def test_the_page_shows_each_decision_before_the_claims_with_a_link_from_the_contents(tmp_path: Path) -> None:
    made = decided(ahead=2.0)
    page = page_with(tmp_path, made)
    shown = page[page.index('<section id="decisions">') : page.index('<section id="waiting"')]
    assert '<a href="#decisions">Decisions</a>' in page
    said = lines(made)
    for line in (said[0], *(line for line in said if line.startswith(("gain", "regret", "turns", "cost")))):
        assert html.escape(line[9:]) in shown
    assert "data:image/svg+xml;base64," in shown
    for family, tried in as_json(made)["peaks"].items():
        values = "".join(f"<td[^>]*>{re.escape(f'{value:.2f}%')}</td>(<td[^>]*></td>)*" for value in tried.values())
        assert re.search(rf'<th scope="row">{family}</th>(<td[^>]*></td>)*{values}', shown)


def test_names_of_a_decision_are_escaped_on_the_page(tmp_path: Path) -> None:
    page = page_with(tmp_path, dataclasses.replace(decided(ahead=2.0), task=("<script>x", "net"), notes=["<b>note"]))
    assert "<script>x" not in page
    assert "<b>note" not in page
    assert "&lt;b&gt;note" in page


_NO_ANSWER = {"metric": "loss", "mode": "min", "unit": "", "margin": 1, "peaks": {}, "model": "", "data": "", "iterations": 1}


@pytest.mark.parametrize(
    "content",
    ["{", "[]", "{}", '{"text": 1}', *(json.dumps({**_NO_ANSWER, "text": text}) for text in ([], ["          no word"]))],
)
def test_a_file_that_is_no_decision_is_left_out_with_a_line(tmp_path: Path, content: str) -> None:
    write_text(tmp_path / "broken.json", content)
    found, (fault,) = decisions(tmp_path)
    assert found == []
    assert fault.startswith(f"{tmp_path / 'broken.json'}: is no decision of this version: ")


def test_the_page_of_the_decision_shows_what_the_simulation_found() -> None:
    found = json.loads((ROOT / "results" / "bench" / "decisions.json").read_text())["settings"]
    assert table(found) in (ROOT / "docs" / "decide.md").read_text()
