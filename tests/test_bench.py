"""The benchmark: that it is fair, and that it yields every figure. No test asserts a time."""

import hashlib
import io
import json
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch.nn import functional as F
from torch.utils.data import default_collate

from bench import __main__ as command
from bench import images, ours, plain, report, store, suite, torch_way
from bench.figure import Figure, Goal
from bench.sizes import Sizes
from bench.timing import alternate
from clrbench.errors import ClrbenchError
from clrbench.store import records as records_below
from clrbench.training.build import build, make_optimizer

CONF = Path(__file__).parents[1] / "conf"
TINY = Sizes(
    repetitions=1,
    step_block=1,
    loop_block=20,
    task_steps=20,
    callback_steps=20,
    evaluated_images=50,
    stored_runs=(20,),
    short_iterations=40,
    quick_scale=0.02,
    sweeps=1,
    swept_runs=2,
    swept_iterations=40,
    long_sweep=4,
)
DIFFERENCES = ("loop, overhead", "loop, tracker", "transformer, task over Trainer.fit", "CyclicLR's own cost")


@pytest.fixture(scope="module")
def figures():
    threads = torch.get_num_threads()
    # Where other tests run at the same time, threads that wait for each other take minutes.
    torch.set_num_threads(1)
    yield suite.measure(CONF, TINY)
    torch.set_num_threads(threads)


def test_the_plain_way_computes_the_same_loss_and_gradients_as_ours(tmp_path):
    random = images.random_images(100, side=32)
    path = images.save(random, tmp_path)
    module = build(ours.spec_of(ours.configure(CONF, path, 1, "model=cifar10_full")))
    for parameter in module.parameters():
        # Caffe's initial weights give scores near 0, and with them any net's loss is log 10.
        torch.nn.init.normal_(parameter, std=0.05)
    classifier = plain.PlainClassifier(torch_way.plain_net())
    classifier.net.load_state_dict(module.net.state_dict())

    loss = module.training_step((torch.from_numpy(random.pixels), torch.from_numpy(random.labels)), 0)
    centred, labels = default_collate(list(plain.PILImages(random)))
    plain_loss = F.cross_entropy(classifier(centred), labels)

    assert loss.item() > 5
    torch.testing.assert_close(plain_loss, loss, rtol=1e-4, atol=0)
    loss.backward()
    plain_loss.backward()
    for name, parameter in module.net.named_parameters():
        gradient = classifier.get_parameter(f"net.{name}").grad
        torch.testing.assert_close(gradient, parameter.grad, rtol=1e-3, atol=1e-4 * parameter.grad.abs().max().item())


def test_the_plain_way_has_the_same_groups_of_parameters_as_ours(tmp_path):
    path = images.save(images.random_images(100, side=32), tmp_path)
    spec = ours.spec_of(ours.configure(CONF, path, 1, "model=cifar10_full"))
    module = build(spec)
    classifier = plain.PlainClassifier(torch_way.plain_net())
    plain_groups = classifier.configure_optimizers()["optimizer"].param_groups
    groups = make_optimizer(spec, module.net).param_groups

    assert len(plain_groups) == len(groups)
    for plain_group, group in zip(plain_groups, groups, strict=True):
        assert [parameter.shape for parameter in plain_group["params"]] == [parameter.shape for parameter in group["params"]]
        assert plain_group["weight_decay"] == group["weight_decay"]
        assert plain_group["momentum"] == group["momentum"]
        assert plain_group["lr"] == pytest.approx(float(spec.schedule(0)) * group["lr_mult"])


def test_every_figure_is_measured(figures):
    assert [figure.name for figure in figures] == [
        "step, plain way",
        "step, float32",
        "plain way / float32",
        "step, pair, float32, each",
        "step, pair, float32, together",
        "plain way / pair, float32",
        "step, bfloat16",
        "plain way / bfloat16",
        "step, pair, bfloat16, each",
        "step, pair, bfloat16, together",
        "plain way / pair, bfloat16",
        "loop, bare torch loop",
        "loop, full path",
        "loop, full path without tracker",
        "loop, overhead",
        "loop, tracker",
        "transformer, Trainer.fit",
        "transformer, task",
        "transformer, task over Trainer.fit",
        "optimizer without CyclicLR",
        "optimizer with CyclicLR",
        "CyclicLR's own cost",
        "evaluation of 50 images",
        "command to first step",
        "further run of a process, beyond its training",
        "sweep of experiment=quick, until its table",
        "sweep, one run after another with two threads",
        "sweep, a one-thread worker a core",
        "runs an hour, workers / in turn",
        "sweep of 4 runs / its training and evaluations, shared by the workers",
        "planning 20 runs",
        "resuming 20 finished runs",
        "summarizing 20 runs",
        "reporting 20 runs",
    ]


