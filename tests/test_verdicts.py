"""Claims and their verdicts, on made-up stores whose answer is known."""

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from made_up import CYCLES, write_arm, write_run, write_table1

from clrbench.analysis.claims import ClaimFamily, read_families
from clrbench.analysis.relations import FAILS, HOLDS, INCONCLUSIVE, NOT_RUN
from clrbench.analysis.verdicts import Verdict, judge_all, judge_family
from clrbench.errors import ConfigError
from clrbench.range_test.records import RANGE_TEST
from clrbench.runs import read_runs
from clrbench.store import Evaluation

CONF = ROOT / "conf"
BASE = (80.0, 80.4, 79.8, 80.1, 80.3)
FAMILY = """
title: made up
setting: {data.split: paper, scale: 1}
differs: [it is made up]
claims:
  - id: A1
    says: cycling does as well as fixed
    source: nowhere
    relation: equal
    margin: 0.5
    experiments: [table1]
    treatment: {select: {policy.name: cycling}, paper: 81.0}
    control: {select: {policy.name: fixed}, paper: 81.0}
  - id: A2
    says: cycling beats decay
    source: nowhere
    relation: higher
    experiments: [table1]
    treatment: {select: {policy.name: cycling}}
    control: {select: {policy.name: decay}}
"""


def shifted(by: float, *, noise: float = 0.0) -> list[float]:
    return [value + by + noise * (-1) ** at for at, value in enumerate(BASE)]


def family(tmp_path: Path, text: str = FAMILY) -> ClaimFamily:
    folder = tmp_path / "conf" / "claims"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "made.yaml").write_text(text)
    (made,) = read_families(tmp_path / "conf")
    return made


def judged(tmp_path: Path, text: str = FAMILY) -> dict[str, Verdict]:
    runs, faults = read_runs(tmp_path)
    assert faults == []
    found = judge_family(family(tmp_path, text), runs, tmp_path)
    assert len({verdict.claim.id for verdict in found}) == len(found)
    return {verdict.claim.id: verdict for verdict in found}


def outcome(tmp_path: Path, claim: str = "A2") -> str:
    return judged(tmp_path)[claim].verdict


# Known answers


@pytest.mark.parametrize(
    ("control", "by", "expected"),
    [
        ("fixed", 0.0, HOLDS),
        ("fixed", 0.3, HOLDS),
        ("fixed", 2.0, FAILS),
        ("fixed", -2.0, FAILS),
        ("decay", 2.0, HOLDS),
        ("decay", -2.0, FAILS),
        ("decay", 0.0, FAILS),
    ],
)
def test_five_seeds_that_agree_settle_a_claim(tmp_path: Path, control: str, by: float, expected: str) -> None:
    write_arm(tmp_path, "cycling", shifted(by, noise=0.05))
    write_arm(tmp_path, control, BASE)
    assert outcome(tmp_path, "A1" if control == "fixed" else "A2") == expected


@pytest.mark.parametrize("seeds", [1, 2, 3, 4])
@pytest.mark.parametrize("control", ["fixed", "decay"])
def test_fewer_seeds_settle_nothing_however_clear_they_look(tmp_path: Path, seeds: int, control: str) -> None:
    write_arm(tmp_path, "cycling", shifted(0.0 if control == "fixed" else 9.0)[:seeds])
    write_arm(tmp_path, control, BASE[:seeds])
    verdict = judged(tmp_path)["A1" if control == "fixed" else "A2"]
    assert verdict.verdict == INCONCLUSIVE
    assert "too few to tell" in verdict.reason
    assert verdict.least == 0.5**seeds
    assert verdict.case.command == "make sweep EXPERIMENT=table1 SEEDS=1,2,3,4,5"


def test_five_seeds_that_disagree_settle_nothing(tmp_path: Path) -> None:
    write_arm(tmp_path, "cycling", shifted(0.2, noise=2.0))
    write_arm(tmp_path, "decay", BASE)
    write_arm(tmp_path, "fixed", BASE)
    assert {id: verdict.verdict for id, verdict in judged(tmp_path).items()} == {"A1": INCONCLUSIVE, "A2": INCONCLUSIVE}


