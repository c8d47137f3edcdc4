"""The league: its trials, rows and scores, and a small one that is run."""

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sweeps import IN_THIS_PROCESS, run

from clrbench import subcommands
from clrbench.config import League
from clrbench.decision.strategy import FINAL, OVER, PEAKS
from clrbench.decision.trials import CYCLICAL, FIXED, OTHER, Candidate, Family, Trial
from clrbench.errors import ClrbenchError, ConfigError
from clrbench.league import scores
from clrbench.league.entry import CONTENDERS, Tuning, chosen, wanted
from clrbench.league.rows import Row, read_rows, write_rows
from clrbench.league.standing import edges, standings
from clrbench.report.contents import gather
from clrbench.report.league import standing_lines
from clrbench.report.league_section import EndedLeague, in_short
from clrbench.report.page import render
from clrbench.report.summary import summary
from hydra_plugins.clrbench_cells._league import check_league, check_of_league

ROOT = Path(__file__).parents[1]
_FIXED, _CYCLES = Family("fixed", FIXED), Family("triangular2", CYCLICAL)
_TUNING = Tuning()


def played(worth_of, families=(_FIXED, _CYCLES)):
    """A whole league of one task, and the stages in their order; worth_of: of a trial."""
    worths, stages = {}, []
    while True:
        stage, trials = wanted(worths, families, _TUNING)
        stages.append((stage, len(trials)))
        if stage == OVER:
            return worths, stages
        worths |= {trial: worth_of(trial) for trial in trials}


def test_every_entry_has_eleven_trials_and_eight_fresh_seeds() -> None:
    worths, stages = played(lambda trial: -abs(trial.candidate.rung - 0.2))
    assert stages == [(PEAKS, 14), (CONTENDERS, 8), (FINAL, 16), (OVER, 0)]
    for family in (_FIXED, _CYCLES):
        mine = [trial for trial in worths if trial.candidate.family == family]
        assert sum(not trial.is_final for trial in mine) == _TUNING.trials == 11
        assert {trial.seed for trial in mine if trial.is_final} == set(range(11, 19))


def test_the_peak_is_chosen_by_three_seeds_of_the_best_two() -> None:
    by_rung = {0: {1: 3.0, 2: 0.0, 3: 0.0}, 1: {1: 2.0, 2: 2.0, 3: 2.0}}  # rung 0 is lucky with seed 1 alone
    worths, _ = played(lambda trial: by_rung.get(trial.candidate.rung, {}).get(trial.seed, -5.0))
    assert {one.rung for one in chosen(worths, [_FIXED, _CYCLES], _TUNING).values()} == {1}


def test_of_equal_peaks_the_lower_is_taken_and_divergence_is_the_worst() -> None:
    worths, _ = played(lambda trial: -math.inf if trial.candidate.rung > 1 else 1.0)
    assert chosen(worths, [_FIXED], _TUNING)[_FIXED] == Candidate(_FIXED, -3)
    assert Trial(Candidate(_FIXED, 2), 2) not in worths  # a peak that diverged is no contender


@pytest.mark.parametrize("typed", ["decide.hours=2", "decide.looks=[5]", "decide.margin=1", "decide.ratio=3"])
def test_what_the_rules_of_the_league_set_is_refused(typed: str) -> None:
    with pytest.raises(ConfigError, match=rf"{re.escape(typed)}: the league has rules of its own"):
        check_of_league([typed])


@pytest.mark.parametrize(
    ("tasks", "parts"), [([], [1]), (["friedman", "friedman"], [1]), (["friedman"], [1, 1]), (["friedman"], [0, 1])]
)
def test_a_league_names_each_task_and_each_budget_once(tasks: list[str], parts: list[int]) -> None:
    with pytest.raises(ConfigError, match=r"league\.(tasks|parts)=.* each once"):
        check_league(League(tasks, parts))


