"""Cells of a sweep: their state, what of them is left, and the records of those that cannot be run."""

from pathlib import Path

import pytest
from made_up_cells import ROW, MakeCell, end, interrupt, leave_claim_of_the_dead

from clrbench import store
from clrbench.analysis.arms import arms_of
from clrbench.lock import locked
from clrbench.runs import OWN, run_of
from clrbench.schema import SCHEMA
from clrbench.store import PROGRESS
from clrbench.sweep.cells import state_of
from clrbench.sweep.invalid import invalid_record, remove_invalid, write_invalid
from clrbench.sweep.plan import iterations_left


@pytest.mark.parametrize("status", ["finished", "diverged"])
def test_a_cell_with_a_result_has_ended_and_nothing_is_left(make_cell: MakeCell, status: str) -> None:
    end(make_cell(), status=status)
    state = state_of(make_cell())
    assert (state.status, state.is_ended, iterations_left(make_cell(), state)) == (status, True, 0)


def test_a_cell_of_which_nothing_is_there_is_missing_and_wholly_left(make_cell: MakeCell) -> None:
    state = state_of(make_cell())
    assert (state.status, state.is_ended, iterations_left(make_cell(), state)) == ("missing", False, 100)


def test_an_interrupted_cell_has_left_what_follows_its_last_evaluation(make_cell: MakeCell) -> None:
    interrupt(make_cell())
    state = state_of(make_cell())
    assert (state.status, iterations_left(make_cell(), state)) == ("interrupted", 60)


def test_a_cell_without_a_checkpoint_starts_anew_whatever_its_record_holds(make_cell: MakeCell) -> None:
    make_cell().record.write_evaluations([ROW])
    assert iterations_left(make_cell(), state_of(make_cell())) == 100


def test_a_running_cell_has_left_what_it_has_not_noted_yet(make_cell: MakeCell) -> None:
    with locked(make_cell().work):
        (make_cell().work / PROGRESS).write_text("70")
        state = state_of(make_cell())
    assert (state.status, iterations_left(make_cell(), state)) == ("running", 30)


def test_a_cell_whose_process_died_is_not_running(make_cell: MakeCell) -> None:
    interrupt(make_cell())
    leave_claim_of_the_dead(make_cell())
    assert state_of(make_cell()).status == "interrupted"


def test_a_failed_cell_tells_why_and_is_left(make_cell: MakeCell) -> None:
    end(make_cell(), status="failed", iterations=40, value=None, reason="out of memory")
    state = state_of(make_cell())
    assert (state.status, state.reason, state.is_ended) == ("failed", "out of memory", False)
    assert iterations_left(make_cell(), state) == 100


def test_a_cell_that_cannot_be_run_tells_why_and_takes_no_time(make_cell: MakeCell) -> None:
    cell = make_cell(error="seed=x is no number")
    state = state_of(cell)
    assert (state.status, state.reason, iterations_left(cell, state)) == ("invalid", "seed=x is no number", 0)


def test_a_damaged_result_is_a_failure_that_names_the_file_and_the_remedy(make_cell: MakeCell) -> None:
    end(make_cell())
    (make_cell().record.folder / "result.json").write_text("{")
    state = state_of(make_cell())
    assert (state.status, state.is_ended) == ("failed", False)
    assert str(make_cell().record.folder / "result.json") in str(state.reason)
    assert "move its folder elsewhere" in str(state.reason)


# The record of what could not be run


def test_the_record_of_an_invalid_cell_has_its_overrides_and_the_reason_and_can_be_removed(tmp_path: Path) -> None:
    overrides = ("policy=fixed", "policy.step_size=3", f"paths.results={tmp_path}", "tracking.wandb=disabled")
    record = invalid_record(tmp_path, "quick", overrides)
    assert record == invalid_record(tmp_path, "quick", overrides[:2])
    assert record != invalid_record(tmp_path, "quick", overrides[:1])
    write_invalid(record, overrides, "policy.step_size is no key")
    result = record.result()
    assert result is not None
    assert (result.status, result.reason, result.experiment) == ("failed", "policy.step_size is no key", "quick")
    assert record.config() == {"schema": SCHEMA, "overrides": ["policy=fixed", "policy.step_size=3"]}
    remove_invalid(record)
    assert not record.folder.exists()
    remove_invalid(record)


def test_an_invalid_record_has_no_row_in_tables_and_is_never_published(make_cell: MakeCell, tmp_path: Path) -> None:
    end(make_cell("a"))
    cell = make_cell("b", error="bad")
    write_invalid(cell.invalid, cell.overrides, "bad")
    found = list(store.records(tmp_path / "results" / "runs" / "e"))
    assert len(found) == 2
    assert len(arms_of(run for record in found for run in run_of(record, OWN))) == 1
    assert [path.name for path in store.publish(tmp_path / "results", "e")] == ["a"]