def test_one_seed_against_four_is_not_enough_though_the_mean_is_higher(tmp_path: Path) -> None:
    write_arm(tmp_path, "cycling", [value + by for value, by in zip(BASE, (30, 1, 1, 1, -1), strict=True)])
    write_arm(tmp_path, "decay", BASE)
    assert outcome(tmp_path) == INCONCLUSIVE


def test_only_seeds_that_both_sides_have_are_compared(tmp_path: Path) -> None:
    for seed, value in enumerate(shifted(2.0, noise=0.1), 1):
        write_run(tmp_path, "cycling", seed, value)
        write_run(tmp_path, "decay", seed + 3, value)
    verdict = judged(tmp_path)["A2"]
    assert list(verdict.case.values) == [4, 5]
    assert verdict.verdict == INCONCLUSIVE


def test_without_a_common_seed_or_a_control_the_claim_is_not_run(tmp_path: Path) -> None:
    write_arm(tmp_path, "cycling", BASE)
    for seed in range(6, 11):
        write_run(tmp_path, "decay", seed, 80.0)
    verdicts = judged(tmp_path)
    assert (verdicts["A2"].verdict, verdicts["A2"].reason) == (NOT_RUN, "no seed that both sides share")
    assert (verdicts["A1"].verdict, verdicts["A1"].reason) == (NOT_RUN, "no run of the control")


# Diverged and failed runs


def test_a_treatment_that_diverges_every_time_loses(tmp_path: Path) -> None:
    write_arm(tmp_path, "cycling", [None] * 5)
    write_arm(tmp_path, "decay", BASE)
    verdict = judged(tmp_path)["A2"]
    assert (verdict.verdict, verdict.interval) == (FAILS, None)
    assert "5 of 5 runs of cycling diverged" in verdict.case.notes


def test_a_treatment_that_diverges_once_is_not_shown_to_be_better(tmp_path: Path) -> None:
    write_arm(tmp_path, "cycling", [*shifted(2.0, noise=0.1)[:4], None])
    write_arm(tmp_path, "decay", BASE)
    verdict = judged(tmp_path)["A2"]
    assert verdict.verdict == INCONCLUSIVE
    assert "1 of 5 differences below 0, as runs diverged" in verdict.reason


def test_a_seed_on_which_both_sides_diverge_says_nothing(tmp_path: Path) -> None:
    write_arm(tmp_path, "cycling", [None, *shifted(2.0)[1:]])
    write_arm(tmp_path, "decay", [None, *BASE[1:]])
    assert list(judged(tmp_path)["A2"].case.values) == [2, 3, 4, 5]


def test_a_failed_run_is_no_run_and_is_told(tmp_path: Path) -> None:
    write_arm(tmp_path, "cycling", BASE)
    write_arm(tmp_path, "decay", BASE[:4])
    write_run(tmp_path, "decay", 5, None, status="failed")
    verdict = judged(tmp_path)["A2"]
    assert list(verdict.case.values) == [1, 2, 3, 4]
    assert "1 of 5 runs of decay failed" in verdict.case.notes


# A family shares the risk


def test_a_claim_that_would_hold_alone_may_not_hold_in_a_large_family(tmp_path: Path) -> None:
    differences = (0.4, 1.6, 0.2, 1.4, 0.6)
    write_arm(tmp_path, "cycling", [value + by for value, by in zip(BASE, differences, strict=True)])
    write_arm(tmp_path, "decay", BASE)
    assert outcome(tmp_path) == HOLDS
    rows = FAMILY.index("  - id: A2")
    many = FAMILY[:rows] + "".join(FAMILY[rows:].replace("A2", f"B{number}") for number in range(20))
    alone = judged(tmp_path)["A2"].p
    assert {verdict.verdict for id, verdict in judged(tmp_path, many).items() if id != "A1"} == {INCONCLUSIVE}
    assert judged(tmp_path, many)["B0"].p == pytest.approx(20 * alone)


# Sources, settings, ambiguity