@pytest.mark.parametrize("typed", ["task=friedman", "data=mnist", "+task.module.width=8", "bounds.max_lr=1"])
def test_what_a_task_sets_is_refused_for_all_tasks_at_once(typed: str) -> None:
    with pytest.raises(ConfigError, match=r"league\.tasks"):
        check_of_league(["experiment=league", typed])


def test_gains_are_paired_and_judged_together() -> None:
    noise = np.random.default_rng(1).normal(0, 5, (3, 1, 8))  # of the seed: shared by all entries
    own = np.random.default_rng(2).normal(0, 0.05, (3, 3, 8))
    found = scores.gains(noise + own + np.array([0, 2, 0.1])[None, :, None], reference=0)
    assert [[None if cell is None else cell.verdict for cell in row] for row in found] == [[None, "better", "equal"]] * 3
    assert found[0][1].low < 2 < found[0][1].high


def test_where_both_diverged_with_a_seed_there_is_no_amount() -> None:
    worths = np.zeros((1, 2, 8)) + np.arange(8) / 100
    worths[0, 1] += 3
    worths[0, :, 0] = -np.inf
    assert math.isnan(scores.gains(worths, reference=0)[0][1].mean)
    assert scores.gains(worths[:, :, 1:], reference=0)[0][1].mean == pytest.approx(3)


def test_without_a_difference_holm_finds_one_in_at_most_one_league_of_twenty() -> None:
    random = np.random.default_rng(3)
    leagues = [scores.gains(random.normal(size=(6, 5, 8)), reference=0) for _ in range(200)]
    wrong = sum(any(cell and cell.verdict in ("better", "worse") for row in found for cell in row) for found in leagues)
    assert wrong <= 200 * 0.05 + 3 * math.sqrt(200 * 0.05 * 0.95)


def test_an_entry_that_diverges_has_no_gain_and_the_last_rank() -> None:
    worths = np.random.default_rng(4).normal(size=(2, 3, 8))
    worths[0, 2, 5] = -math.inf
    cell = scores.gains(worths, reference=0)[0][2]
    assert math.isnan(cell.mean)
    assert cell.verdict == "worse"
    assert scores.ranks(worths)[0, 2] == 3
    assert scores.behind_best(worths)[0, 2] == math.inf


def test_ranks_profiles_and_speeds_across_tasks() -> None:
    means = np.array([[0.0, 1.0, 3.0], [0.0, 2.0, 2.0]])
    worths = np.repeat(means[:, :, None], 4, axis=2)
    assert scores.mean_ranks(worths).tolist() == [3.0, 1.75, 1.25]
    assert scores.within(worths, 0).tolist() == [0.0, 0.5, 1.0]
    assert scores.within(worths, 2).tolist() == [0.5, 1.0, 1.0]
    assert scores.winners_everywhere(worths) == [2]
    assert scores.leaving_one_out(worths).tolist() == [[3.0, 1.5, 1.5], [3.0, 2.0, 1.0]]
    shares = np.array([[[0.5, 0.7, math.inf]], [[math.inf, math.inf, 0.2]]])
    assert scores.speeds(shares).tolist() == [(0.7 + 1) / 2]


def test_intervals_across_tasks_hold_the_truth_and_are_the_same_each_time() -> None:
    worths = np.random.default_rng(5).normal(size=(8, 4, 8)) + np.arange(4)[None, :, None]
    first, second = (scores.with_interval(worths, scores.mean_ranks) for _ in range(2))
    assert first == second
    assert all(one.low <= one.value <= one.high for one in first)
    assert first[0].low > first[3].high  # three standard deviations apart


