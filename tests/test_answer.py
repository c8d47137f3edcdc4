"""The answer: sentences that follow from the records, whatever these say, and the table of claims beside it."""

import io
from pathlib import Path

import pytest
from conftest import ROOT
from made_up import CYCLES, DROPS, ENDS, FIXED, HIGHER, write_arm, write_run, write_table1
from rich.console import Console

from clrbench.analysis.answer import Answer
from clrbench.report.answer_picture import SIZES, pictures, span
from clrbench.report.claim_table import ClaimRow, claim_table
from clrbench.report.contents import Contents, gather
from clrbench.report.page import render
from clrbench.report.summary import readme_block, summary
from clrbench.report.terminal import print_answer
from clrbench.report.titles import TITLES

CONF = ROOT / "conf"


def write_controls(results: Path, best: str = "linear") -> None:
    gains = {"fixed_base": -5.0, "fixed_drops": -3.0, "decay_drops": -1.0, "triangular2": 0.0, "linear": -2.0}
    for arm, gain in (gains | {best: 1.0}).items():
        ends = [end + gain + at / 50 * (arm == best) for at, end in enumerate(ENDS)]
        schedule = CYCLES if arm == "triangular2" else {**FIXED, "base_lr": 0.001 + len(arm) / 1e5}
        write_arm(results, arm, ends, experiment="controls", schedule=schedule)


def answered(results: Path) -> Answer:
    found = gather(results, CONF).answer
    assert found is not None
    return found


def test_it_says_when_each_arrives_where_each_stands_and_how_each_ends(tmp_path: Path) -> None:
    write_table1(tmp_path)
    assert list(answered(tmp_path).measured) == [
        "Sooner, but not as high: triangular2 reaches 80% test accuracy after 200 iterations; the fixed rate needs 700.",
        "After 400 iterations triangular2 stands at 81.0%, the fixed rate at 76.0% before it drops.",
        "The fixed rate drops after 600 iterations and ends 1.4 points [1.4, 1.4] higher after 800, at 82.4%.",
        "The mean of triangular2, 81.00%, lies within half a point of the paper's 81.4%.",
        "Further away than that are the means of fixed 82.42% (paper: 81.4%).",
        "The paper's claim that both end equally accurate is not reproduced.",
    ]


def test_it_says_how_far_the_seeds_spread_and_that_both_arrive_behind_a_drop(tmp_path: Path) -> None:
    stages = [{"start": 0, "schedule": CYCLES}, {"start": 200, "schedule": CYCLES}]
    staged = {"_target_": "clrbench.schedules.staged", "stages": stages}
    for seed, end in enumerate(ENDS, 1):
        curve = (70.0, 79.0, 80.0) if seed == 1 else (70.0, 80.0, 80.5)
        write_run(tmp_path, "triangular2", seed, end, schedule=staged, curve=curve)
        write_run(tmp_path, "fixed", seed, end + 1, schedule=DROPS, iterations=800, curve=(60.0, 70.0, 79.0))
    first, second, *_ = answered(tmp_path).measured
    assert first.endswith(
        "triangular2 reaches 80% test accuracy after 200 iterations (200 to 300 by seed); the fixed rate needs 800."
    )
    assert second == (
        "Both get there behind the first drop of their rate: triangular2 after 200 iterations, the fixed rate after 600."
    )


@pytest.mark.parametrize(
    ("by", "said"),
    [(0.1, "is reproduced"), (2.0, "is not reproduced"), (-2.0, "is not reproduced")],
)
def test_the_papers_claim_of_equality_follows_the_verdict(tmp_path: Path, by: float, said: str) -> None:
    write_table1(tmp_path, fixed=[end + by + at / 100 for at, end in enumerate(ENDS)])
    assert answered(tmp_path).measured[-1] == f"The paper's claim that both end equally accurate {said}."


def test_too_few_seeds_leave_the_claim_open(tmp_path: Path) -> None:
    write_table1(tmp_path, ENDS[:2], HIGHER[:2])
    assert answered(tmp_path).measured[-1] == "The paper's claim that both end equally accurate stays open."


def test_a_mean_that_is_further_from_the_papers_number_than_the_margin_is_told(tmp_path: Path) -> None:
    write_table1(tmp_path, [end - 3 for end in ENDS])
    assert (
        "The mean of triangular2, 78.00%, lies further than half a point from the paper's 81.4%." in answered(tmp_path).measured
    )


