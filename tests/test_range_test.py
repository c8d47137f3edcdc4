"""Measuring bounds: recorded once, reused, without a trace in any training, and as a library."""

import copy
import dataclasses
import math
import random
import re
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from conftest import ROOT, composed
from omegaconf import DictConfig

from clrbench import LRRangeTest, config, store
from clrbench.analysis.arms import arms_of
from clrbench.config import Config
from clrbench.errors import ConfigError
from clrbench.range_test.anchor import RULE
from clrbench.range_test.judge import CLEAR, FIRST, NONE, SECOND, WEAK, FoundBounds
from clrbench.range_test.measuring import Find, Say, measure, ramp_config, scan_config, to_measure, with_measured_bounds
from clrbench.range_test.records import RANGE_TEST, Measured, judged, rounded
from clrbench.report.contents import gather
from clrbench.runs import EVIDENCE, read_runs
from clrbench.store import Record, records
from clrbench.sweep.cells import Cell
from clrbench.sweep.planner import Planner
from clrbench.sweep.ramps import carry_out, carry_out_ramp, look_up
from clrbench.training import run as running
from clrbench.training.console import Console

# A ramp of seconds.
SHORT = ("range_test.epochs=4", "range_test.points=20", "range_test.seeds=[1,2]", "tracking.wandb=disabled")
# The paper's protocol: a range that is given, for a test that asks for no other.
GIVEN = "range_test.high=0.3"
FOUND = FoundBounds(0.0123456, 0.1, (0.01, 0.02), (0.09, 0.11), CLEAR, ("made up",), "rise_and_slow")


def asked(folder: Path, *overrides: str) -> DictConfig:
    return composed(
        "bounds=range_test", *SHORT, GIVEN, *overrides, f"paths.results={folder}/results", f"paths.outputs={folder}/outputs"
    )


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Callable[[FoundBounds], None]:
    """Make the judge say what a test wants."""

    def say(bounds: FoundBounds) -> None:
        monkeypatch.setattr("clrbench.range_test.records.judge", lambda *_: bounds)

    return say


def test_ramps_are_recorded_runs_on_images_that_training_leaves_out(tmp_path: Path) -> None:
    # Up to a rate at which training diverges on no processor.
    measured = carry_out(to_measure(asked(tmp_path, "range_test.high=0.1")), print)
    assert [run.result.seed for run in measured.runs] == [1, 2]
    for run in measured.runs:
        assert run.record.folder.parent == tmp_path / "results" / "runs" / "range_test"
        assert run.identity["data"]["evaluate"] == "validation"
        assert run.config["images"] == {"training": 1302, "evaluated": 140, "classes": 10}
        assert run.result.iterations == 160
    for curve in measured.curves:
        assert len(curve.rates) == 20
        # The rate of the last update before each evaluation, of a ramp from 0 to 0.1 over 160 iterations.
        assert curve.rates == pytest.approx(0.1 * (np.arange(8, 161, 8) - 1) / 160)


def test_bounds_are_measured_once_and_reused(tmp_path: Path, found: Callable[[FoundBounds], None]) -> None:
    found(FOUND)
    carried: list[Record] = []

    def carry(asked_for: Config) -> Record:
        carried.append(carry_out_ramp(asked_for))
        return carried[-1]

    def find(asked_for: Config, say: Say) -> Measured:
        return measure(asked_for, carry)

    first = with_measured_bounds(asked(tmp_path), find, print)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.glob("results/runs/range_test/*/*")}
    assert len(written) == 6
    again = with_measured_bounds(asked(tmp_path, "policy=exp_range", "seed=9", "iterations=8 epochs"), find, print)
    assert {path: path.stat().st_mtime_ns for path in written} == written
    assert again.bounds == first.bounds
    assert len(carried) == 4
    with_measured_bounds(asked(tmp_path, "data.batch_size=64"), find, print)
    assert len(list(tmp_path.glob("results/runs/range_test/*"))) == 4


# The range that is found


def unknown(folder: Path, *overrides: str) -> DictConfig:
    return asked(folder, "range_test.high=auto", *overrides)