@pytest.mark.parametrize(
    ("gains", "why"),
    [
        ((1.0, 1.1, 0.9, 1.2, -0.05), "the exact test by changes of sign does not agree (p = 0.062)"),
        ((1.0, 0.2, 0.9, 1.2, 0.1), "clear on its own, but not as one of 4 claims that are judged together"),
        ((1.0, -0.2, 0.9, -1.2, 0.1), "the interval includes 0"),
    ],
)
def test_an_open_claim_says_which_of_its_tests_keeps_it_open(tmp_path: Path, gains: Sequence[float], why: str) -> None:
    write_arm(tmp_path, "cycling", [value + gain for value, gain in zip(BASE, gains, strict=True)])
    write_arm(tmp_path, "decay", list(BASE))
    verdict = judged(tmp_path)["A2"]
    assert verdict.relation.why(verdict.claim, INCONCLUSIVE, verdict.case, 4) == why


def test_shipped_and_own_runs_are_never_mixed(tmp_path: Path) -> None:
    write_arm(tmp_path, "cycling", shifted(2.0), source="evidence")
    write_arm(tmp_path, "decay", BASE, source="runs")
    runs, _ = read_runs(tmp_path)
    found = [verdict for verdict in judge_family(family(tmp_path), runs, tmp_path) if verdict.claim.id == "A2"]
    assert [(verdict.source, verdict.verdict) for verdict in found] == [("evidence", NOT_RUN), ("runs", NOT_RUN)]


def test_runs_in_another_setting_are_judged_on_their_own_and_the_difference_is_told(tmp_path: Path) -> None:
    for config in ({}, {"scale": 0.2}):
        write_arm(tmp_path, "cycling", shifted(2.0), config=config)
        write_arm(tmp_path, "decay", BASE, config=config)
    runs, _ = read_runs(tmp_path)
    found = [verdict for verdict in judge_family(family(tmp_path), runs, tmp_path) if verdict.claim.id == "A2"]
    assert [verdict.case.differs for verdict in found] == [(), ("scale is 0.2 (the paper: 1)",)]
    assert [len(verdict.case.values) for verdict in found] == [5, 5]


def test_two_arms_that_fit_one_side_are_not_averaged(tmp_path: Path) -> None:
    write_arm(tmp_path, "cycling", shifted(2.0), iterations=400)
    write_arm(tmp_path, "cycling", shifted(3.0), iterations=800)
    write_arm(tmp_path, "decay", BASE)
    verdict = judged(tmp_path)["A2"]
    assert verdict.verdict == INCONCLUSIVE
    assert "several runs of cycling have one seed" in verdict.reason


# The best of several


BEST = """
title: made up
setting: {scale: 1}
claims:
  - id: B
    says: cycling beats the best of three rates
    source: nowhere
    relation: higher
    experiments: [table1]
    setting: {data.batch_size: 100}
    treatment: {select: {policy.name: cycling}}
    control: {best_of: [table1/low, table1/middle, table1/high]}
"""


def write_rates(tmp_path: Path, **accuracies: list[float | None]) -> None:
    for rate, values in accuracies.items():
        write_arm(tmp_path, rate, values)


@pytest.mark.parametrize(("best", "expected"), [(1.0, HOLDS), (5.0, FAILS)])
def test_the_control_is_the_arm_with_the_highest_mean(tmp_path: Path, best: float, expected: str) -> None:
    write_arm(tmp_path, "cycling", shifted(3.0, noise=0.05))
    write_rates(tmp_path, low=shifted(-2.0), middle=shifted(best), high=shifted(0.0, noise=0.9))
    verdict = judged(tmp_path, BEST)["B"]
    assert verdict.verdict == expected
    assert verdict.case.control == dict(enumerate(shifted(best), 1))
    note = "the control is middle, of table1/low, table1/middle, table1/high the best by these same runs, which favours it"
    assert verdict.case.notes == [note]


def test_arms_are_compared_by_the_seeds_that_all_of_them_have(tmp_path: Path) -> None:
    write_arm(tmp_path, "cycling", shifted(3.0))
    # Over all of its own seeds `high` would be the best.
    write_rates(tmp_path, low=shifted(1.0)[:2], middle=shifted(0.0), high=[*shifted(0.5)[:2], 95.0, 95.0, 95.0])
    verdict = judged(tmp_path, BEST)["B"]
    assert verdict.case.control == dict(enumerate(shifted(1.0)[:2], 1))
    assert list(verdict.case.values) == [1, 2]


