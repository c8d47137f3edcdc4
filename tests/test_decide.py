"""`clrbench decide` from its command line to its answer."""

import json
import re
import shlex
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, composed
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig
from specs import SMALL
from sweeps import IN_THIS_PROCESS, run, started, wait_until

from clrbench import config
from clrbench.config import Decide, checked, share
from clrbench.decision.strategy import OVER, DecisionState, state_of
from clrbench.decision.trials import CYCLICAL, FIXED, OTHER, Candidate, Family, Rules, Trial
from clrbench.errors import ConfigError
from clrbench.spec import Spec, resolve
from clrbench.store import records
from clrbench.sweep.outlook import outlook
from clrbench.sweep.question import Question, asked, check_typed
from clrbench.tasks.own_spec import resolve_own
from hydra_plugins.clrbench_cells._decision import replaced, unvaried

SHIPPED = [f"decide/{path.stem}" for path in (ROOT / "conf" / "arm" / "decide").glob("*.yaml")]


def spec_of(overrides: list[str]) -> Spec:
    config.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        made: DictConfig = compose("config", overrides)
    found = checked(made)
    return resolve_own(found) if found.task.is_own else resolve(found, SMALL)


def question(*typed: str, families: tuple[str, ...] = ("decide/fixed", "decide/triangular2")) -> Question:
    return asked(typed, Decide(families=list(families), ratio=4.0, looks=[5, 8, 12]), spec_of)  # type: ignore[arg-type]


def test_the_shipped_families_are_those_that_a_decision_names() -> None:
    assert sorted(composed("experiment=decide").decide.families) == sorted(SHIPPED)


def test_families_are_fixed_cyclical_or_neither_by_their_rates() -> None:
    kinds = {family.name: family.kind for family in question(families=tuple(composed().decide.families)).families}
    assert kinds == {
        **dict.fromkeys(("fixed", "fixed_drops"), FIXED),
        **dict.fromkeys(("linear", "cosine", "wsd", "one_cycle"), OTHER),
        **dict.fromkeys(("triangular", "triangular2", "exp_range"), CYCLICAL),
    }


@pytest.mark.parametrize(("length", "part", "shared"), [("32 epochs", 0.125, "4 epochs"), (1000, 0.5, 500), (3, 0.125, 1)])
def test_a_share_of_a_length_has_its_form(length: object, part: float, shared: object) -> None:
    assert share(length, part) == shared


def test_the_policies_of_a_decision_fill_any_budget() -> None:
    cycles, drops = (spec_of([f"arm=decide/{name}", "iterations=800"]).policy for name in ("triangular2", "fixed_drops"))
    assert cycles["step_size"] == 100
    assert drops["drops"] == [400, 600]


def test_a_trial_is_a_run_at_its_peak_and_only_the_final_sees_the_test_set() -> None:
    asks = question("bounds.max_lr=0.1", "data.batch_size=20")
    candidate = Candidate(Family("triangular2", CYCLICAL), 1)
    screened = asks.of_trial(Trial(candidate, 2))
    assert {"arm=decide/triangular2", "bounds.max_lr=0.2", "bounds.base_lr=0.05", "seed=2", "data.batch_size=20"} < set(
        screened
    )
    assert "data.evaluate=validation" in screened
    assert "data.evaluate=validation" not in asks.of_trial(Trial(candidate, 11, is_final=True))
    made = spec_of(list(screened))
    assert (made.policy["base_lr"], made.policy["max_lr"], made.config.experiment) == (0.05, 0.2, "decide")


OWN_TASK = (
    *("task=lightning", "task.module._target_=clrbench.problems.friedman.Regressor"),
    *("task.data._target_=clrbench.problems.friedman.Friedman", "task.monitor=val_rmse", "task.mode=min", "task.margin=0.1"),
)


@pytest.mark.parametrize("typed", [OWN_TASK, (), (*OWN_TASK, "bounds.base_lr=0.5")], ids=["own", "images", "other base"])
def test_a_peak_is_all_that_a_decision_needs_of_the_bounds(typed: tuple[str, ...]) -> None:
    asks = question(*typed, "iterations=16", "bounds.max_lr=0.0004")
    assert asks.first_peak == 0.0004
    assert {spec.config.bounds.base_lr for spec in asks.specs.values()} == {0.0001}


def test_a_peak_that_is_no_number_is_refused() -> None:
    with pytest.raises(HydraException, match="high"):
        question("bounds.max_lr=high")