def test_a_recorded_scan_lays_the_ramps_and_the_report_reads_the_same_bounds_off_their_records(tmp_path: Path) -> None:
    said: list[str] = []
    measured = carry_out(to_measure(unknown(tmp_path)), said.append)
    assert said == ["range test: 3 runs of 500 iterations in all"]
    (scan,) = tmp_path.glob("results/runs/range_test/scan-180-s1-*")
    assert Record(scan).config()["images"]["evaluated"] == 100
    assert measured.bounds.rule == RULE
    assert f"The ramp ends at {measured.runs[0].config['bounds']['max_lr']:.2g}." in measured.bounds.reasons
    assert {run.config["bounds"]["origin"] for run in measured.runs} == {f"laid by {scan.name}"}
    ended = [result for record in records(scan.parent) if (result := record.result())]
    assert measured.iterations == sum(result.iterations for result in ended)
    assert look_up(to_measure(unknown(tmp_path)), pytest.fail).bounds == measured.bounds
    (section,) = gather(tmp_path / "results", ROOT / "conf").sections
    ((label, found),) = section.range_tests.items()
    assert (label, found.bounds) == ("ramps laid by a scan", measured.bounds)
    assert found.file_name == measured.file_name
    other = judged(measured.runs, "third")
    assert other.bounds.rule == "third"
    assert other.file_name != measured.file_name


def test_the_report_keeps_range_tests_apart_that_one_scan_laid(tmp_path: Path) -> None:
    measured = [carry_out(to_measure(unknown(tmp_path, f"range_test.epochs={epochs}")), print) for epochs in (4, 2)]
    assert len(list(tmp_path.glob("results/runs/range_test/scan-*"))) == 1
    (section,) = gather(tmp_path / "results", ROOT / "conf").sections
    shown = section.range_tests
    assert {label.partition(" iter")[0] for label in shown} == {
        f"ramps laid by a scan (seed 1, {iterations}" for iterations in (160, 80)
    }
    assert {one.file_name: one.bounds for one in shown.values()} == {one.file_name: one.bounds for one in measured}


def test_the_end_of_a_range_test_under_way_is_open_in_the_report(tmp_path: Path) -> None:
    carry_out_ramp(scan_config(to_measure(unknown(tmp_path))))
    (section,) = gather(tmp_path / "results", ROOT / "conf").sections
    (found,) = section.range_tests.values()
    assert found.bounds.verdict == NONE
    assert "have not ended" in found.bounds.reasons[0]


def test_a_scan_whose_loss_is_no_number_at_once_shows_no_bounds_and_starts_no_ramp(tmp_path: Path) -> None:
    scan = carry_out_ramp(scan_config(to_measure(unknown(tmp_path))))
    scan.write_evaluations([dataclasses.replace(row, train_loss=math.inf) for row in scan.evaluations()])
    measured = carry_out(to_measure(unknown(tmp_path)), print)
    assert (measured.bounds.verdict, len(measured.runs)) == (NONE, 1)
    assert "check the data and the loss" in measured.bounds.reasons[0]


def test_a_plan_counts_the_scan_and_the_ramps_that_are_left(tmp_path: Path) -> None:
    paths = config.PathNames(data="data", results=f"{tmp_path}/results", outputs=f"{tmp_path}/outputs")
    said: list[str] = []

    def plan() -> list[tuple[str, int]]:
        planner = Planner(lambda chosen: unknown(tmp_path, *chosen), paths, said.append, find_bounds=look_up)
        (cell,) = planner.cells([("policy=triangular", "iterations=40")])
        assert (cell.error, cell.iterations) == (None, 40)
        return [(left.label, left.iterations) for left in planner.range_tests]

    ramps = [("range test: ramp seed=1", 160), ("range test: ramp seed=2", 160)]
    assert plan() == [("range test: scan seed=1", 180), *ramps]
    assert "not measured yet" in said[0]
    wanted = to_measure(unknown(tmp_path))
    carry_out_ramp(scan_config(wanted))
    assert plan() == ramps
    carry_out(wanted, print)
    assert plan() == []


@pytest.mark.parametrize("override", ["range_test.low=0.001", "range_test.ramp=exponential"])
def test_ends_without_a_range_are_refused(tmp_path: Path, override: str) -> None:
    with pytest.raises(ConfigError, match=r"range_test.low and range_test.ramp go with a rate for range_test.high"):
        to_measure(unknown(tmp_path, override))
    with pytest.raises(ConfigError, match=r"range_test.high=far is no rate: write a number, or auto"):
        to_measure(asked(tmp_path, "range_test.high=far"))