def rows_of(gain: float, tasks: int = 3, part: int = 1) -> list[Row]:
    """A league of made-up rows: triangular2 beside fixed, of a metric of which less is better."""
    random = np.random.default_rng(6)
    rows = []
    for task in range(tasks):
        for seed in range(11, 19):
            shared = random.normal(0, 0.1)
            for name, kind, better in (("fixed", FIXED, 0.0), ("triangular2", CYCLICAL, gain)):
                value = 5 + shared + random.normal(0, 0.01) - better
                course = [(60, value + 1), (120, value)]
                where = {"task": f"task{task}", "metric": "test_loss", "mode": "min", "unit": "bits", "margin": 0.1}
                tuned = {"rung": 0, "max_lr": 0.1, "seed": seed, "is_final": True, "part": part, "iterations": 120}
                found = {"value": value, "held_out": value, "course": course, "seconds": 1.5, "run_id": "x"}
                rows.append(Row(**where, **tuned, policy=name, kind=kind, **found))
    return rows


def test_rows_outlive_the_records(tmp_path: Path) -> None:
    rows = rows_of(0.3)
    assert [path.name for path in write_rows(tmp_path, rows)] == ["task0.csv", "task1.csv", "task2.csv"]
    found = read_rows(tmp_path)
    assert [row.value for row in found] == [row.value for row in rows]
    assert [row.course for row in found] == [row.course for row in rows]  # exact, as each is compared with the end of fixed
    (tmp_path / "task1.csv").write_text("something,else\n1,2\n")
    with pytest.raises(ClrbenchError, match=r"task1\.csv is no table of the league"):
        read_rows(tmp_path)


def test_a_file_that_cannot_be_read_is_not_written_over(tmp_path: Path) -> None:
    paths = write_rows(tmp_path, rows_of(0.3))
    newer = paths[1].read_text().replace("run_id\n", "run_id,host\n").replace(",x\n", ",x,laptop\n")
    paths[1].write_text(newer)
    before = [path.read_text() for path in paths]
    with pytest.raises(ClrbenchError, match=r"task1\.csv is no table .* update clrbench, or move the file elsewhere"):
        write_rows(tmp_path, rows_of(-0.3))
    assert [path.read_text() for path in paths] == before


@pytest.mark.parametrize(
    ("was", "damaged", "detail"),
    [
        (",11,", ",eleven,", "could not parse `eleven` as dtype `i64` at column 'seed' (column number 12)"),
        ("run_id\n", "run_id,host\n", "CSV file contained column names not specified in schema (n_extra = 1)"),
    ],
)
def test_a_damaged_file_is_told_in_one_sentence(tmp_path: Path, was: str, damaged: str, detail: str) -> None:
    (path,) = write_rows(tmp_path, rows_of(0.3, tasks=1))
    path.write_text(path.read_text().replace(was, damaged))
    with pytest.raises(ClrbenchError) as refused:
        read_rows(tmp_path)
    assert str(refused.value).endswith(f"or move the file elsewhere ({detail})")


def test_a_run_that_diverged_under_the_name_of_validation_drops_no_other_row(tmp_path: Path) -> None:
    rows = rows_of(0.3, tasks=1)
    diverged = replace(rows[0], policy="wsd", metric="val_loss", is_final=False, value=None, held_out=None, course=[])
    said: list[str] = []
    write_rows(tmp_path, [*rows, diverged], said.append)
    write_rows(tmp_path, [replace(row, policy="own") for row in rows[::2]], said.append)
    assert {row.policy for row in read_rows(tmp_path)} == {"fixed", "triangular2", "wsd", "own"}
    assert not said


def test_a_part_of_a_league_leaves_the_rows_of_the_rest(tmp_path: Path) -> None:
    rows = rows_of(0.3) + rows_of(0.3, part=3)
    write_rows(tmp_path, rows)
    anew = [replace(row, value=1.0) for row in rows if (row.task, row.policy, row.part) == ("task0", "fixed", 1)]
    write_rows(tmp_path, anew)
    found = read_rows(tmp_path)
    assert len(found) == len(rows)
    assert [row.value for row in found if row.task == "task0" and row.policy == "fixed" and row.part == 1] == [1.0] * 8
    said: list[str] = []
    write_rows(tmp_path, [replace(row, margin=9.0) for row in anew], said.append)  # another task under this name
    assert said == [f"{tmp_path / 'task0.csv'}: its 32 rows are of another task (metric, margin or budget): replaced by 8"]
    assert [row.margin for row in read_rows(tmp_path) if row.task == "task0"] == [9.0] * 8