def test_a_fixed_rate_is_tried_at_its_peak() -> None:
    asks = question("bounds.max_lr=0.1")
    made = spec_of(list(asks.of_trial(Trial(Candidate(Family("fixed", FIXED), -1), 1))))
    assert made.policy["base_lr"] == 0.05


@pytest.mark.parametrize(
    "typed",
    [
        "seed=1",
        "arm=compare/linear",
        "policy=fixed",
        "policy.step_size=10",
        "experiment=quick",
        "data.evaluate=test",
        "scale=2",
    ],
)
def test_what_a_decision_chooses_itself_is_refused_with_what_to_do(typed: str) -> None:
    with pytest.raises(ConfigError, match=rf"{re.escape(typed)}: a decision .*: \w+"):
        check_typed([typed])


@pytest.mark.parametrize(("key", "value"), [("ratio", 1.0), ("ratio", 0.0), ("margin", 0.0), ("hours", -1.0)])
def test_a_setting_that_a_decision_cannot_have_is_refused(key: str, value: float) -> None:
    settings: dict[str, Any] = {"families": ["decide/fixed", "decide/triangular2"], "ratio": 4.0, "looks": [5, 8], key: value}
    with pytest.raises(ConfigError, match=rf"decide\.{key}={value} is impossible"):
        asked([], Decide(**settings), spec_of)  # type: ignore[arg-type]


def test_families_of_one_kind_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"decide.families are all fixed: .*"):
        question(families=("decide/fixed", "decide/fixed_drops"))


def test_the_plan_tells_stages_runs_and_hours() -> None:
    shown = "\n".join(outlook(question("iterations=3600"), seconds=0.1, workers=2, is_measured=True, hours=0.1))
    assert "3 ramps of 8 epochs" in shown
    assert "peaks    8 to 18 runs" in shown
    assert "final    10 to 24 runs" in shown
    assert re.search(r"in all   18 to 58 runs, \d+ expected; 54 min to 2\.9 h with 2 workers", shown)
    assert "warning: decide.hours=0.1" in shown


def test_the_plan_tells_one_number_where_the_least_is_the_most() -> None:
    usual: dict[str, Any] = {"families": ["decide/fixed", "decide/triangular2"], "ratio": 4.0, "looks": [5]}
    asks = asked(["iterations=16"], Decide(**usual), spec_of)  # type: ignore[arg-type]
    shown = "\n".join(outlook(asks, seconds=1e-5, workers=1, is_measured=False, hours=None))
    assert "final    10 runs: " in shown
    assert "expected; 1 min with 1 worker, 1 min expected" in shown


def test_the_plan_promises_no_test_data_that_a_module_may_lack() -> None:
    assert "with fresh seeds, on test data where there are any" in "\n".join(outlook(question(), 0.1, 1, False, None))


QUICK = (
    *("experiment=decide", "model=linear", "data.training_images=100", "data.batch_size=10", "iterations=16", IN_THIS_PROCESS),
    *("decide.families=[decide/fixed,decide/triangular2]", "decide.looks=[3,4]", "bounds.max_lr=0.02", "decide.margin=5"),
)


def test_a_decision_ends_with_an_answer_to_copy_and_the_same_command_finds_its_runs_again(tmp_path: Path) -> None:
    own = f"--config-dir={tmp_path}"
    done = run(tmp_path, *QUICK, own)
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads((tmp_path / "outputs" / "decide" / "digits-linear-16.json").read_text())
    made = {record.folder for record in records(tmp_path / "results" / "runs" / "decide")}
    assert answer["runs"] == len(made)
    assert re.search(r"answer   (use CLR|keep the fixed rate|take triangular2)", done.stdout)
    assert "experiment=" not in answer["command"]
    assert own in shlex.split(answer["command"])
    again = run(tmp_path, *QUICK, own)
    assert again.returncode == 0
    assert "of training" not in re.sub(r"h of training", "", again.stdout)
    assert answer == json.loads((tmp_path / "outputs" / "decide" / "digits-linear-16.json").read_text())