def test_the_choice_follows_the_budget_and_names_what_is_open(tmp_path: Path) -> None:
    write_table1(tmp_path)
    short, long, open_question = answered(tmp_path).choice
    assert short.startswith("If you train for 400 iterations, triangular2 is 5.0 points [")
    assert short.endswith(
        "That alone is no proof: this fixed rate was planned for 800 iterations, and none planned for 400 has run."
    )
    assert long.startswith("If you can train for 800, choose the fixed rate: it ends higher than triangular2 after 400. ")
    assert long.endswith("triangular2 itself has not run that long.")
    assert open_question.endswith("`make sweep EXPERIMENT=controls SEEDS=1,2,3,4,5` answers that.")


def test_seeds_that_disagree_make_no_choice(tmp_path: Path) -> None:
    write_table1(tmp_path, cycles=(76.0, 81.0, 71.0, 78.0, 73.0))
    assert answered(tmp_path).choice[0] == (
        "If you train for 400 iterations, these runs do not tell triangular2 from the fixed rate."
    )


def test_the_controls_say_what_makes_the_gain_and_which_policy_is_best_at_the_budget(tmp_path: Path) -> None:
    write_table1(tmp_path)
    write_controls(tmp_path)
    best, reason, *_ = answered(tmp_path).choice
    assert best.startswith(
        "If you train for 400 iterations, choose linear: "
        "of the 5 policies of experiment=controls it ends highest, at 82.0% (chosen on these runs), 1.0 points"
    )
    assert best.endswith("higher than triangular2.")
    assert "+2.00 points [+2.00, +2.00] by its drops" in reason
    assert not any("EXPERIMENT=controls" in line for line in answered(tmp_path).choice)


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        (
            -1.5,
            "choose triangular2: it ends 1.5 points [1.5, 1.5] higher than a fixed rate planned for that, with the same drops.",
        ),
        (
            1.5,
            "choose a fixed rate planned for that, with the same drops: it ends 1.5 points [1.5, 1.5] higher than triangular2.",
        ),
        (0.0, "these runs do not tell triangular2 from a fixed rate planned for that, with the same drops."),
    ],
)
def test_a_fixed_rate_with_the_same_drops_and_budget_decides_before_one_that_was_planned_for_more(
    tmp_path: Path, gain: float, said: str
) -> None:
    write_table1(tmp_path)
    write_arm(tmp_path, "triangular2", ENDS, experiment="controls", schedule=CYCLES)
    write_arm(tmp_path, "fixed_drops", [end + gain for end in ENDS], experiment="controls")
    short, *_, open_question = answered(tmp_path).choice
    assert short == f"If you train for 400 iterations, {said}"
    assert open_question.startswith("What makes the gain is open: the cycles of triangular2 or the height of its rate. ")


def test_without_its_drops_the_best_fixed_rate_of_the_same_budget_decides(tmp_path: Path) -> None:
    write_table1(tmp_path)
    write_arm(tmp_path, "triangular2", ENDS, experiment="controls", schedule=CYCLES)
    for name, gain in (("fixed_base", -5.0), ("fixed_max", -2.0)):
        write_arm(tmp_path, name, [end + gain for end in ENDS], experiment="controls", schedule=FIXED)
    short, *_, open_question = answered(tmp_path).choice
    assert short == (
        "If you train for 400 iterations, choose triangular2: it ends 2.0 points [2.0, 2.0] higher than "
        "a fixed rate planned for that (fixed_max)."
    )
    assert open_question.startswith(
        "What makes the gain is open: the cycles of triangular2, the height of its rate, or its drops. "
    )


def test_a_run_that_diverged_is_told_and_the_others_answer(tmp_path: Path) -> None:
    write_table1(tmp_path, [*ENDS, None], [*HIGHER, 82.0])
    found = answered(tmp_path)
    assert found.compared.seeds == [1, 2, 3, 4, 5]
    assert "Runs that diverged are in none of these numbers: 1 of triangular2." in found.basis


def test_a_claim_of_runs_that_cannot_be_told_apart_says_so(tmp_path: Path) -> None:
    write_table1(tmp_path)
    for seed, end in enumerate(ENDS, 1):
        write_run(tmp_path, "fixed", seed, end, config={"optimizer": {"momentum": 0.5}})
    (row,) = [row for row in claim_table(gather(tmp_path, CONF).verdicts).judged if row.verdict.claim.id == "C1"]
    assert "have one seed" in row.why


def write_rivals(results: Path) -> None:
    for policy, by in (("linear", 0.0), ("cosine", -0.2), ("triangular2", -2.0)):
        for seed, end in enumerate(ENDS, 1):
            config = {"bounds": {"origin": "screened, the best of: a"}, "images": {"training": 1000}}
            value = end + by + seed / 100
            write_run(results, policy, seed, value, experiment="rivals", config=config)