def test_what_is_not_on_every_task_is_left_out_and_told() -> None:
    rows = rows_of(0.3)
    own = [replace(row, policy="own") for row in rows if (row.task, row.policy) == ("task0", "fixed")]
    (standing,) = standings(rows + own)
    assert (len(standing.tasks), list(standing.policies)) == (3, ["fixed", "triangular2"])
    assert list(standing_lines(rows + own))[-1] == "Left out: own is not on every task."


def test_the_block_that_is_ranked_has_the_fixed_rate() -> None:
    rows = rows_of(0.3)
    cells = {("task0", "fixed"), *((task, policy) for task in ("task0", "task1", "task2") for policy in ("triangular2", "own"))}
    copied = [*rows, *(replace(row, policy="own") for row in rows if row.policy == "triangular2")]
    (standing,) = standings([row for row in copied if (row.task, row.policy) in cells])
    assert (list(standing.tasks), len(standing.policies)) == (["task0"], 3)
    assert list(standing.left_out) == ["task1 lacks fixed", "task2 lacks fixed"]


def test_a_league_without_a_final_of_the_fixed_rate_is_told_on_terminal_and_page(tmp_path: Path) -> None:
    rows = [row for row in rows_of(0.3) if row.policy != "fixed"]
    (line,) = standing_lines(rows)
    assert line.startswith("no table for the whole budget: no task has a final of fixed")
    write_rows(tmp_path / "outputs" / "league", rows)
    (tmp_path / "outputs" / "league" / "broken.csv").write_text("something,else\n1,2\n")
    contents = gather(tmp_path / "results", ROOT / "conf", outputs=tmp_path / "outputs")
    assert not contents.leagues
    assert ["broken.csv is no table" in contents.faults[0], line in contents.faults[1]] == [True, True]


def test_a_final_without_all_seeds_is_left_out_and_told() -> None:
    rows = rows_of(0.3)[:-1]
    (standing,) = standings(rows)
    assert list(standing.tasks) == ["task0", "task1"]
    assert list(standing_lines(rows))[-1] == "Left out: task2 lacks triangular2."


def test_what_is_less_is_better_where_the_metric_says_so() -> None:
    (standing,) = standings(rows_of(0.3))
    assert {cells[1].verdict for cells in standing.gains} == {"better"}
    assert standing.ranks[1].value == 1
    assert standing.winners == ["triangular2"]
    text = "\n".join(standing_lines(rows_of(0.3)))
    assert "A cyclical policy is better than the tuned fixed rate on 3 (task0, task1, task2) of 3 tasks" in text
    assert "one is worse on none" in text


def test_the_sentences_follow_the_numbers() -> None:
    text = "\n".join(standing_lines(rows_of(-0.3)))
    assert "A cyclical policy is better than the tuned fixed rate on none of 3 tasks" in text
    assert "one is worse on 3 (task0, task1, task2)" in text
    assert "No policy beats fixed by more than the margin on any of 3 tasks" in text


def test_nothing_is_said_of_a_kind_of_policies_that_did_not_take_part() -> None:
    cycles = rows_of(0.3)
    others = [replace(row, policy="linear", kind=OTHER) if row.kind == CYCLICAL else row for row in cycles]
    for rows, said, unsaid in ((cycles, "A cyclical policy", "Another schedule"), (others, "Another schedule", "A cyclical")):
        text = " ".join([*standing_lines(rows), *in_short(EndedLeague("yours", rows))])
        assert text.count(said) == 2
        assert unsaid not in text


def test_the_columns_of_the_table_never_touch() -> None:
    rows = rows_of(0.0, tasks=1)
    slow = [replace(row, course=[(120, row.held_out or 0.0)], value=5.0, held_out=5.0) for row in rows]
    header, *table = list(standing_lines(slow))[2:5]
    assert header.split("  ")[-1] == "better, worse"
    assert [len(re.split(r"\s{2,}", line)) for line in table] == [5, 5]
    assert "1 task, 8 seeds" in "\n".join(standing_lines(slow))


