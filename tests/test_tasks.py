"""A module, data and a metric of one's own: pairing, records, resuming, identity, and mistakes."""

import json
import math
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import own_tasks
import pytest
import torch
from conftest import ROOT, composed
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from rich.console import Console as RichConsole
from sweeps import IN_THIS_PROCESS, rows, run, started, wait_until

from clrbench import config as forms
from clrbench.analysis.verdicts import judge_all
from clrbench.cli import measure_bounds
from clrbench.data.batches import ALL, Share
from clrbench.errors import ClrbenchError
from clrbench.packages import Callback
from clrbench.report.contents import gather
from clrbench.report.figures import accuracy_drawing
from clrbench.report.tables import summary_frame
from clrbench.report.terminal import print_summary
from clrbench.runs import read_runs
from clrbench.store import records
from clrbench.sweep.planner import Planner
from clrbench.sweep.ramps import carry_out, look_up
from clrbench.tasks.deal import deals_again, equal, pair
from clrbench.tasks.own_recorder import OwnRecorder
from clrbench.tasks.own_spec import resolve_own, set_up
from clrbench.tracking.trackio import Line, ShownRun, _read
from clrbench.tracking.wandb import summary
from clrbench.tracking.wandb_panels import curves_of, outcomes_of
from clrbench.training.console import Console
from clrbench.training.run import train

OWN = ("task=lightning", "task.module._target_=own_tasks.Regression", "task.data._target_=own_tasks.Lines")
METRIC = ("task.monitor=val_mse", "task.mode=min")
RATES = ("bounds.base_lr=0.001", "bounds.max_lr=0.01", "policy.step_size=10", "iterations='3 epochs'", "trainer.threads=1")
TWO = ("trainer=ddp", "trainer.accelerator=cpu")
Make = Callable[..., Any]


@pytest.fixture(autouse=True)
def seen() -> Iterator[list[Any]]:
    own_tasks.SEEN.clear()
    yield own_tasks.SEEN
    own_tasks.SEEN.clear()


def trained(config: Any) -> Any:
    result, record = train(config, Console(silent=True))
    assert result.status == "finished", result.reason
    return result, record


def test_a_module_of_ones_own_is_recorded_by_its_own_metric(make_config: Make, capsys: pytest.CaptureFixture[str]) -> None:
    result, record = train(make_config(*OWN, *METRIC, *RATES, "task.unit=m2"), Console())
    assert (result.status, result.reason) == ("finished", None)
    assert (result.metric, result.mode, result.unit, result.data, result.model) == (
        "test_mse",
        "min",
        "m2",
        "Lines",
        "Regression",
    )
    rows = record.evaluations()
    assert [row.iteration for row in rows] == [7, 14, 20, 21]  # the ends of epochs and of the cycle
    assert set(rows[0].metrics) == {"val_mse", "val_size"}
    assert rows[-1].metrics["val_mse"] == pytest.approx(result.value)  # the test set is that of validation here
    assert rows[-1].metrics["val_mse"] < rows[0].metrics["val_mse"]
    said = capsys.readouterr().out
    assert "LinearLR: the module's own schedule of the rate is left out" in said
    assert "metric    val_mse in m2: less is better" in said
    assert record.config()["identity"]["metric"] == {"monitor": "val_mse", "mode": "min"}
    assert record.config()["deals_again"] is True
    assert result.seconds < 60