def test_the_answer_says_which_policy_of_today_ends_highest_and_what_later_papers_claim(tmp_path: Path) -> None:
    write_table1(tmp_path)
    assert answered(tmp_path).today == []
    write_rivals(tmp_path)
    highest, *claims, where = answered(tmp_path).today
    assert highest.startswith(
        "Of 3 policies, each at the best peak that held-out images chose, linear ends highest after 400 iterations, at 81.0% "
        "(chosen on these runs): "
        "+0.20 points [+0.20, +0.20] beside cosine, +2.00 points [+2.00, +2.00] beside triangular2."
    )
    assert where.startswith("All this is from cifar10_full on 1,000 images of cifar10;")
    assert [claim.partition(":")[0] for claim in claims] == ["Claims of later papers that hold here"]
    assert "triangular2 at its tuned bounds, at an equal budget (+2.00 points" in claims[0]


def test_of_several_comparisons_that_of_most_seeds_counts_then_that_in_the_papers_order(tmp_path: Path) -> None:
    write_table1(tmp_path, config={"data": {"order": "shuffled"}, "other": "than the paper's"})
    assert "images shuffled anew each epoch" in answered(tmp_path).basis[0]
    write_table1(tmp_path, [end - 1 for end in ENDS], HIGHER)
    assert "images in one order, as in the paper" in answered(tmp_path).basis[0]
    assert "stands at 80.0%" in answered(tmp_path).measured[1]


def test_runs_that_ship_answer_before_a_users_own(tmp_path: Path) -> None:
    write_table1(tmp_path, [end - 3 for end in ENDS], source="runs")
    assert answered(tmp_path).compared.treatment.source == "runs"
    write_table1(tmp_path)
    assert answered(tmp_path).compared.treatment.source == "evidence"


def test_readme_page_summary_and_terminal_say_the_same(tmp_path: Path) -> None:
    write_table1(tmp_path)
    contents = gather(tmp_path, CONF)
    console = Console(record=True, width=500, file=io.StringIO())
    print_answer(console, contents.answer)
    printed = console.export_text()
    page = render(contents, tmp_path, CONF).replace("&#x27;", "'")
    for document in (readme_block(contents), summary(contents, CONF), printed, page):
        plain = document.replace("\\", "").replace("**", "")
        assert [line for line in answered(tmp_path).measured if line not in plain] == []


def test_without_runs_there_is_no_answer_but_the_command_that_makes_it(tmp_path: Path) -> None:
    contents = gather(tmp_path, CONF)
    assert contents.answer is None
    assert readme_block(contents).startswith("No runs bear on the paper's main claim yet: `make sweep EXPERIMENT=table1")


# The picture


def test_the_picture_has_every_arm_the_papers_numbers_and_letters_of_12_pixels_or_more(tmp_path: Path) -> None:
    write_table1(tmp_path)
    found = answered(tmp_path)
    drawn = pictures(found)
    assert set(drawn) == set(SIZES)
    for picture in drawn.values():
        assert "fixed 82.4%" in picture
        assert "triangular2 81.0%" in picture
        assert picture.count('d="M') >= 8
        assert "font:13px" in picture
        assert "prefers-color-scheme: dark" in picture
    assert span(found.compared) == (74, 84)


# The claims


def row_of(contents: Contents, claim: str) -> ClaimRow:
    (row,) = [row for row in claim_table(contents.verdicts).judged if row.verdict.claim.id == claim]
    return row


def test_words_that_surprise_have_their_reason_beside_them(tmp_path: Path) -> None:
    write_table1(tmp_path, fixed=[end + 0.4 + at / 10 for at, end in enumerate(ENDS)])
    contents = gather(tmp_path, CONF)
    assert row_of(contents, "C1").why == "equal means within 0.5 points: the interval neither shows that nor rules it out"
    assert row_of(contents, "C1r").why == (
        "5 seeds are too few for yes or no: 6 that agree settle it, as 2 claims are judged together"
    )


def test_a_claim_has_one_row_with_its_other_verdicts_folded_below(tmp_path: Path) -> None:
    write_table1(tmp_path)
    write_table1(tmp_path, experiment="table1_fifth", config={"scale": 0.2})
    row = row_of(gather(tmp_path, CONF), "C1")
    assert (row.row.experiment, [variant.experiment.split(";")[0] for variant in row.variants]) == ("table1", ["table1_fifth"])


def test_every_experiment_has_a_title_and_a_question() -> None:
    names = {path.stem for path in (CONF / "experiment").glob("*.yaml")}
    assert names - set(TITLES) == set()