@pytest.mark.parametrize("rates", [{"low": BASE}, {"low": BASE, "middle": BASE, "high": ()}])
def test_without_a_seed_that_all_of_them_have_there_is_no_best_one(tmp_path: Path, rates: dict[str, list[float]]) -> None:
    write_arm(tmp_path, "cycling", shifted(3.0))
    write_rates(tmp_path, **rates)
    verdict = judged(tmp_path, BEST)["B"]
    assert verdict.verdict == NOT_RUN
    assert verdict.reason == "no run of the control, which takes a seed that table1/low, table1/middle, table1/high share"


def test_a_rate_that_diverges_is_not_the_best_one(tmp_path: Path) -> None:
    write_arm(tmp_path, "cycling", shifted(3.0))
    write_rates(tmp_path, low=shifted(-9.0), middle=shifted(-8.0), high=[None, *shifted(2.0)[1:]])
    verdict = judged(tmp_path, BEST)["B"]
    assert verdict.case.control == dict(enumerate(shifted(-8.0), 1))
    assert verdict.verdict == HOLDS


def test_a_claim_may_have_a_setting_of_its_own_beside_its_familys(tmp_path: Path) -> None:
    for config in ({"scale": 0.2}, {"data": {"batch_size": 50}}):
        write_arm(tmp_path, "cycling", shifted(3.0), config=config)
    runs, _ = read_runs(tmp_path)
    found = judge_family(family(tmp_path, BEST), runs, tmp_path)
    assert [verdict.case.differs for verdict in found] == [
        ("scale is 0.2 (the paper: 1)",),
        ("data.batch_size is 50 (the paper: 100)",),
    ]


def test_a_treatment_that_is_the_best_of_several_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"B: treatment\.best_of would favour the claim"):
        family(
            tmp_path,
            BEST.replace("treatment: {select: {policy.name: cycling}}", "treatment: {best_of: [table1/cycling, table1/low]}"),
        )


# Other relations and readings


REACHES = """
title: made up
claims:
  - id: R
    says: cycling is fast
    source: nowhere
    relation: reaches
    share: 0.5
    experiments: [table1]
    treatment: {select: {policy.name: cycling}}
    control: {select: {policy.name: fixed}}
"""


@pytest.mark.parametrize(
    ("curve", "expected"), [((70.0, 81.0, 82.0), HOLDS), ((70.0, 71.0, 72.0), FAILS), ((90.0, 60.0, 61.0), FAILS)]
)
def test_reaching_the_control_in_a_share_of_its_iterations_is_counted_seed_by_seed(
    tmp_path: Path, curve: tuple[float, ...], expected: str
) -> None:
    write_arm(tmp_path, "fixed", BASE)
    write_arm(tmp_path, "cycling", [82.0] * 5, curve=curve)
    verdict = judged(tmp_path, REACHES)["R"]
    assert verdict.verdict == expected


def test_a_run_that_never_reaches_the_control_counts_as_infinity(tmp_path: Path) -> None:
    write_arm(tmp_path, "fixed", BASE)
    write_arm(tmp_path, "cycling", [79.0] * 5, curve=(70.0,))
    assert set(judged(tmp_path, REACHES)["R"].case.values.values()) == {float("inf")}


PHASES = """
title: made up
claims:
  - id: P1
    says: ends beat middles
    source: nowhere
    relation: higher
    experiments: [windows]
    treatment: {select: {policy.name: triangular}, reading: cycle_ends}
    control: {select: {policy.name: triangular}, reading: cycle_middles}
  - id: P2
    says: the second cycle beats the first
    source: nowhere
    relation: higher
    experiments: [windows]
    treatment: {select: {policy.name: triangular}, reading: cycle, cycle: 2}
    control: {select: {policy.name: triangular}, reading: cycle, cycle: 1}
  - id: P3
    says: a cycle that is not there
    source: nowhere
    relation: higher
    experiments: [windows]
    treatment: {select: {policy.name: triangular}, reading: cycle, cycle: 9}
    control: {select: {policy.name: triangular}, reading: cycle, cycle: 1}
"""