def test_a_budget_is_judged_by_itself() -> None:
    both = standings([*rows_of(0.3), *rows_of(-0.3, part=3)])
    assert [(one.part, one.winners) for one in both] == [(1, ["triangular2"]), (3, ["fixed"])]


def test_a_peak_at_the_edge_of_its_grid_is_told() -> None:
    finals = rows_of(0.3, tasks=1)
    tried = [replace(row, max_lr=peak, is_final=False) for row in finals[:2] for peak in (0.05, 0.1)]
    wider = replace(finals[0], max_lr=0.2, is_final=False)  # of the fixed rate alone
    assert edges([*finals, *tried, wider], 1) == [("task0", "triangular2", 0.1)]


def test_the_page_shows_gains_ranks_and_peaks_escaped(tmp_path: Path) -> None:
    rows = [replace(row, task=f"<b>{row.task}") for row in [*rows_of(0.3), *rows_of(-0.3, part=3)]]
    write_rows(tmp_path / "outputs" / "league", [replace(row, task=row.task.replace("<b>", "")) for row in rows])
    (league,) = gather(tmp_path / "results", ROOT / "conf", outputs=tmp_path / "outputs").leagues
    assert len(league.standings) == 2
    page = render(
        replace(gather(tmp_path / "results", ROOT / "conf"), leagues=[EndedLeague("yours", rows)]), tmp_path, ROOT / "conf"
    )
    shown = page[page.index('<section id="league-1"') :]
    assert "<b>task0" not in page
    assert "&lt;b&gt;task0" in shown
    assert shown.count("▲ +0.") == shown.count("▼ -0.") == 3
    assert re.search(r'class="number up\d">▲ \+0\.3', shown)
    assert "A cyclical policy is better than the tuned fixed rate on 3" in shown


def test_summary_and_answer_take_the_league_up() -> None:
    contents = replace(gather(ROOT / "results", ROOT / "conf", ["evidence"]), leagues=[EndedLeague("shipped", rows_of(0.3))])
    text = summary(contents, ROOT / "conf")
    assert "**Across tasks:** The league (2 policies on 3 small tasks" in text
    assert "A cyclical policy is better than the tuned fixed rate on 3 (task0, task1, task2) of 3 tasks" in text
    assert re.search(r"\| task0 \(test loss, bits\) \| 5\.\d+ bits \| \+0\.3\d", text)
    assert re.search(r"\| triangular2 \| 1\.0 \\\[1\.0, 1\.0\\\]", text)


def test_publishing_a_league_copies_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_rows(tmp_path / "outputs" / "league", rows_of(0.3))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["publish", "league"])
    subcommands.publish()
    assert read_rows(tmp_path / "results" / "league") == read_rows(tmp_path / "outputs" / "league")


@pytest.mark.slow
def test_a_league_runs_goes_on_and_says_how_policies_stand(tmp_path: Path) -> None:
    small = ["league.tasks=[friedman]", "league.parts=[1]", "decide.families=[decide/linear]", "iterations=24"]
    command = ["experiment=league", *small, IN_THIS_PROCESS]
    first = run(tmp_path, *command)
    assert first.returncode == 0, first.stderr
    assert "decide/fixed joins" in first.stdout
    assert "league of 2 policies on 1 task: friedman" in first.stdout
    assert "38 runs in all" in first.stdout
    assert re.search(r"linear +\d\.\d \[", first.stdout)
    rows = read_rows(tmp_path / "outputs" / "league")
    assert len(rows) == 38
    assert {row.seed for row in rows if row.is_final} == set(range(11, 19))
    assert all(row.value is not None and row.value < 2 for row in rows if row.is_final)
    again = run(tmp_path, *command)
    assert "16 of 16 runs have ended before" in again.stdout
    assert read_rows(tmp_path / "outputs" / "league") == rows