def test_the_groups_keep_their_ratio_and_get_the_policys_rate(make_config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    rates = []
    monkeypatch.setattr(
        own_tasks.Regression,
        "on_train_batch_end",
        lambda self, *_: rates.append([group["lr"] for group in self.optimizers().param_groups]),
    )
    trained(make_config(*OWN, *METRIC, *RATES, "policy=triangular", "policy.step_size=10"))
    assert rates[9] == pytest.approx([0.001, 0.01])  # that of the next iteration
    assert rates[19] == pytest.approx([0.0001, 0.001])


def test_a_scheduler_that_is_left_out_leaves_no_momentum_behind(
    make_config: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def with_one_cycle(self: own_tasks.Regression) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.3)
        return [optimizer], [torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=100)]

    momenta = []
    monkeypatch.setattr(own_tasks.Regression, "configure_optimizers", with_one_cycle)
    monkeypatch.setattr(
        own_tasks.Regression,
        "on_train_batch_end",
        lambda self, *_: momenta.append(self.optimizers().param_groups[0]["momentum"]),
    )
    train(make_config(*OWN, *METRIC, *RATES), Console())
    assert set(momenta) == {0.3}
    assert "as the policy sets the rate; the optimizer has its momentum=0.3 again" in capsys.readouterr().out


@pytest.mark.parametrize("workers", [0, 2])
def test_policies_of_one_seed_see_the_same_batches_and_first_loss(make_config: Make, seen: list[Any], workers: int) -> None:
    found = []
    for choice in ("policy=fixed", "policy=triangular2 policy.step_size=3"):
        trained(
            make_config(
                *OWN, *METRIC, *RATES[:2], *RATES[3:], *choice.split(), f"+task.data.workers={workers}", "iterations=14"
            )
        )
        found.append(list(seen))
        seen.clear()
    one, other = found
    assert len(one) == len(other) == 14
    # However often the other policy was evaluated in between, which draws random numbers too.
    assert all(torch.equal(first[1], second[1]) for first, second in zip(one, other, strict=True))
    assert one[0][2] == other[0][2]
    assert one[5][2] != other[5][2]
    assert not torch.equal(one[0][1], one[7][1])  # another order in each epoch
    trained(make_config(*OWN, *METRIC, *RATES, f"+task.data.workers={workers}", "iterations=7", "seed=2"))
    assert not torch.equal(seen[0][1], one[0][1])


@pytest.mark.parametrize("killed_at", [9, 18])
def test_a_killed_run_ends_with_the_numbers_of_an_undisturbed_one(
    make_config: Make, monkeypatch: pytest.MonkeyPatch, seen: list[Any], killed_at: int
) -> None:
    choices = (*OWN, *METRIC, *RATES)
    result, undisturbed = trained(make_config(*choices, folder="undisturbed"))
    weights = torch.load(next(Path(make_config(folder="undisturbed").paths.outputs).glob("runs/*/*/weights.pt")))
    original = OwnRecorder.on_train_batch_end

    def die(self: OwnRecorder, *arguments: Any) -> None:
        original(self, *arguments)
        if self._batches == killed_at:
            raise KeyboardInterrupt

    config = make_config(*choices, folder="killed")
    with monkeypatch.context() as dying:
        dying.setattr(OwnRecorder, "on_train_batch_end", die)
        with pytest.raises(KeyboardInterrupt):
            train(config, Console(silent=True))
    seen.clear()
    again, record = trained(config)
    assert len(seen) == 21 - killed_at // 7 * 7  # from the end of the last epoch
    assert again.value == result.value
    columns = [(row.iteration, row.train_loss, row.metrics) for row in record.evaluations()]
    assert columns == [(row.iteration, row.train_loss, row.metrics) for row in undisturbed.evaluations()]
    ended = torch.load(next(Path(config.paths.outputs).glob("runs/*/*/weights.pt")))
    assert all(torch.equal(ended[name], weights[name]) for name in weights)