def test_phases_of_the_cycle_are_read_off_the_schedule(tmp_path: Path) -> None:
    for seed in range(1, 6):
        # Cycles end at 200 and 400; evaluations are at 100, 200, 300, 400.
        write_run(
            tmp_path,
            "triangular",
            seed,
            80.0 + seed / 100,
            experiment="windows",
            schedule=CYCLES,
            curve=(50.0, 70.0 - seed / 50, 60.0),
        )
    verdicts = judged(tmp_path, PHASES)
    assert verdicts["P1"].case.values[1] == pytest.approx((69.98 + 80.01) / 2 - (50.0 + 60.0) / 2)
    assert verdicts["P2"].case.values[1] == pytest.approx(80.01 - 69.98)
    assert [verdicts[id].verdict for id in ("P1", "P2", "P3")] == [HOLDS, HOLDS, NOT_RUN]


def test_a_budget_that_ends_within_a_cycle_is_told_with_the_accuracy_at_the_last_whole_one(tmp_path: Path) -> None:
    write_arm(tmp_path, "cycling", shifted(0.0), schedule=CYCLES, iterations=300, curve=(60.0, 70.0))
    write_arm(tmp_path, "decay", BASE)
    (note,) = judged(tmp_path)["A2"].case.notes
    assert note == "cycling ends within a cycle; at its last whole one's end, iteration 200, it has 70.00%"


COST = """
title: made up
claims:
  - id: K
    says: it costs nothing
    source: nowhere
    relation: below
    margin: 1.0
    cost: {figure: callback, of: step}
"""


@pytest.mark.parametrize(("microseconds", "expected"), [(2.0, HOLDS), (2000.0, FAILS)])
def test_a_cost_is_judged_from_the_measurement_in_the_units_that_it_has(
    tmp_path: Path, microseconds: float, expected: str
) -> None:
    figures = [
        {"name": "callback", "unit": "µs", "values": [microseconds * (1 + at / 50) for at in range(5)]},
        {"name": "step", "unit": "ms", "values": [40.0, 41.0, 39.5, 40.2, 40.1]},
    ]
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "step.json").write_text(json.dumps({"host": "laptop", "figures": figures}))
    assert judged(tmp_path, COST)["K"].verdict == expected


def test_a_cost_that_was_never_measured_is_not_run(tmp_path: Path) -> None:
    assert judged(tmp_path, COST)["K"].verdict == NOT_RUN


# The claims that ship


def test_every_claim_of_the_paper_is_there_once() -> None:
    ids = [claim.id for family in read_families(CONF) for claim in family.claims]
    assert len(set(ids)) == len(ids)
    assert {id.rstrip("abcdefr") for id in ids if id.startswith("C")} == {f"C{number}" for number in range(1, 15)}


def test_every_claim_without_runs_says_so_and_names_a_command_or_what_is_missing(tmp_path: Path) -> None:
    verdicts = judge_all([], CONF, tmp_path)
    assert {verdict.verdict for verdict in verdicts} == {NOT_RUN}
    for verdict in verdicts:
        assert verdict.case.command or verdict.claim.missing


def test_every_experiment_that_a_claim_names_exists() -> None:
    for found in read_families(CONF):
        for claim in found.claims:
            assert claim.experiments or claim.missing or claim.cost
            # The runs of a range test have a command of their own.
            names = set(claim.experiments) - {RANGE_TEST}
            assert all((CONF / "experiment" / f"{name}.yaml").is_file() for name in names)


def test_the_arms_of_which_a_claim_takes_the_best_and_their_rival_are_run_by_its_experiments() -> None:
    claims = [claim for found in read_families(CONF) for claim in found.claims if claim.control.best_of]
    assert len(claims) == 6
    for claim in claims:
        (experiment,) = claim.experiments
        text = (CONF / "experiment" / f"{experiment}.yaml").read_text()
        for arm in (claim.treatment.select["arm"], *claim.control.best_of):
            assert re.search(rf"\b{arm}\b", text)


@pytest.mark.parametrize(("by", "expected"), [(0.1, HOLDS), (-2.0, FAILS)])
def test_bfloat16_is_held_against_float32_seed_by_seed(tmp_path: Path, by: float, expected: str) -> None:
    for precision, accuracies in (("float32", shifted(0.0)), ("bfloat16", shifted(by, noise=0.05))):
        setting = {"trainer": {"precision": precision}, "scale": 0.2}
        write_arm(tmp_path, "decay", accuracies, experiment="table1_fifth", config=setting)
    runs, _ = read_runs(tmp_path)
    verdicts = {verdict.claim.id: verdict for verdict in judge_all(runs, CONF, tmp_path)}
    assert verdicts["P1c"].verdict == expected, verdicts["P1c"].reason
    assert verdicts["P1a"].verdict == NOT_RUN
    assert verdicts["P1a"].case.command == "python train.py -m experiment=table1_fifth trainer.precision=float32,bfloat16"