def test_figures_are_positive_up_to_differences(figures):
    assert all(value > 0 for figure in figures if figure.name not in DIFFERENCES for value in figure.values)


def test_the_table_has_a_row_for_every_figure(figures):
    console = Console(width=200, file=io.StringIO())
    console.print(report.table(figures))
    lines = console.file.getvalue().splitlines()
    for figure in figures:
        assert [line for line in lines if line.strip().startswith(f"{figure.name} ") and f"{figure.median:.2f}" in line]


def test_the_record_tells_machine_versions_command_and_repetitions(figures, tmp_path):
    report.write(tmp_path / "step.json", figures, TINY, "make bench", 0.1, {"keras": "3"})
    record = json.loads((tmp_path / "step.json").read_text())
    assert record["command"] == "make bench"
    assert "cores" in record["host"]
    assert "torch" in record["versions"]
    assert record["versions"]["keras"] == "3"
    assert [len(figure["values"]) for figure in record["figures"]] == [len(figure.values) for figure in figures]


def test_contestants_take_turns():
    order = []
    found = alternate("turns", {name: lambda name=name: order.append(name) or 1.0 for name in "ab"}, 3)
    assert order == ["a", "b"] * 3
    assert found == {"a": [1.0] * 3, "b": [1.0] * 3}


def test_a_goal_is_judged_by_the_median():
    values = [1.0, 1.7, 9.0]
    assert Figure("ratio", "times", values, Goal(1.6, is_minimum=True)).met is True
    assert Figure("cost", "ms", values, Goal(1.6, is_minimum=False)).met is False
    assert Figure("other", "ms", values).met is None


def test_a_store_to_be_timed_reads_like_one_that_a_sweep_has_left(tmp_path):
    made = store.Store.make(CONF, tmp_path, 40)
    records = list(records_below(tmp_path / "results" / "runs" / "adhoc"))
    assert len({record.folder for record in records}) == 40
    for record in records:
        config, result = record.config(), record.result()
        digest = hashlib.sha256(json.dumps(config["identity"], sort_keys=True).encode()).hexdigest()
        assert config["run_id"] == result.run_id == digest[:10]
        assert config["seed"] == config["identity"]["seed"] == result.seed
        assert record.evaluations()[-1].iteration == result.iterations
    made.seconds_of_sweep("hydra.sweeper.plan_only=true")
    made.seconds_of_sweep()
    assert not (tmp_path / "outputs" / "runs").exists()


def test_a_sweep_to_be_timed_that_goes_wrong_is_no_figure(tmp_path):
    made = store.Store.make(CONF, tmp_path, 20)
    with pytest.raises(ClrbenchError, match="went wrong"):
        made.seconds_of_sweep("bounds.base_lr=nothing")


@pytest.mark.parametrize(("arguments", "measured"), [([], ["step", "peers"]), (["step"], ["step"])])
def test_the_command_measures_both_parts_unless_told_one_and_keeps_to_outputs(arguments, measured, monkeypatch):
    records = {}
    monkeypatch.setattr(command, "_measure", lambda part, record: records.update({part: record}))
    monkeypatch.setattr("sys.argv", ["bench", *arguments])
    command.main()
    assert records == {part: Path("outputs/bench") / f"{part}.json" for part in measured}


def test_a_number_of_threads_from_outside_is_refused(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr("sys.argv", ["bench", "step"])
    with pytest.raises(SystemExit, match="error: OMP_NUM_THREADS=1 takes threads away from what is measured: unset it"):
        command.main()


def test_at_80_columns_the_names_of_figures_stay_whole_and_what_has_no_room_is_told() -> None:
    name = "clrbench, pair, float32 / matrix product, pair, float32"
    console = Console(width=80)
    with console.capture() as capture:
        console.print(report.table([Figure(name, "ms", [1012.5, 1013.0], Goal(10, is_minimum=False))], console.width))
    shown = capture.get()
    assert name in shown
    assert "1012.75" in shown
    assert "no room for: spread" in " ".join(shown.split())
