"""Where a run computes: several processes that share every batch, GPUs, precisions, compiled nets."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from conftest import ROOT
from pytorch_lightning.strategies import DDPStrategy

from clrbench import store
from clrbench.config import Config
from clrbench.data.batches import BatchStream, ImageTensors, Order, Share
from clrbench.data.load import load
from clrbench.errors import ConfigError
from clrbench.spec import RunSpec, resolve
from clrbench.store import Record, Result
from clrbench.training import devices, processes
from clrbench.training import run as running
from clrbench.training.build import build
from clrbench.training.console import Console
from clrbench.training.module import Classifier
from clrbench.training.recorder import CHECK_EVERY, Recorder
from hydra_plugins.clrbench_cells import _slurm as slurm

MakeConfig = Callable[..., Config]
SHORT = ("iterations=80", "policy.step_size=20", "trainer.evaluate_every=20")
TWO = ("trainer=ddp", "trainer.accelerator=cpu")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA GPU on this machine")


def train(config: Config) -> tuple[Result, Record]:
    return running.train(config, Console(silent=True))


def spec_of(config: Config) -> RunSpec:
    return resolve(config, load(config.data, config.paths, print))


def assert_alike(record: Record, other: Record) -> None:
    rows, others = record.evaluations(), other.evaluations()
    assert [(row.iteration, row.lr) for row in rows] == [(row.iteration, row.lr) for row in others]
    for row, its_like in zip(rows, others, strict=True):
        assert row.train_loss == pytest.approx(its_like.train_loss, rel=1e-4)
        assert row.metrics["test_loss"] == pytest.approx(its_like.metrics["test_loss"], rel=1e-4)
        assert row.metrics["test_accuracy"] == pytest.approx(
            its_like.metrics["test_accuracy"], abs=0.3
        )  # a single image of 355


# Several processes


def test_two_processes_make_the_record_of_one(make_config: MakeConfig) -> None:
    augmented = (*SHORT, "data.augment=crop_flip")
    _, alone = train(make_config(*augmented, folder="alone"))
    result, together = train(make_config(*augmented, *TWO, folder="together"))
    assert (result.status, result.iterations, result.device) == (store.FINISHED, 80, "2 x cpu")
    assert together.folder.name == alone.folder.name
    assert_alike(together, alone)


def test_two_processes_go_on_where_one_was_interrupted(make_config: MakeConfig, interrupted_at: Callable[..., Any]) -> None:
    _, undisturbed = train(make_config(*SHORT, folder="undisturbed"))
    config = make_config(*SHORT, folder="disturbed")
    with interrupted_at(50):
        train(config)
    before = Record(running.RunFolders.of(spec_of(config)).record.folder).evaluations()
    result, record = train(make_config(*SHORT, *TWO, folder="disturbed"))
    assert result.status == store.FINISHED
    assert record.evaluations()[: len(before)] == before
    assert_alike(record, undisturbed)


def test_what_goes_wrong_in_one_of_several_processes_is_recorded_in_one_line(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests"), prepend=":")
    monkeypatch.syspath_prepend(ROOT / "tests")
    result, _ = train(make_config(*SHORT, *TWO, "model.net={_target_: faulty_nets.Failing}"))
    assert result.status == store.FAILED
    assert "the net is broken" in (result.reason or "")


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_the_shares_of_all_processes_are_the_batches_of_one(processes: int) -> None:
    images = ImageTensors(torch.arange(40, dtype=torch.uint8).reshape(-1, 1, 1, 1), torch.arange(40))
    indices = torch.arange(40).numpy()

    def batches(share: Share) -> Iterator[torch.Tensor]:
        return (labels for _, labels in BatchStream(images, Order(indices, 8, seed=1, share=share)))

    shares = [batches(Share(rank, processes)) for rank in range(processes)]
    for whole, *parts, _ in zip(batches(Share()), *shares, range(7), strict=False):
        assert torch.equal(torch.cat(parts), whole)


def test_the_run_id_does_not_depend_on_devices_or_machines(make_config: MakeConfig) -> None:
    one, several = spec_of(make_config()), spec_of(make_config("trainer=ddp", "trainer.devices=4", "trainer.nodes=2"))
    assert one.run_id == several.run_id


def test_a_batch_that_the_processes_cannot_share_is_refused(make_config: MakeConfig) -> None:
    with pytest.raises(ConfigError, match=r"data\.batch_size=32 cannot be shared by 3 processes"):
        make_config(*TWO, "trainer.devices=3")


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        (["model=cifar10_full_sigmoid_bn"], "Caffe's way"),
        (["model=linear", "model.net._target_=test_devices.Normalised"], "GPUs alone"),
    ],
)
def test_a_net_whose_normalisation_the_processes_cannot_share_is_refused(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, choices: list[str], words: str
) -> None:
    monkeypatch.syspath_prepend(ROOT / "tests")
    with pytest.raises(ConfigError, match=words):
        build(spec_of(make_config(*TWO, *choices)))


class Normalised(torch.nn.Sequential):
    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__(torch.nn.BatchNorm2d(shape[0]), torch.nn.Flatten(), torch.nn.Linear(shape[1] * shape[2], classes))


@pytest.mark.parametrize(("model", "expected"), [("stochastic_depth", True), ("resnet", False)])
def test_processes_look_for_parameters_without_a_gradient_only_where_a_net_leaves_some_out(
    make_config: MakeConfig, model: str, expected: bool
) -> None:
    config = make_config(f"model={model}", "model.net.depth=8")
    chosen = devices.strategy(make_config("trainer=ddp").trainer, build(spec_of(config)).net)
    assert isinstance(chosen, DDPStrategy)
    assert chosen._ddp_kwargs["find_unused_parameters"] is expected


def test_several_machines_without_a_job_of_as_many_are_refused(make_config: MakeConfig) -> None:
    with pytest.raises(ConfigError, match=r"trainer\.nodes=2 needs a Slurm job"):
        processes.start(make_config(*TWO, "trainer.nodes=2").trainer, print)


def test_a_task_on_several_machines_returns_what_the_first_returned() -> None:
    returned = slurm.JobReturn()
    job = SimpleNamespace(
        paths=SimpleNamespace(result_pickle=SimpleNamespace(exists=lambda: True)), results=lambda: [returned, slurm.JobReturn()]
    )
    assert slurm._returned(job) is returned


# GPUs


def test_a_gpu_that_is_not_there_is_told_in_one_line(make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ConfigError, match=r"trainer\.accelerator=gpu: torch sees 0 CUDA GPUs on this machine, 1 are asked for"):
        train(make_config("trainer=gpu"))


def test_float16_without_a_gpu_is_refused(make_config: MakeConfig) -> None:
    with pytest.raises(ConfigError, match="float16 needs a GPU"):
        make_config("trainer.precision=float16")


@pytest.mark.parametrize("augment", ["none", "crop_flip"])
def test_a_step_on_a_device_never_waits_for_a_value_from_it(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, augment: str
) -> None:
    # The device `meta` has shapes and no values: whoever asks it for one gets an error.
    place = devices.ComputePlace(torch.device("meta"), Share())
    monkeypatch.setattr(devices.ComputePlace, "of", classmethod(lambda cls, trainer: place))
    spec = spec_of(make_config("model=cifar10_full", f"data.augment={augment}"))
    module = build(spec).to("meta")
    trainer = SimpleNamespace(global_step=0, should_stop=False)
    monkeypatch.setattr(type(module), "trainer", trainer)
    optimizer = module.configure_optimizers()
    recorder = Recorder(
        [], 40, lambda iteration: 0.1, lambda: (0.0, 0.0), lambda rows, *, flush: None, ROOT / "never", loss_limit=1
    )
    recorder.on_train_start(trainer, module)  # type: ignore[arg-type]
    for batch, _ in zip(running.stream(spec, 0), range(CHECK_EVERY), strict=False):
        loss = module.training_step(batch, 0)
        loss.backward()
        optimizer.step()
        recorder.on_train_batch_end(trainer, module, {"loss": loss.detach()}, batch, 0)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError):
        loss.item()


@needs_gpu
def test_a_gpu_makes_the_record_of_a_processor(make_config: MakeConfig) -> None:
    augmented = (*SHORT, "data.augment=crop_flip")
    _, processor = train(make_config(*augmented, folder="processor"))
    result, gpu = train(make_config(*augmented, "trainer=gpu", folder="gpu"))
    assert (result.status, result.device) == (store.FINISHED, torch.cuda.get_device_name(0))
    assert gpu.folder.name == processor.folder.name
    assert_alike(gpu, processor)


@needs_gpu
def test_an_interrupted_run_goes_on_on_a_gpu(make_config: MakeConfig, interrupted_at: Callable[..., Any]) -> None:
    _, undisturbed = train(make_config(*SHORT, "trainer=gpu", folder="undisturbed"))
    config = make_config(*SHORT, "trainer=gpu", folder="disturbed")
    with interrupted_at(50):
        train(config)
    result, record = train(config)
    assert result.status == store.FINISHED
    assert_alike(record, undisturbed)


@needs_gpu
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_no_step_on_a_gpu_waits_for_it(make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, precision: str) -> None:
    # From behind the first evaluation, at iteration 20, until shortly before the next: torch raises where a step would wait.
    training_step, steps = Classifier.training_step, []

    def watched(self: Classifier, batch: Any, batch_idx: int) -> torch.Tensor:
        steps.append(self.trainer.global_step)
        torch.cuda.set_sync_debug_mode("error" if 22 <= steps[-1] < 38 else "default")
        return training_step(self, batch, batch_idx)

    monkeypatch.setattr(Classifier, "training_step", watched)
    choices = ("model=cifar10_full", "data.augment=crop_flip", "trainer=gpu", f"trainer.precision={precision}")
    result, _ = train(make_config(*SHORT, *choices))
    torch.cuda.set_sync_debug_mode("default")
    assert result.status == store.FINISHED, result.reason
    assert steps == list(range(80))


@needs_gpu
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_mixed_precision_on_a_gpu_ends_near_float32(make_config: MakeConfig, precision: str) -> None:
    plain, _ = train(make_config(*SHORT, "trainer=gpu", folder="plain"))
    mixed, _ = train(make_config(*SHORT, "trainer=gpu", f"trainer.precision={precision}", folder="mixed"))
    assert mixed.status == store.FINISHED
    assert mixed.run_id != plain.run_id
    assert mixed.value == pytest.approx(plain.value, abs=3)


# Compiled nets


def test_a_compiled_net_is_another_run_with_nearly_the_same_numbers(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_COMPILE_THREADS", "1")  # processes that compile beside it import torch first
    _, plain = train(make_config(*SHORT, folder="plain"))
    config = make_config(*SHORT, "trainer.compile=true", folder="compiled")
    result, compiled = train(config)
    assert result.status == store.FINISHED
    assert result.run_id != plain.folder.name[-10:]
    assert_alike(compiled, plain)
    weights = torch.load(running.RunFolders.of(spec_of(config)).weights, weights_only=True)
    assert build(spec_of(config)).load_state_dict(weights)