def test_the_range_is_found_by_default_and_the_papers_is_a_choice() -> None:
    assert config.checked(composed()).range_test.finds_range
    paper = config.checked(composed("range_test=paper", "model=cifar10_full")).range_test
    assert (paper.low, paper.high, paper.rule) == (0, 0.02, FIRST)


def test_the_record_says_where_the_bounds_came_from(tmp_path: Path, found: Callable[[FoundBounds], None]) -> None:
    found(FOUND)
    made = with_measured_bounds(asked(tmp_path, "iterations=40", "policy=triangular"), carry_out, print)
    result, record = running.train(config.checked(made), Console(silent=True))
    kept = record.config()
    assert (kept["bounds"]["base_lr"], kept["bounds"]["max_lr"]) == (0.0123, 0.1)
    assert kept["bounds"]["origin"].startswith("range_test (clear, by rise_and_slow): ramp-160-s1-")
    assert (kept["identity"]["policy"]["base_lr"], kept["identity"]["policy"]["max_lr"]) == (0.0123, 0.1)
    assert "range_test" not in kept
    # The origin decides nothing: the same bounds, given by hand, are the same run.
    given = asked(tmp_path, "bounds=paper", "bounds.base_lr=0.0123", "bounds.max_lr=0.1", "iterations=40", "policy=triangular")
    assert running.train(config.checked(given), Console(silent=True))[0].run_id == result.run_id


def test_times_stretches_the_bounds_that_were_found(tmp_path: Path, found: Callable[[FoundBounds], None]) -> None:
    found(FOUND)
    made = with_measured_bounds(asked(tmp_path, "bounds.times=0.5"), carry_out, print)
    assert (made.bounds.base_lr, made.bounds.max_lr) == (0.00617, 0.05)
    with pytest.raises(ConfigError, match=r"bounds.times=2 goes with bounds=range_test"):
        config.checked(composed("bounds.times=2"))


def test_a_training_after_a_range_test_ends_with_the_weights_of_one_without(tmp_path: Path) -> None:
    def weights(folder: str) -> dict[str, torch.Tensor]:
        paths = (f"paths.results={tmp_path}/{folder}", f"paths.outputs={tmp_path}/{folder}")
        made = config.checked(composed("iterations=60", "tracking.wandb=disabled", *paths))
        result, _ = running.train(made, Console(silent=True))
        saved: dict[str, torch.Tensor] = torch.load(
            store.run_folder(tmp_path / folder, "adhoc", result.name) / "weights.pt", weights_only=True
        )
        return saved

    without = weights("without")
    carry_out(to_measure(asked(tmp_path)), print)
    after = weights("after")
    assert all(torch.equal(value, after[name]) for name, value in without.items())


def test_an_interrupted_ramp_goes_on_where_it_was(tmp_path: Path, interrupted_at: Callable[[int], object]) -> None:
    wanted, elsewhere = (to_measure(asked(folder)) for folder in (tmp_path, tmp_path / "undisturbed"))
    with interrupted_at(100):  # type: ignore[attr-defined]
        carry_out_ramp(ramp_config(wanted, 1, 0.3))
    rows, undisturbed = (
        [row.metrics for row in carry_out_ramp(ramp_config(made, 1, 0.3)).evaluations()] for made in (wanted, elsewhere)
    )
    assert rows == undisturbed
    assert len(rows) == 20


def test_where_nothing_may_be_started_the_command_that_measures_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"not measured yet: `make range-test DATA=digits MODEL=small_cnn`"):
        with_measured_bounds(asked(tmp_path), look_up, print)
    assert list(tmp_path.glob("results/**/*")) == []


def test_a_sweep_measures_once_before_its_cells_have_names_and_a_plan_measures_nothing(
    tmp_path: Path, found: Callable[[FoundBounds], None]
) -> None:
    found(FOUND)
    overrides = [("policy=fixed",), ("policy=triangular",), ("policy=triangular", "seed=2")]
    paths = config.PathNames(data="data", results=f"{tmp_path}/results", outputs=f"{tmp_path}/outputs")

    def cells(find: Find) -> list[Cell]:
        return Planner(lambda chosen: asked(tmp_path, *chosen), paths, print, find_bounds=find).cells(overrides)

    assert len(cells(look_up)) == 3
    assert list((tmp_path / "results").glob("runs/*/*/result.json")) == []
    assert [cell.error for cell in cells(carry_out)] == [None] * 3
    assert len(list((tmp_path / "results").glob("runs/range_test/*/result.json"))) == 2
    # Once they are measured, a plan of other cells finds them too.
    overrides.append(("policy=exp_range", "seed=3"))
    assert [cell.error for cell in cells(look_up)] == [None] * 4