def test_a_run_that_is_killed_hard_ends_with_the_numbers_of_an_undisturbed_one(make_config: Make, tmp_path: Path) -> None:
    choices = (*OWN, *METRIC, *RATES[:3], RATES[4], "iterations='100 epochs'")
    folder = tmp_path / "killed"
    for reached in (3, 60):
        with started(folder, *choices, IN_THIS_PROCESS) as process:
            wait_until(lambda: rows(folder) >= reached, "no evaluation is recorded", process)  # noqa: B023
            os.killpg(process.pid, signal.SIGKILL)
        assert list(folder.glob("outputs/runs/*/*/last.ckpt"))
        assert not list(folder.glob("results/runs/*/*/result.json"))
    assert run(folder, *choices, IN_THIS_PROCESS).returncode == 0
    _, undisturbed = trained(make_config(*choices, folder="undisturbed"))
    (record,) = records(folder / "results" / "runs" / "adhoc")
    assert numbers(record) == numbers(undisturbed)
    files = (next(tmp_path.glob(f"{name}/outputs/runs/*/*/weights.pt")) for name in ("killed", "undisturbed"))
    weights, others = map(torch.load, files)
    assert all(torch.equal(weights[name], others[name]) for name in others)


def numbers(record: Any) -> list[Any]:
    return [record.result().value, *((row.iteration, row.train_loss, row.metrics) for row in record.evaluations())]


def test_whoever_watches_sees_iterations_however_many_optimizers_step(make_config: Make) -> None:
    class Bar(Callback):
        def __init__(self, reached: Callable[[], int]) -> None:
            self.reached, self.shown = reached, []

        def on_train_batch_end(self, *_: Any) -> None:
            self.shown.append(self.reached())

    class Watched(Console):
        def progress(self, start: int, iterations: int, reached: Callable[[], int]) -> Any:
            self.bar = Bar(reached)
            return self.bar

    console = Watched(silent=True)
    choices = ("task.module._target_=own_tasks.Gan", "task.monitor=distance", "task.mode=min", "iterations=9")
    result, _ = train(make_config(*OWN[:1], *OWN[2:], *RATES, *choices), console)
    assert result.status == "finished"
    assert console.bar.shown == list(range(1, 10))


def test_validation_data_may_have_no_length_and_training_data_may_not(make_config: Make) -> None:
    choices = (*OWN, *METRIC, *RATES, "iterations=7")
    result, _ = trained(make_config(*choices, "task.data._target_=own_tasks.StreamedVal"))
    assert result.value < 20
    with pytest.raises(ClrbenchError, match="train_dataloader has no length, so that nobody knows what an epoch is"):
        resolve_own(make_config(*choices, "task.data._target_=own_tasks.Streamed"))


def test_two_optimizers_under_manual_optimization_train(make_config: Make) -> None:
    choices = ("task.module._target_=own_tasks.Gan", "task.monitor=distance", "task.mode=min")
    result, record = trained(make_config(*OWN[:1], *OWN[2:], *choices, *RATES))
    assert (result.metric, result.iterations) == ("distance", 21)
    assert [row.iteration for row in record.evaluations()] == [7, 14, 20, 21]


def test_iterations_are_steps_of_the_optimizer_where_gradients_accumulate(make_config: Make, seen: list[Any]) -> None:
    choices = ("+task.trainer.accumulate_grad_batches=3", "policy.step_size=2", "iterations=8")
    result, record = trained(make_config(*OWN, *METRIC, *RATES, *choices))
    assert [row.iteration for row in record.evaluations()] == [3, 4, 6, 8]  # 7 batches an epoch: 3, 3 and 1
    assert result.iterations == 8
    losses = [loss for _, _, loss in seen[:7]]
    assert record.evaluations()[0].train_loss == pytest.approx(sum(losses) / 7)


@pytest.mark.parametrize("processes", [2, 3])
def test_the_batches_of_all_devices_are_those_of_one(processes: int) -> None:
    def dealt(share: Share = ALL) -> list[Any]:
        datamodule = pair(own_tasks.Lines(), 1, lambda: 4, share)
        datamodule.setup("fit")
        loader = datamodule.train_dataloader()
        batches = list(loader)
        assert len(batches) == len(loader)
        return batches

    alone = dealt()
    together = [dealt(Share(rank, processes)) for rank in range(processes)]
    taken = [batch for batches in zip(*together, strict=True) for batch in batches]
    assert equal(taken, alone[:6])  # the seventh is left out