def test_an_interrupted_decision_goes_on_and_ends_with_the_answer_of_an_undisturbed_one(tmp_path: Path) -> None:
    def answer(folder: Path) -> dict[str, object]:
        made = json.loads((folder / "outputs" / "decide" / "digits-linear-16.json").read_text())
        timed = {"hours", "text"}
        return {key: value for key, value in made.items() if key not in timed}

    def ended() -> set[Path]:
        return {record.folder for record in records(tmp_path / "one" / "results" / "runs" / "decide") if record.result()}

    with started(tmp_path / "one", *QUICK) as process:
        wait_until(lambda: len(ended()) >= 4, "four runs", process)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 1
    left = {path: path.stat().st_mtime_ns for folder in ended() for path in folder.iterdir()}
    assert "error: interrupted; the same command goes on" in (tmp_path / "one" / "sweep.err").read_text()
    assert not (tmp_path / "one" / "outputs" / "decide").exists()
    assert run(tmp_path / "one", *QUICK).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in left} == left  # what had ended was not run again
    assert run(tmp_path / "two", *QUICK).returncode == 0
    assert answer(tmp_path / "one") == answer(tmp_path / "two")


def test_an_answer_that_replaces_that_of_another_question_is_told(tmp_path: Path) -> None:
    path = tmp_path / "digits-linear-16.json"
    asked = ["data.batch_size=10", "decide.margin=0.5"]
    assert replaced(path, asked) is None
    path.write_text(json.dumps({"asked": asked}))
    assert replaced(path, asked[::-1]) is None
    begin = f"{path}: this answer replaces that of another question: it was "
    assert replaced(path, ["data.batch_size=20", asked[1]]) == f"{begin}data.batch_size=10, now data.batch_size=20"
    assert replaced(path, [*asked, "version=2"]) == f"{begin}the default, now version=2"
    assert replaced(path, asked[1:]) == f"{begin}data.batch_size=10, now the default"


@pytest.mark.parametrize("content", ["{", "[]", '{"command": "python train.py"}'])
def test_an_answer_that_replaces_one_of_an_unknown_question_is_told(tmp_path: Path, content: str) -> None:
    path = tmp_path / "digits-linear-16.json"
    path.write_text(content)
    assert replaced(path, ["decide.ratio=4"]) == f"{path}: this answer replaces one that does not say what was asked"


SHARED = ("bounds.max_lr=0.1", "data.batch_size=20")


@pytest.mark.parametrize(
    ("typed", "settings"),
    [
        (("bounds.max_lr=0.2", "data.batch_size=20"), {}),
        (("bounds.max_lr=0.1", "data.batch_size=10"), {}),
        (SHARED, {"ratio": 3.0}),
        (SHARED, {"looks": [5, 8]}),
        (SHARED, {"margin": 1.0}),
        (SHARED, {"families": ["decide/fixed", "decide/triangular"]}),
    ],
)
def test_questions_that_differ_are_told_apart(typed: tuple[str, ...], settings: dict[str, Any]) -> None:
    usual: dict[str, Any] = {"families": ["decide/fixed", "decide/triangular2"], "ratio": 4.0, "looks": [5, 8, 12]}
    one = asked(SHARED, Decide(**usual), spec_of)  # type: ignore[arg-type]
    other = asked(typed, Decide(**usual | settings), spec_of)  # type: ignore[arg-type]
    assert len(set(one.asked) - set(other.asked)) == 1


def test_where_its_files_go_is_no_part_of_a_question(tmp_path: Path) -> None:
    assert question(*SHARED, f"paths.outputs={tmp_path}").asked == question(*SHARED).asked


def ended(worth_of: Callable[[Trial], float]) -> tuple[DecisionState, int]:
    """A decision that is over, and its number of runs."""
    worths: dict[Trial, float] = {}
    while (state := state_of(worths, [Family("fixed", FIXED), Family("linear", OTHER)], Rules(0.5))).stage != OVER:
        worths |= {trial: worth_of(trial) for trial in state.wanted}
    return state, len(worths)


def test_a_metric_that_never_varies_is_told() -> None:
    state, runs = ended(lambda trial: 60.0 if trial.is_final else 50.0)
    assert unvaried(state, "val_score") == f"all {runs} runs have the same val score: nothing was compared"
    for varying in (lambda trial: float(trial.candidate.rung == 1), lambda trial: float(trial.seed == 12)):
        assert unvaried(ended(varying)[0], "val_score") is None


def test_a_limit_that_ends_a_decision_before_its_final_says_so(tmp_path: Path) -> None:
    done = run(tmp_path, *QUICK, "decide.hours=1e-9")
    assert done.returncode == 1
    assert re.search(r"error: decide.hours ends the decision in its stage \w+, .* goes on", done.stderr)
    assert "answer" not in done.stdout


def test_several_values_are_refused(tmp_path: Path) -> None:
    done = run(tmp_path, *QUICK, "data.augment=none,crop_flip")
    assert (done.returncode, done.stdout) == (1, "")
    assert "data.augment=none,crop_flip: a decision is about one task" in done.stderr
