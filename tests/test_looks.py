"""Claims that are looked at with more and more seeds: when they are settled, and how often that is wrong."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from made_up import CYCLES, FIXED, write_arm

from clrbench.analysis.claims import Claim, ClaimFamily, Side
from clrbench.analysis.looks import Asked, Looks, asked_of
from clrbench.analysis.relations import FAILS, HOLDS, RELATIONS, Tested
from clrbench.decision.sequential import LOOKS, one_sided_level, repeated_interval
from clrbench.runs import read_runs
from clrbench.stats import NO_DIFFERENCE, OPEN, p_above
from clrbench.sweep.settling import expected_seeds, first_seed

CONF = ROOT / "conf"


def asked(name: str, relation: str, margin: float = 0.5) -> Asked:
    claim = Claim(id=name, says="a claim", relation=relation, margin=margin, experiments=["table1"])
    found = RELATIONS[relation]
    assert isinstance(found, Tested)
    return Asked(claim, ClaimFamily(name="made_up"), found)


def stands_after(number: int, ones: Sequence[Asked], *values: Sequence[float]) -> list[str]:
    looks = Looks(ones)
    looks.look(number, {one.claim.id: of_claim for one, of_claim in zip(ones, values, strict=True)})
    return list(looks.stands.values())


CLEAR, NOTHING = (3.0, 3.1, 2.9, 3.2, 3.0), (0.02, -0.01, 0.01, -0.02, 0.0)


@pytest.mark.parametrize(
    ("relation", "values", "stands"),
    [
        ("higher", CLEAR, HOLDS),
        ("higher", [-value for value in CLEAR], FAILS),
        ("higher", NOTHING, FAILS),
        ("higher", (1.0, -1.0, 2.0, -2.0, 0.5), OPEN),
        ("equal", NOTHING, HOLDS),
        ("equal", CLEAR, FAILS),
        ("equal", (1.0, -1.0, 2.0, -2.0, 0.5), OPEN),
        ("reaches", (0.1,) * 5, OPEN),  # five seeds that agree are too few for the first look
        ("higher", (), OPEN),
    ],
)
def test_a_clear_claim_is_settled_at_the_first_look(relation: str, values: Sequence[float], stands: str) -> None:
    assert stands_after(5, [asked("A", relation)], values) == [stands]


def test_seeds_that_all_agree_settle_a_yes_or_no_claim_at_a_later_look() -> None:
    assert stands_after(8, [asked("A", "reaches")], (0.1,) * 8) == [HOLDS]


def test_a_run_that_diverged_never_shows_that_a_difference_does_not_matter() -> None:
    one, values = asked("A", "higher"), [0.01 * at for at in range(-5, 6)]
    assert one.relation.p_does_not_matter([*values, 0.0], one.claim) < 0.001
    assert one.relation.p_does_not_matter([*values, float("inf")], one.claim) == 1.0


def test_what_is_shown_not_to_matter_is_settled_but_frees_no_level() -> None:
    # The interval lies within the margin at the level of one claim, and of ten not within what Holm leaves.
    small = np.array([0.5, -0.5, 0.4, -0.4, 0.3, -0.3, 0.2, -0.2, 0.45, -0.45, 0.35, -0.35]) * 1.3
    noise = np.array([40.0, -40.0] * 6)
    ones = [asked(str(at), "higher") for at in range(10)]
    low, high = repeated_interval(list(small), LOOKS, 0.05)
    assert -0.5 < low < high < 0.5
    assert stands_after(12, ones, small, *([noise] * 9)) == [NO_DIFFERENCE, *[OPEN] * 9]


def test_a_claim_that_holds_leaves_its_level_to_the_others() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0]) - 3
    needed = one_sided_level(LOOKS, 0.05, 5), one_sided_level(LOOKS, 0.025, 5)
    one = asked("B", "higher")
    shift = next(
        shift
        for shift in np.arange(3, 30, 0.1)
        if needed[1] < one.relation.p_holds(values + shift, one.claim, p_above) <= needed[0]
    )
    unclear = values + shift
    assert stands_after(5, [asked("A", "higher"), one], values, unclear) == [OPEN, OPEN]
    assert stands_after(5, [asked("A", "higher"), one], CLEAR, unclear) == [HOLDS, HOLDS]


@pytest.mark.parametrize(
    ("relations", "truth", "wrong"),
    [
        (("higher",) * 4, 0.0, HOLDS),
        (("higher",) * 4, 0.5, FAILS),
        (("equal",) * 4, 0.5, HOLDS),
        (("higher", "equal", "higher", "equal"), 0.5, None),
    ],
)
def test_at_most_one_experiment_in_twenty_has_a_wrong_verdict(
    relations: Sequence[str], truth: float, wrong: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over claims and looks together; each difference is where a wrong verdict is the likeliest. None: either verdict.

    Without the exact test, which takes long and can only make fewer verdicts.
    """
    monkeypatch.setattr("clrbench.stats.exact_p_above", lambda *_: 0.0)
    random, worlds = np.random.default_rng(0), 300
    ones = [asked(str(at), relation) for at, relation in enumerate(relations)]
    wrongs = {"higher": FAILS if truth else HOLDS, "equal": HOLDS}
    count = 0
    for _ in range(worlds):
        looks, values = Looks(ones), truth + 0.5 * random.normal(size=(len(ones), LOOKS[-1]))
        for number in LOOKS:
            looks.look(number, {one.claim.id: list(of[:number]) for one, of in zip(ones, values, strict=True)})
        count += any(looks.stands[one.claim.id] == (wrong or wrongs[one.claim.relation]) for one in ones)
    # 2.5% of wrong `holds` and of wrong `fails` each; three standard errors of so many worlds
    allowed = 0.025 if wrong else 0.05
    assert count / worlds <= allowed + 3 * (allowed * (1 - allowed) / worlds) ** 0.5
    assert count > 0