def test_a_run_on_two_devices_that_is_killed_has_the_numbers_of_one_device_that_gathers_two_batches(
    make_config: Make, tmp_path: Path
) -> None:
    choices = ("task=friedman", "policy=triangular2", "policy.step_size=50", "iterations='10 epochs'")
    folder = tmp_path / "together"
    with started(folder, *choices, *TWO, IN_THIS_PROCESS) as process:
        wait_until(lambda: rows(folder) >= 2, "no evaluation is recorded", process)
        os.killpg(process.pid, signal.SIGKILL)
    assert not list(folder.glob("results/runs/*/*/result.json"))
    done = run(folder, *choices, *TWO, IN_THIS_PROCESS)
    assert done.returncode == 0, done.stderr
    _, alone = trained(make_config(*choices, "+task.trainer.accumulate_grad_batches=2", folder="alone"))
    (record,) = records(folder / "results" / "runs" / "adhoc")
    assert (record.result().iterations, record.result().device) == (450, "2 x cpu")
    assert record.config()["identity"]["devices"] == 2
    assert record.result().value == pytest.approx(alone.result().value, rel=1e-4)
    for row, its_like in zip(record.evaluations(), alone.evaluations(), strict=True):
        assert (row.iteration, row.lr) == (its_like.iteration, its_like.lr)
        assert row.train_loss == pytest.approx(its_like.train_loss, rel=1e-4)
        assert row.metrics == pytest.approx(its_like.metrics, rel=1e-4)


def test_data_that_give_a_device_other_batches_than_planned_are_refused(make_config: Make, seen: list[Any]) -> None:
    result, _ = train(make_config(*OWN, *METRIC, *RATES, "task.data._target_=own_tasks.Shared"), Console(silent=True))
    assert result.status == "failed"
    assert "gives each device 4 batches an epoch, and gave 7 when the run was planned" in str(result.reason)
    assert not seen


def test_data_that_cannot_be_dealt_again_are_told_and_recorded(make_config: Make, capsys: pytest.CaptureFixture[str]) -> None:
    _, record = train(make_config(*OWN, *METRIC, *RATES, "task.data._target_=own_tasks.Drawn", "iterations=2"), Console())
    assert "not bit for bit: the data are other ones each time they are dealt" in capsys.readouterr().out
    assert record.config()["deals_again"] is False


@pytest.mark.parametrize(
    ("overrides", "error"),
    [
        (["task.mode=min"], "task.monitor is open"),
        (["task.monitor=val_mse"], r"is less of val_mse better, or more\? Say task.mode=min or task.mode=max"),
        (["task.monitor=train_loss", "task.mode=min"], "task.monitor=train_loss is what a record calls a column of its own"),
        (["task.monitor=val_mse", "task.mode=max"], "task.mode=max contradicts task.monitor=val_mse, of which less is better"),
        ([*METRIC, "task.data._target_=own_tasks.WithoutVal"], "WithoutVal has no val_dataloader"),
        (
            [*METRIC, "task.module._target_=own_tasks.Needy"],
            r"missing a required argument: 'vocabulary'.*\+task.module.NAME=VALUE",
        ),
        ([*METRIC, "+task.module.widht=3"], "unexpected keyword argument 'widht'"),
        ([*METRIC, "task.module._target_=torch.nn.Linear"], "task.module._target_=torch.nn.Linear is no LightningModule"),
        ([*METRIC, "task.module._target_=own_tasks.Absent"], "task.module._target_=own_tasks.Absent"),
        ([*METRIC, "data=cifar10"], "data=cifar10 is not read by task=lightning"),
        ([*METRIC, "+task.trainer.max_epochs=3"], "task.trainer.max_epochs is what the suite sets itself: say iterations"),
        ([*METRIC, "+task.trainer.limit_val_batches=0"], "task.trainer.limit_val_batches=0 is impossible"),
        ([*METRIC, "+task.trainer.accumulate_grad_batches=0"], "task.trainer.accumulate_grad_batches=0 is impossible"),
        (
            [*METRIC, "+task.trainer.accumulate_grad_batches={0:2}"],
            "accumulate_grad_batches={0: 2} is impossible: it must be a whole number of at least 1",
        ),
        ([*METRIC, "+task.trainer.accumulate_grad_batches=2.5"], "accumulate_grad_batches=2.5 is impossible"),
        ([*METRIC, "+task.trainer.accumulate_grad_batches=null"], "accumulate_grad_batches=None is impossible"),
        ([*METRIC, "+task.trainer.limit_val_batches=all"], "limit_val_batches=all is impossible: it must be a number above 0"),
        ([*METRIC, "task.data._target_=own_tasks.Several"], "train_dataloader gives a dict of loaders"),
        ([*METRIC, *TWO, "trainer.devices=8"], "train_dataloader gives 7 batches, fewer than there are devices"),
    ],
)
def test_a_mistake_is_told_in_one_line(make_config: Make, overrides: list[str], error: str) -> None:
    with pytest.raises(ClrbenchError, match=error) as told:
        resolve_own(make_config(*OWN, *RATES, *overrides))
    assert "\n" not in str(told.value)