def test_the_papers_numbers_are_those_of_its_tables() -> None:
    claims = {claim.id: claim for family in read_families(CONF) for claim in family.claims}
    papers = {id: (claim.treatment.paper, claim.control.paper) for id, claim in claims.items()}
    assert papers["C1"] == (81.4, 81.4)
    assert papers["C2"] == (81.4, 78.5)
    assert papers["C3"] == (82.2, 79.1)
    assert papers["C4"] == (72.2, 60.8)
    assert [papers[f"C5{row}"] for row in "abcde"] == [(81.3, 82.1), (81.1, 81.4), (75.1, 75.2), (76.0, 74.6), (67.3, 67.3)]
    assert [papers[f"C11{row}"] for row in "abc"] == [(93.6, 93.3), (94.5, 94.6), (94.9, 94.5)]
    assert [papers[f"C11{row}"] for row in "def"] == [(72.5, 71.9), (75.4, 75.2), (75.9, 75.3)]
    assert [papers[f"C13{row}"] for row in "abcd"] == [(58.4, 58.0), (56.5, 56.0), (64.4, 63.0), (60.2, 58.2)]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("relation: higher", "relation: larger", "A2: relation=larger is unknown"),
        ("says: cycling beats decay", "sais: cycling beats decay", "sais"),
        ("margin: 0.5", "margin: wide", "margin|wide"),
        ("name: decay}}", "name: decay}, average: mean}", "A2: control.average=mean is unknown: choose one of cycle"),
        ("name: decay}}", "name: decay}, average: ema, reading: cycle_ends}", "average=ema is read at the end alone"),
    ],
)
def test_a_bad_claim_is_one_line(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as caught:
        judge_family(family(tmp_path, FAMILY.replace(old, new)), [], tmp_path)
    assert "\n" not in str(caught.value)
    assert "made.yaml" in str(caught.value)


AVERAGED = """
title: made up
claims:
  - id: M
    says: the mean of the weights beats the last ones
    source: nowhere
    relation: higher
    margin: 0.3
    experiments: [averaging]
    treatment: {select: {policy.name: triangular}, average: cycle_ends}
    control: {select: {policy.name: triangular}}
"""


def write_averaged(results: Path, seed: int, last: float, mean: float | None) -> None:
    """A run that ends with `last`, and with `mean` for the mean of its weights, None where nothing measured that."""
    record = write_run(results, "triangular", seed, last, experiment="averaging", schedule=CYCLES)
    also = {} if mean is None else {"test_accuracy_cycle_ends": mean}
    record.write_evaluations([Evaluation(400, 4, 0.001, 1.0, {"test_accuracy": last, **also}, 1.0)])


@pytest.mark.parametrize(("by", "expected"), [(1.0, HOLDS), (0.0, FAILS)])
def test_an_average_is_read_beside_the_last_weights_of_the_same_run(tmp_path: Path, by: float, expected: str) -> None:
    for seed, last in enumerate(BASE, 1):
        write_averaged(tmp_path, seed, last, last + by + (seed - 3) / 100)
    assert judged(tmp_path, AVERAGED)["M"].verdict == expected


def test_runs_that_did_not_measure_the_average_are_no_runs_of_its_claim(tmp_path: Path) -> None:
    write_averaged(tmp_path, 1, 80.0, None)
    verdict = judged(tmp_path, AVERAGED)["M"]
    assert (verdict.verdict, verdict.reason) == (NOT_RUN, "no run of the treatment")


def test_a_setting_that_the_paper_leaves_unset_is_told_in_words(tmp_path: Path) -> None:
    write_averaged(tmp_path, 1, 80.0, 81.0)
    text = AVERAGED.replace("claims:", "setting: {data.training_images: 1000}\nclaims:")
    assert judged(tmp_path, text)["M"].case.differs == ("data.training_images is unset (the paper: 1000)",)


# The range test's claim


def write_ramps(results: Path, rise: float, slow: float, *, seeds: int = 3, **settings: object) -> None:
    """Ramps of 40 points up to 0.02 on which accuracy rises from `rise` on, slows at `slow`, and falls at the end."""
    rates = np.linspace(0, 0.02, 41)[1:]
    accuracies = np.interp(np.log(rates), np.log([rise, slow, 0.016, 0.02]), [10.0, 60.0, 62.0, 15.0])
    schedule = {"_target_": "clrbench.schedules.ramp", "min_lr": 0, "max_lr": 0.02, "iterations": 4000}
    classes = {"images": {"classes": 10}, "bounds": {"base_lr": 0.0, "max_lr": 0.02}}
    for seed in range(1, seeds + 1):
        kind = {"experiment": RANGE_TEST, "schedule": schedule, "iterations": 4000, "config": classes}
        record = write_run(results, "ramp", seed, 15.0, **kind)
        seen = accuracies + np.random.default_rng(seed).normal(0, 0.3, len(rates))
        record.write_evaluations(
            [
                Evaluation(
                    100 * at,
                    at / 5,
                    float(rate),
                    1.0,
                    {"test_loss": 2.5 - float(value) / 40, "test_accuracy": float(value)},
                    at,
                )
                for at, (rate, value) in enumerate(zip(rates, seen, strict=True), 1)
            ]
        )


@pytest.mark.parametrize(("rise", "slow", "expected"), [(0.001, 0.006, HOLDS), (0.003, 0.012, FAILS)])
def test_the_range_test_is_held_against_the_papers_bounds(tmp_path: Path, rise: float, slow: float, expected: str) -> None:
    write_ramps(tmp_path, rise, slow)
    runs, _ = read_runs(tmp_path)
    (verdict,) = [verdict for verdict in judge_all(runs, CONF, tmp_path) if verdict.claim.id == "C9"]
    assert verdict.verdict == expected, verdict.reason
    assert verdict.reason.endswith(" 3 seeds") or ", 3 seeds: " in verdict.reason


def test_a_range_test_on_other_data_says_nothing_about_the_papers_bounds(tmp_path: Path) -> None:
    write_run(tmp_path, "ramp", 1, 15.0, experiment=RANGE_TEST, config={"data": {"name": "digits"}, "images": {"classes": 10}})
    runs, _ = read_runs(tmp_path)
    (verdict,) = [verdict for verdict in judge_all(runs, CONF, tmp_path) if verdict.claim.id == "C9"]
    command = "python scripts/range_test.py data=cifar10 model=cifar10_full data.split=paper range_test=paper"
    assert (verdict.verdict, verdict.case.command) == (NOT_RUN, command)


def test_a_verdict_tells_which_seeds_ran_on_a_gpu(tmp_path: Path) -> None:
    for policy in ("cycling", "fixed"):
        write_run(tmp_path, policy, 1, 80.0)
        write_run(tmp_path, policy, 2, 81.0, device="NVIDIA H100")
        write_run(tmp_path, policy, 3, 81.0, device="NVIDIA H100")
    assert judged(tmp_path)["A1"].case.notes == ["computed on NVIDIA H100 (seeds: 2, 3) and cpu (seeds: 1)"]


def test_a_copy_of_a_record_is_left_out_and_told(tmp_path: Path) -> None:
    write_table1(tmp_path, source="runs")
    runs, faults = read_runs(tmp_path)
    assert not faults
    folder = tmp_path / "runs" / "table1"
    shutil.copytree(folder, tmp_path / "runs" / "table1_laptop")
    one, other = sorted(folder.iterdir())[:2]
    shutil.copytree(one, folder / f"{one.name} (copy)")
    changed = json.loads((other / "result.json").read_text()) | {"value": 1.0}
    (tmp_path / "runs" / "table1_laptop" / other.name / "result.json").write_text(json.dumps(changed))
    again, faults = read_runs(tmp_path)
    assert again == runs
    assert len(faults) == len(runs) + 1
    assert faults[0] == f"{folder / one.name} (copy): is a copy of {folder / one.name}: left out"
    (differs,) = (fault for fault in faults if "though" in fault)
    assert "left out, though it says 1.00% and the other 8" in differs