def test_every_shipped_range_test_shows_bounds() -> None:
    runs, _ = read_runs(ROOT / "results")
    ramps = [arm for arm in arms_of(runs) if (arm.source, arm.experiment) == (EVIDENCE, RANGE_TEST)]
    found = {arm.task: judged(arm.runs, FIRST).bounds for arm in ramps}
    assert {task: (bounds.verdict, bounds.rule) for task, bounds in found.items()}.items() >= {
        ("digits", "small_cnn"): (CLEAR, FIRST),
        ("mnist", "small_cnn"): (WEAK, SECOND),
        ("fashion_mnist", "small_cnn"): (WEAK, SECOND),
        ("cifar10", "cifar10_full"): (WEAK, FIRST),
    }.items()


@pytest.mark.parametrize("verdict", [NONE, WEAK])
def test_bounds_that_cannot_be_seen_are_refused_and_weak_ones_are_told(
    tmp_path: Path, verdict: str, found: Callable[[FoundBounds], None]
) -> None:
    rates = (None, None) if verdict == NONE else (0.01, 0.1)
    found(FoundBounds(*rates, None, None, verdict, ("the curve is flat: raise range_test.high",), "rise_and_slow"))
    said: list[str] = []
    if verdict == NONE:
        with pytest.raises(ConfigError, match=r"bounds=range_test: .*the curve is flat: raise range_test.high"):
            with_measured_bounds(asked(tmp_path), carry_out, said.append)
    else:
        with_measured_bounds(asked(tmp_path), carry_out, said.append)
        assert said[-1].startswith("warning: bounds=range_test: the bounds are weak: the curve is flat: raise range_test.high")
        assert "Assumed: the range 0 to 0.3, linear" in said[-1]


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        (("range_test.low=1",), "range_test.high=0.3 is not above range_test.low=1: raise it"),
        (
            ("range_test.ramp=exponential",),
            "range_test.ramp=exponential cannot start from range_test.low=0: try range_test.low=0.0003",
        ),
    ],
)
def test_impossible_ranges_are_refused_by_the_keys_that_were_typed(
    tmp_path: Path, overrides: Sequence[str], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(complaint)):
        to_measure(asked(tmp_path, *overrides))


@pytest.mark.parametrize("find", [look_up, carry_out])
def test_a_ramp_with_fewer_iterations_than_points_is_refused_before_anything_is_trained(tmp_path: Path, find: Find) -> None:
    wanted = to_measure(asked(tmp_path, "range_test.epochs=0.3"))
    with pytest.raises(ConfigError, match=r"^range_test.epochs=0.3 has 12 iterations, too few for range_test.points=20: raise"):
        find(wanted, pytest.fail)
    assert not (tmp_path / "results").exists()


def test_given_bounds_start_no_range_test() -> None:
    chosen = composed("bounds=paper")
    assert with_measured_bounds(chosen, look_up, print) is chosen


def test_the_paper_protocol_measures_on_the_test_set(tmp_path: Path) -> None:
    wanted = to_measure(asked(tmp_path, "data.split=paper", "range_test.seeds=[1]"))
    record = carry_out_ramp(ramp_config(wanted, 1, 0.3))
    assert record.config()["images"]["evaluated"] == 355
    assert "evaluate" not in record.config()["identity"]["data"]


def test_a_ramp_that_diverges_is_an_outcome_with_the_rate_at_which_it_did(tmp_path: Path) -> None:
    measured = carry_out(to_measure(asked(tmp_path, "range_test.high=2000", "range_test.seeds=[1]")), print)
    (curve,) = measured.curves
    assert measured.runs[0].result.status == "diverged"
    assert curve.diverged_at is not None
    assert 0 < curve.diverged_at < 2000
    assert len(curve.rates) < 20


# The library