def test_bounds_are_measured_once_by_the_modules_own_validation_and_never_on_test_data(
    make_config: Make, seen: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_tasks.Lines, "test_dataloader", lambda self: pytest.fail("test data are for the end"))
    asked = (
        *OWN,
        *METRIC,
        *RATES[2:],
        "bounds=range_test",
        "range_test.seeds=[1]",
        "range_test.high=0.1",
        "tracking.wandb=disabled",
    )
    paths = make_config().paths
    overrides = (*asked, f"paths.results={paths.results}", f"paths.outputs={paths.outputs}")
    said: list[str] = []

    def planned(find_bounds: Any) -> Any:
        return Planner(lambda texts: composed(*texts), paths, said.append, find_bounds=find_bounds).cells([overrides])[0]

    assert "bounds=range_test: not measured yet" in str(planned(look_up).error)
    cell = planned(carry_out)
    assert cell.error is None
    bounds = cell.job.config.bounds
    assert 0 < bounds.base_lr < bounds.max_lr < 10
    assert bounds.origin.startswith("range_test (")
    assert said[0].startswith("range test: 1 of 1 trainings")
    seen.clear()
    assert planned(look_up).job.config.bounds == planned(carry_out).job.config.bounds == bounds
    assert not seen
    assert "has no " not in "".join(said)


def test_a_rule_that_reads_images_is_refused_for_an_own_module(make_config: Make) -> None:
    paths = make_config().paths
    overrides = (*OWN, *METRIC, *RATES[2:], "bounds=range_test", "range_test.rule=rise_and_slow", "range_test.high=0.1")
    places = (f"paths.results={paths.results}", f"paths.outputs={paths.outputs}", "tracking.wandb=disabled")
    planner = Planner(lambda texts: composed(*texts), paths, lambda _: None, find_bounds=carry_out)
    (cell,) = planner.cells([(*overrides, *places)])
    assert "range_test.rule=rise_and_slow reads the accuracies of images" in str(cell.error)


def test_each_range_test_of_an_own_module_prints_its_bounds_and_keeps_its_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = (*OWN, *METRIC, *RATES[2:], "range_test.seeds=[1]", "range_test.high=0.1")
    monkeypatch.setattr(HydraConfig, "get", lambda: OmegaConf.create({"overrides": {"task": list(typed)}}))
    for points in (5, 6):
        measure_bounds(
            composed(
                *typed, f"range_test.points={points}", f"paths.results={tmp_path}/results", f"paths.outputs={tmp_path}/outputs"
            )
        )
    pictures = list(tmp_path.glob("outputs/report/range_test-*.svg"))
    assert len(pictures) == 2
    said = capsys.readouterr().out
    assert all(str(picture) in said for picture in pictures)


