"""A run, from its configuration to its record."""

import csv
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest
import torch
from conftest import ROOT, config_in

from clrbench import store
from clrbench.config import Config
from clrbench.data.load import load
from clrbench.errors import ConfigError
from clrbench.spec import RunSpec, resolve
from clrbench.store import CHECKPOINT, Record, Result
from clrbench.training import run as running
from clrbench.training.console import Console
from clrbench.training.recorder import Recorder

MakeConfig = Callable[..., Config]
Ended = tuple[Record, dict[str, torch.Tensor]]
SHORT = ("iterations=4 epochs", "policy.step_size=1 epoch")


def train(config: Config) -> tuple[Result, Record]:
    return running.train(config, Console())


def spec_of(config: Config) -> RunSpec:
    return resolve(config, load(config.data, config.paths, print))


def weights_of(config: Config) -> dict[str, torch.Tensor]:
    return torch.load(running.RunFolders.of(spec_of(config)).weights, weights_only=True)


def rows_without_seconds(record: Record) -> list[tuple[float, ...]]:
    return [(row.iteration, row.epoch, row.lr, row.train_loss, row.metrics) for row in record.evaluations()]


def assert_same_weights(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """Record and weights of a SHORT run that nothing disturbs."""
    config = config_in(tmp_path_factory.mktemp("undisturbed"), *SHORT)
    _, record = train(config)
    return record, weights_of(config)


def assert_ends_like(undisturbed: Ended, config: Config, record: Record) -> None:
    undisturbed_record, weights = undisturbed
    assert rows_without_seconds(record) == rows_without_seconds(undisturbed_record)
    assert_same_weights(weights_of(config), weights)


def test_a_run_leaves_the_record_that_the_design_names(make_config: MakeConfig) -> None:
    config = make_config(*SHORT)
    result, record = train(config)
    assert record.folder == Path(config.paths.results) / "runs" / "adhoc" / result.name
    assert sorted(path.name for path in record.folder.iterdir()) == ["config.yaml", "evals.csv", "result.json"]
    assert result.name == f"triangular2-160-s1-{result.run_id}"
    assert (result.status, result.iterations, result.data, result.model, result.policy, result.seed) == (
        "finished", 160, "digits", "small_cnn", "triangular2", 1,
    )  # fmt: skip
    assert record.result() == result
    assert record.config()["identity"]["iterations"] == 160


def test_the_accuracy_reported_is_the_last_one_on_the_whole_test_set(make_config: MakeConfig) -> None:
    config = make_config(*SHORT)
    result, record = train(config)
    last = record.evaluations()[-1]
    assert last.iteration == 160
    assert result.value == last.metrics["test_accuracy"]
    spec = spec_of(config)
    module = running.build(spec)
    module.load_state_dict(weights_of(config))
    module.eval()
    test = spec.data.images.test
    hits = (module(torch.from_numpy(test.pixels)).argmax(1) == torch.from_numpy(test.labels)).sum().item()
    assert result.value == pytest.approx(100 * hits / len(test), abs=1e-4)


def test_evaluations_lie_on_one_grid_for_all_policies_and_at_each_cycles_end(make_config: MakeConfig) -> None:
    fixed = spec_of(make_config("policy=fixed", "iterations=200"))
    cyclic = spec_of(make_config("policy=triangular", "iterations=200", "policy.step_size=30"))
    assert fixed.evaluation_points == [40, 80, 120, 160, 200]
    assert cyclic.evaluation_points == [40, 60, 80, 120, 160, 180, 200]


def test_the_rate_in_the_record_is_that_of_the_last_update(make_config: MakeConfig) -> None:
    _, record = train(make_config(*SHORT))
    spec = spec_of(make_config(*SHORT))
    assert [row.lr for row in record.evaluations()] == [float(spec.schedule(row.iteration - 1)) for row in record.evaluations()]


def test_the_same_command_again_returns_the_record_without_training(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, record = train(make_config(*SHORT))
    written = (record.folder / "result.json").stat().st_mtime_ns
    monkeypatch.setattr(running, "_carry_out", lambda *_: pytest.fail("trained again"))
    again, _ = train(make_config(*SHORT))
    assert again == result
    assert (record.folder / "result.json").stat().st_mtime_ns == written


def test_the_same_seed_gives_every_policy_the_same_weights_and_batches(make_config: MakeConfig) -> None:
    one, other = (spec_of(make_config(f"policy={policy}", "seed=5")) for policy in ("fixed", "exp_range"))
    assert_same_weights(running.build(one).state_dict(), running.build(other).state_dict())
    for (pixels, labels), (other_pixels, other_labels), _ in zip(
        running.stream(one, 0), running.stream(other, 0), range(100), strict=False
    ):
        assert torch.equal(pixels, other_pixels)
        assert torch.equal(labels, other_labels)


def test_another_seed_gives_other_weights(make_config: MakeConfig) -> None:
    one, other = (running.build(spec_of(make_config(f"seed={seed}"))).state_dict() for seed in (1, 2))
    assert not torch.equal(one["net.0.weight"], other["net.0.weight"])


@pytest.mark.parametrize("moment", [1, 39, 40, 41, 97, 159])
def test_a_run_that_dies_at_any_iteration_ends_like_an_undisturbed_one(
    make_config: MakeConfig, interrupted_at: Callable[..., Any], undisturbed: Ended, moment: int
) -> None:
    config = make_config(*SHORT, folder="disturbed")
    with interrupted_at(moment):
        train(config)
    _, record = train(config)
    assert_ends_like(undisturbed, config, record)


def test_a_net_that_draws_random_numbers_goes_on_with_those_of_an_undisturbed_run(
    make_config: MakeConfig, interrupted_at: Callable[..., Any]
) -> None:
    net = ("model=stochastic_depth", "model.net.depth=8", "model.net.last_survival=0.2", "trainer.threads=1")
    short = (*net, "policy=fixed", "bounds.base_lr=0.01", "iterations=30", "trainer.evaluate_every=10")
    _, undisturbed = train(make_config(*short, folder="undisturbed"))
    config = make_config(*short, folder="disturbed")
    with interrupted_at(17):
        train(config)
    torch.rand(3)
    _, record = train(config)
    assert rows_without_seconds(record) == rows_without_seconds(undisturbed)
    assert_same_weights(weights_of(config), weights_of(make_config(*short, folder="undisturbed")))


@pytest.mark.parametrize("step", ["write_evaluations", "write_result"])
def test_a_run_that_dies_around_its_last_writes_ends_like_an_undisturbed_one(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, undisturbed: Ended, step: str
) -> None:
    config = make_config(*SHORT, folder="disturbed")

    def die(self: Record, written: object, **settings: bool) -> None:
        if step == "write_result" or len(written) == 4:  # type: ignore[arg-type]
            raise KeyboardInterrupt

    monkeypatch.setattr(Record, step, die)
    with pytest.raises(KeyboardInterrupt):
        train(config)
    monkeypatch.undo()
    result, record = train(config)
    assert result.status == "finished"
    assert_ends_like(undisturbed, config, record)


@pytest.mark.parametrize("left", [0, 1000], ids=["nothing", "a part"])
def test_a_run_of_whose_checkpoint_a_failure_of_the_power_left_too_little_begins_anew(
    make_config: MakeConfig,
    interrupted_at: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
    undisturbed: Ended,
    left: int,
) -> None:
    config = make_config(*SHORT, folder="disturbed")
    with interrupted_at(97):
        train(config)
    (checkpoint,) = Path(config.paths.outputs).rglob(CHECKPOINT)
    checkpoint.write_bytes(checkpoint.read_bytes()[:left])
    _, record = train(config)
    assert f"{checkpoint} cannot be read: the run begins anew" in capsys.readouterr().out
    assert_ends_like(undisturbed, config, record)


def test_a_ctrl_c_interrupts_where_a_library_has_replaced_the_exit_too(
    make_config: MakeConfig, interrupted_at: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave(code: int) -> None:  # W&B's client does so
        raise SystemExit(code)

    monkeypatch.setattr(sys, "exit", leave)
    with interrupted_at(20):
        train(make_config("iterations=40", "policy.step_size=10"))


def test_kill_9_at_random_moments_and_one_more_command_end_like_an_undisturbed_run(
    make_config: MakeConfig,
) -> None:
    long = ("iterations=900", "policy.step_size=100", "trainer.evaluate_every=25")
    _, undisturbed = train(make_config(*long, folder="undisturbed"))
    config = make_config(*long, folder="disturbed")
    paths = [f"paths.results={config.paths.results}", f"paths.outputs={config.paths.outputs}"]
    command = [sys.executable, "train.py", "tracking.wandb=disabled", *long, *paths]
    rows_at_kill = [_rows_when_killed(command, Path(config.paths.results), rows) for rows in (3, 12)]
    assert all(3 <= rows < 36 for rows in rows_at_kill)
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    record = Record(undisturbed.folder.parents[4] / "disturbed" / "results" / "runs" / "adhoc" / undisturbed.folder.name)
    assert rows_without_seconds(record) == rows_without_seconds(undisturbed)
    assert_same_weights(weights_of(config), weights_of(make_config(*long, folder="undisturbed")))


def _rows_when_killed(command: list[str], results: Path, rows: int) -> int:
    """Start `command`, kill it once its record has `rows` rows, and return how many it had then."""
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True)
    while process.poll() is None:
        for path in results.glob("runs/adhoc/*/evals.csv"):
            if (found := len(list(csv.DictReader(path.open())))) >= rows:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return found
        time.sleep(0.005)
    pytest.fail("the run ended before it was killed")


def test_a_diverging_run_is_recorded_without_an_accuracy(make_config: MakeConfig) -> None:
    result, record = train(make_config("bounds.max_lr=1000", "iterations=400"))
    assert (result.status, result.value) == ("diverged", None)
    assert result.iterations < 400
    assert "loss" in (result.reason or "")
    assert record.result() == result


def test_a_loss_above_the_limit_counts_as_diverged(make_config: MakeConfig) -> None:
    result, _ = train(make_config(*SHORT, "trainer.loss_limit=0.001"))
    assert result.status == "diverged"
    assert result.iterations == 40


def test_a_failing_run_is_recorded_with_its_traceback_and_tried_again_by_the_same_command(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(*SHORT)

    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as broken:
        broken.setattr(Recorder, "on_train_batch_end", fail)
        result, record = train(config)
    assert result.status == "failed"
    assert "out of memory" in (result.reason or "")
    assert "Traceback" in running.RunFolders.of(spec_of(config)).log.read_text()
    assert train(config)[0].status == "finished"
    assert [record.folder.name] == [path.name for path in record.folder.parent.iterdir()]


def test_what_cannot_be_run_leaves_nothing_behind(make_config: MakeConfig, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        train(make_config("data.batch_size=5000"))
    assert not (tmp_path / "one" / "results").exists()


def test_a_budget_that_ends_within_a_cycle_is_warned_about_in_one_line(
    make_config: MakeConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    train(make_config("iterations=100", "policy.step_size=40"))
    warnings = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning")]
    assert warnings == ["warning: triangular2: 100 iterations end within a cycle; the last whole one ends at 80"]


def test_training_with_bfloat16_learns_and_is_another_run(make_config: MakeConfig) -> None:
    result, _ = train(make_config("trainer.precision=bfloat16", "iterations=8 epochs"))
    assert result.status == store.FINISHED
    assert result.value is not None
    assert result.value > 80
    assert result.run_id != spec_of(make_config("iterations=8 epochs")).run_id


@pytest.mark.parametrize("model", ["cifar10_full", "cifar10_quick", "cifar10_full_sigmoid_bn", "linear"])
def test_every_model_trains_on_images_of_another_size(make_config: MakeConfig, model: str) -> None:
    result, _ = train(make_config(f"model={model}", "iterations=3", "trainer.threads=1"))
    assert result.status == store.FINISHED


@pytest.mark.parametrize("optimizer", ["sgd", "nesterov", "adam", "rmsprop", "adagrad", "adadelta"])
def test_every_optimizer_learns_at_the_bounds_that_it_brings(make_config: MakeConfig, optimizer: str) -> None:
    _, record = train(make_config(f"optimizer={optimizer}", "iterations=8 epochs", "policy.step_size=2 epochs"))
    losses = [row.train_loss for row in record.evaluations()]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("has_log", [True, False])
def test_a_full_disk_fails_the_run_by_the_file_that_has_no_room_and_what_to_do(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, has_log: bool
) -> None:
    def full(self: object, path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/tmp/scratch", None, str(path))

    def full_too(path: Path, *_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(running.pl.Trainer, "save_checkpoint", full)
    if not has_log:
        monkeypatch.setattr(running, "write_text", full_too)
    config = make_config(*SHORT)
    result, _ = train(config)
    run = running.RunFolders.of(spec_of(config))
    room = "No space left on device: make room, and the same command goes on"
    log = f"traceback in {run.log}" if has_log else f"no traceback: {run.log}: {room}"
    assert (result.status, result.reason) == ("failed", f"{run.checkpoint}: {room} ({log})")
    assert run.log.exists() == has_log


def test_a_full_disk_at_the_end_of_a_run_is_an_error_of_the_file_that_has_no_room(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = torch.save

    def full(state: object, file: IO[bytes], **settings: object) -> None:
        if "weights" in str(getattr(file, "name", "")):
            raise OSError(errno.ENOSPC, "No space left on device")
        save(state, file, **settings)

    monkeypatch.setattr(torch, "save", full)
    config = make_config("iterations=2")
    with pytest.raises(OSError, match="No space left on device") as caught:
        train(config)
    assert caught.value.filename == str(running.RunFolders.of(spec_of(config)).weights)