class Module(pl.LightningModule):
    """A classifier with all that a range test could leave traces in: dropout, batch statistics, a scheduler of its own."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.BatchNorm1d(16), torch.nn.ReLU(), torch.nn.Dropout(0.1))
        self.head = torch.nn.Linear(16, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.head(self.net(inputs))  # type: ignore[no-any-return]

    def training_step(self, batch: list[torch.Tensor]) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(self(batch[0]), batch[1])

    def configure_optimizers(self) -> dict[str, object]:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)
        return {"optimizer": optimizer, "lr_scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 1)}


def loader(images: int, seed: int) -> torch.utils.data.DataLoader[tuple[torch.Tensor, ...]]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(images) % 3
    inputs = torch.randn(images, 4, generator=generator) + 2 * torch.nn.functional.one_hot(labels, 4)
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(inputs, labels), batch_size=16, shuffle=True)


def test_any_module_gets_curve_and_bounds_and_comes_back_untouched() -> None:
    module = Module()
    before = copy.deepcopy(module.state_dict())
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    found = LRRangeTest(high=0.5, iterations=200, points=20, seeds=(1, 2)).run(module, loader(480, 0), loader(96, 1))
    assert found.bounds.verdict in (CLEAR, WEAK, NONE)
    assert len(found.curves) == 2
    assert all(len(curve.rates) == 20 for curve in found.curves)
    assert found.curves[0].rates == pytest.approx(0.5 * (np.arange(10, 201, 10) - 1) / 200)
    assert max(found.curves[0].accuracies) > 60
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert module._trainer is None
    assert module.training
    assert random.getstate() == states[0]
    assert np.random.get_state()[1].tolist() == states[1]
    assert torch.equal(torch.get_rng_state(), states[2])


def test_the_readmes_example_prints_the_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    example = textwrap.dedent(re.search(r"(    from clrbench import LRRangeTest.*?verdict\))", readme, re.DOTALL)[1])  # type: ignore[index]
    names = {"module": Module(), "train_loader": loader(160, 0), "val_loader": loader(96, 1)}
    exec(example.replace("iterations=800", "iterations=40, seeds=(1,)"), names)
    assert capsys.readouterr().out.split()[-1] in (CLEAR, WEAK, NONE)


def test_the_same_seeds_find_the_same() -> None:
    test = LRRangeTest(high=5.0, iterations=60, points=6, seeds=(3,))
    module, train, validation = Module(), loader(480, 0), loader(96, 1)
    one, other = (test.run(module, train, validation).curves[0] for _ in range(2))
    assert one.accuracies.tolist() == other.accuracies.tolist()
    assert one.losses.tolist() == other.losses.tolist()


def test_targets_that_are_no_classes_are_answered_with_the_argument_that_evaluates_them() -> None:
    class Regression(Module):
        def training_step(self, batch: tuple[torch.Tensor, ...], batch_idx: int) -> torch.Tensor:
            return torch.nn.functional.mse_loss(self(batch[0]), batch[1])

    data = torch.utils.data.TensorDataset(torch.randn(32, 4), torch.randn(32, 3))
    targets = torch.utils.data.DataLoader(data, batch_size=16)
    with pytest.raises(ValueError, match=r"not scores \(n, classes\) and class numbers \(n,\): .* or evaluate="):
        LRRangeTest(high=1.0, iterations=4, points=2, seeds=(1,)).run(Regression(), targets, targets)


def test_an_evaluation_of_ones_own_replaces_the_accuracy_of_scores() -> None:
    test = LRRangeTest(high=1.0, iterations=10, points=5, seeds=(1,))
    found = test.run(Module(), loader(160, 0), [], evaluate=lambda module: (42.0, 1.5, 7))
    assert found.curves[0].accuracies.tolist() == [42.0] * 5


def test_a_loss_that_explodes_ends_the_ramp() -> None:
    losses = iter([1.0, float("nan")])
    test = LRRangeTest(high=1.0, iterations=10, points=5, seeds=(1,))
    (curve,) = test.run(Module(), loader(160, 0), [], evaluate=lambda module: (42.0, next(losses), 7)).curves
    assert (len(curve.rates), curve.diverged_at) == (1, pytest.approx(0.3))


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"high": 0.1, "low": 0.2}, "max_lr=0.1 is not above min_lr=0.2"),
        ({"high": 0.1, "ramp": "exponential"}, "must be above 0"),
        ({"high": 0.1, "points": 0}, "points=0 is impossible"),
        ({"high": 0.1, "ramp": "steep"}, "one of linear, exponential"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        LRRangeTest(**settings)  # type: ignore[arg-type]


def test_rates_are_rounded_to_what_a_range_test_can_tell() -> None:
    assert rounded(0.00123456) == 0.00123