def test_bounds_of_images_are_not_taken(make_config: Make) -> None:
    with pytest.raises(ClrbenchError, match="say between which rates its policies move"):
        make_config(*OWN, *METRIC)


def test_metrics_called_as_columns_of_the_record_are_left_out_with_one_line(
    make_config: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    result, record = train(make_config(*OWN, *METRIC, *RATES, "task.module._target_=own_tasks.Homonym"), Console())
    assert result.status == "finished", result.reason
    assert all(0 < row.lr <= 0.01 for row in record.evaluations())
    assert list(record.evaluations()[-1].metrics) == ["val_mse", "val_size"]
    assert capsys.readouterr().out.count("lr, epoch, seconds: left out of what validation_step logs") == 1


def test_a_module_finds_a_logger(make_config: Make) -> None:
    trained(make_config(*OWN, *METRIC, *RATES, "task.module._target_=own_tasks.Watched"))


def test_a_monitor_that_is_never_logged_fails_before_an_epoch_is_trained(make_config: Make, seen: list[Any]) -> None:
    result, _ = train(make_config(*OWN, *METRIC, *RATES, "task.module._target_=own_tasks.Blind"), Console(silent=True))
    assert result.status == "failed"
    assert "task.monitor=val_mse is never logged by validation_step: it logs val_size" in str(result.reason)
    assert not seen


@pytest.mark.parametrize(
    ("module", "status", "reason"),
    [
        ("Stopping", "failed", "training ended after 9 of 21 iterations: the module, or a callback of it, stopped it"),
        ("Exiting", "failed", "SystemExit: 3 (traceback in "),
        ("Seldom", "failed", "task.module makes 3 optimizer steps in 7 batches, where the run counts 7 iterations"),
        ("Unmeasurable", "diverged", "test_mse is nan at the end"),
    ],
)
def test_a_run_that_is_not_what_its_record_would_say_does_not_count_as_finished(
    make_config: Make, module: str, status: str, reason: str
) -> None:
    result, _ = train(make_config(*OWN, *METRIC, *RATES, f"task.module._target_=own_tasks.{module}"), Console(silent=True))
    assert result.status == status
    assert reason in str(result.reason)
    assert result.value is None


def test_a_run_that_diverges_before_its_test_names_the_metric_of_the_test(make_config: Make) -> None:
    result, _ = train(make_config(*OWN, *METRIC, "bounds.base_lr=1e20", "bounds.max_lr=1e21"), Console(silent=True))
    assert (result.status, result.metric, result.value) == ("diverged", "test_mse", None)


def test_lists_are_lists_and_what_is_logged_late_has_a_column(make_config: Make) -> None:
    choices = ("task.module._target_=own_tasks.Listing", "+task.module.widths=[8]")
    _, record = trained(make_config(*OWN, *METRIC, *RATES, *choices))
    late = [row.metrics["late"] for row in record.evaluations()]
    assert math.isnan(late[0])
    assert late[1:] == [1.0] * 3


def test_data_with_missing_values_are_dealt_again(make_config: Make) -> None:
    datamodule = set_up(make_config(*OWN, *METRIC, *RATES, "task.data._target_=own_tasks.Gappy"))
    assert deals_again(datamodule)


def test_the_name_stands_for_names_settings_and_version_and_not_for_the_text(make_config: Make) -> None:
    def run_id(*more: str) -> str:
        return resolve_own(make_config(*OWN, *METRIC, *RATES, *more)).run_id

    others = [
        "task.version=2",
        "+task.module.width=4",
        "+task.data.test=false",
        "task.monitor=val_size task.mode=max",
        "seed=2",
    ]
    assert len({run_id(), *(run_id(*more.split()) for more in others)}) == 1 + len(others)
    assert run_id() == run_id("task.unit=m", "task.margin=1", "tracking.wandb=disabled")
    assert run_id("version=2") == run_id("task.version=2")


def test_a_changed_text_of_the_same_version_is_warned_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "changing_task.py"
    file.write_text("from own_tasks import Regression\nclass Mine(Regression):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    overrides = (*OWN, *METRIC, *RATES, "task.module._target_=changing_task.Mine", "iterations=2", "tracking.wandb=disabled")
    paths = forms.PathNames("data", "results", "outputs")

    def plan() -> Any:
        return Planner(lambda texts: composed(*texts), paths, said.append).cells([overrides])[0]

    train(plan().job.config, Console(silent=True))
    assert plan().record.result() is not None
    assert said == []
    file.write_text(file.read_text() + "# another\n")
    plan()
    assert said == [
        "warning: the code of changing_task.Mine has changed since there are records of this task, which are taken as they "
        "are: say task.version=2 to run it anew"
    ]


def test_images_know_nothing_of_the_task(make_config: Make) -> None:
    from clrbench.data.load import load
    from clrbench.spec import resolve

    config = make_config()
    spec = resolve(config, load(config.data, config.paths))
    assert "task" not in spec.identity
    assert "task:" not in spec.config_text()


def test_trackers_get_the_tasks_own_metrics(make_config: Make) -> None:
    result, record = trained(make_config(*OWN, *METRIC, *RATES))
    rows = record.evaluations()
    assert summary(result, rows)["final_test_mse"] == result.value
    assert {"val_mse", "val_size"} < summary(result, rows).keys()
    assert not [name for name in summary(result, rows) if "accuracy" in name or name.startswith("iterations_to")]
    shown = _read(ShownRun(record.folder, Line("one", "run"))).points[0].values
    assert list(shown) == ["val_mse", "val_size", "lr", "train_loss", "epoch"]


def test_words_go_by_the_metrics_own_direction_and_unit(
    make_config: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = (*OWN, *METRIC, "task.unit=m2", "task.margin=0.01", *RATES[3:], "bounds.base_lr=0.0001", "bounds.max_lr=0.03")
    for seed in (1, 2):
        for choice in ("policy=fixed", "policy=triangular2 policy.step_size=10"):
            train(make_config(*more, *choice.split(), f"seed={seed}"), Console(silent=True), OWN)
    runs, faults = read_runs(Path(make_config().paths.results))
    assert len(runs) == 4
    assert faults == []
    print_summary(RichConsole(width=200), "runs", runs, ROOT / "conf", tmp_path)
    said = capsys.readouterr().out
    assert "test mse, m2" in said
    assert "to fixed: iterations to the value at which the best fixed rate ends" in said
    assert "%" not in said.replace("95%", "")
    assert re.search(r"triangular2.* is ahead of fixed.*: -\d.* m2 \[", said)
    assert "the same command with `experiment=decide` for policies and seeds" in said
    assert not [verdict for verdict in judge_all(runs, ROOT / "conf", tmp_path) if verdict.source]
    section = gather(tmp_path / "one" / "results", ROOT / "conf").sections[0]
    drawn = curves_of(section)[0], outcomes_of(section)[0]
    assert (drawn[0].title, drawn[0].y) == ("test mse, m2, by arm: mean and range over seeds", ["val_mse"])
    assert (drawn[1].title, drawn[1].metrics) == ("final test mse by arm", ["final_test_mse"])
    assert len(outcomes_of(section)) == 1  # targets are percentages
    assert [arm.name for arm in section.best_first] == ["triangular2", "fixed"]
    drawing = accuracy_drawing("one", section.best_first, section.accuracy)
    assert drawing.data["labels"] == ("epoch", "test mse, m2")
    assert "NaN" not in json.dumps(drawing.data)
    assert "test mse, m2" in summary_frame(section.arms, section.summary).columns