def test_the_words_have_the_repeated_interval(tmp_path: Path) -> None:
    write_arm(tmp_path, "fixed", (80.0, 80.4, 79.8, 80.1, 80.3), schedule=FIXED, config={"arm": "table1/fixed"})
    write_arm(tmp_path, "triangular2", (82.0, 82.3, 81.9, 82.1, 82.2), schedule=CYCLES, config={"arm": "table1/triangular2"})
    one = asked("A", "higher")
    one.claim.treatment, one.claim.control = Side({"arm": "table1/triangular2"}), Side({"arm": "table1/fixed"})
    (case,) = (case for case in one.relation.cases(one.claim, one.family, read_runs(tmp_path)[0], tmp_path) if case.values)
    looks = Looks([one])
    looks.look(5, {"A": list(case.values.values())})
    low, high = repeated_interval(list(case.values.values()), LOOKS, 0.05)
    assert looks.words(one, 5, case) == f"A: holds with 5 seeds: +1.98 points [{low:+.2f}, {high:+.2f}] (a claim)"


def test_claims_that_seeds_do_not_settle_are_told_apart() -> None:
    found, others = asked_of("range_test", CONF)
    assert (found, [claim.relation for claim in others]) == ([], ["finds"])
    assert {one.claim.id for one in asked_of("windows", CONF)[0]} == {"C7a", "C7b", "C8", "C12a", "C12b"}


def test_more_seeds_are_expected_of_arms_whose_claims_stay_open_longer() -> None:
    easy, hard = asked("easy", "higher", margin=0.5), asked("hard", "equal", margin=0.5)
    expected = expected_seeds([easy, hard], {"easy": [0, 1], "hard": [1, 2]})
    assert expected.keys() == {0, 1, 2}
    assert all(LOOKS[0] <= seeds <= LOOKS[-1] for seeds in expected.values())
    assert expected[1] >= max(expected[0], expected[2])


@pytest.mark.parametrize(("values", "first"), [("11,12,13", 11), ("range(3,9)", 3), (None, 1)])
def test_the_first_seed_is_that_of_the_experiment(values: str | None, first: int) -> None:
    assert first_seed(values) == first
