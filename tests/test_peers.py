"""The benchmark's peers: that they compute what the suite computes, and that the figures are those of what was measured."""

import json
import math
import re
import subprocess
import sys
import tomllib
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from conftest import ROOT
from torch.nn import functional as F

from bench import clock, tables
from bench.arithmetic import multiply_adds
from bench.peers import process, suite
from bench.peers.contestants import OURS, PEERS, PRODUCT, Contestant
from bench.peers.job import BFLOAT16, LINEAR, Centred, Evaluated, Outcome, triangular2
from bench.sizes import Sizes
from clrbench import schedules
from clrbench.models import Cifar10Full, Linear
from clrbench.optim import CaffeSGD, parameter_groups

CONF = ROOT / "conf"
TINY = Sizes(peer_repetitions=3, step_block=4, evaluated_images=30, peer_images=100, peer_loop_block=1, product_block=1)
ABSENT = Contestant("a peer", "nowhere", ("no-such-package",))
FAULTY = Contestant("a peer", "nowhere")
# A net in the hands of a peer: its loss with the weights that it is given, and again after training from them.
LOSSES = """
import importlib, json, sys
import numpy as np
from bench.clock import Clock
from bench.peers.job import Job

job = Job(**json.loads(sys.argv[2]))
net = importlib.import_module(f"bench.peers.{sys.argv[1]}").enter(job)
net.load(dict(np.load(job.weights)))
before = net.evaluate()
net.train(Clock(lambda: None))
print(json.dumps([net.parameters, before, net.evaluate()]))
"""


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """Training on one batch over and over, whose order is one whatever shuffles it."""
    made = suite.prepare(CONF, tmp_path_factory.mktemp("peers"), TINY)
    with np.load(made.weights) as drawn:
        # Smaller than for an evaluation: from those, a training would diverge.
        np.savez(made.weights, **{name: 0.4 * array for name, array in drawn.items()})
    return replace(made, threads=1)


@pytest.fixture(scope="module")
def losses(job):
    """The suite's net and rule, before and after."""
    (train, test), net = Centred.read(job), Cifar10Full((3, 32, 32), 10)
    with np.load(job.weights) as weights:
        net.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    images, labels, tested, expected = (torch.from_numpy(array) for part in (train, test) for array in vars(part).values())
    before = F.cross_entropy(net(tested.permute(0, 3, 1, 2)), expected).item()
    optimizer = CaffeSGD(parameter_groups(net, 0.004, net.multipliers))
    for iteration in range(job.steps):
        for group in optimizer.param_groups:
            group["lr"] = group["lr_mult"] * float(schedules.triangular2(iteration, 0.001, 0.006, 2000))
        optimizer.zero_grad()
        F.cross_entropy(net(images.permute(0, 3, 1, 2)), labels).backward()
        optimizer.step()
    return before, F.cross_entropy(net(tested.permute(0, 3, 1, 2)), expected).item()


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_peer_trains_the_same_net_in_the_same_way(peer, job, losses):
    if peer.missing:
        pytest.skip(f"{' and '.join(peer.missing)} not installed: `make bench` installs it")
    command = [sys.executable, "-c", LOSSES, peer.module, json.dumps(asdict(job))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=process.environment(peer, job))
    assert done.returncode == 0, done.stderr
    parameters, *theirs = json.loads(done.stdout.splitlines()[-1])
    assert parameters == 89_578
    assert theirs == [pytest.approx(losses[0], rel=1e-5), pytest.approx(losses[1], rel=1e-3)]
    assert losses[1] != pytest.approx(losses[0], rel=0.05)


def test_the_bare_loop_and_keras_start_without_what_only_others_need():
    for module, foreign in (("bare", ("pytorch_lightning", "torchvision", "hydra", "scipy")), ("job", ("torch", "polars"))):
        code = f"import sys, bench.peers.{module}; print(*sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT / "scripts")
        assert not set(foreign) & set(done.stdout.split())


def test_the_suite_itself_is_measured_on_that_net(job):
    found = suite.evaluated(OURS, job)
    assert found.parameters == 89_578
    assert math.isfinite(found.loss)


def test_the_peers_that_have_no_cyclical_policy_follow_the_suites():
    iterations = [0, 1, 1999, 2000, 3999, 4000, 6000, 7999, 12345]
    assert [triangular2(iteration) for iteration in iterations] == pytest.approx(
        schedules.triangular2(iterations, 0.001, 0.006, 2000).tolist()
    )


def test_processes_side_by_side_are_measured_together(job):
    one, other = process.measure(PRODUCT, replace(job, block=1, weights=None), copies=2)
    assert one.step_ms > 0
    assert other.step_ms > 0
    assert one.start_s > 0
    assert one.memory_mib > 10


@pytest.mark.parametrize(
    ("peer", "why"), [(ABSENT, "no-such-package not installed"), (FAULTY, "ModuleNotFoundError")], ids=["absent", "faulty"]
)
def test_a_peer_that_cannot_be_had_is_left_out_with_a_reason(peer, why, job):
    said = []
    assert not suite.takes_part(peer, job, Evaluated(89_578, 3.0, 1.0), said.append)
    (line,) = said
    assert line.startswith("a peer is left out: ")
    assert why in line


def test_a_peer_with_another_net_is_left_out(job, monkeypatch):
    said = []
    monkeypatch.setattr(suite, "evaluated", lambda *_: Evaluated(89_578, 3.1, 1.0))
    assert suite.takes_part(FAULTY, job, Evaluated(89_578, 3.1, 1.0), said.append)
    assert not suite.takes_part(FAULTY, job, Evaluated(89_578, 3.0, 1.0), said.append)
    assert not suite.takes_part(FAULTY, job, Evaluated(89_579, 3.1, 1.0), said.append)
    assert len(said) == 2


def test_a_clock_leaves_the_first_block_and_the_last_out(monkeypatch):
    times, waits = iter([10.0, 11.0, 12.0, 14.0, 16.0, 18.0, 20.0, 22.0, 99.0, 999.0]), []
    monkeypatch.setattr(clock.time, "perf_counter", lambda: next(times))
    ticking = clock.Clock(lambda: waits.append(1))
    for _ in range(10):
        ticking.tick()
    assert ticking.ms_per_step() == pytest.approx(1000 * (22 - 11) / 6)
    assert waits == [1]


def test_the_arithmetic_of_a_step_is_counted_exactly():
    layers = [32 * 32 * 32 * 75, 16 * 16 * 32 * 800, 8 * 8 * 64 * 800, 1024 * 10]
    # Forward, for the weights, and for the input, which the images themselves do not need.
    assert multiply_adds(Cifar10Full((3, 32, 32), 10), (3, 32, 32)) == 100 * (3 * sum(layers) - layers[0])
    assert multiply_adds(Linear((3, 8, 8), 10), (3, 8, 8)) == 100 * 2 * 192 * 10


@pytest.fixture
def figures(monkeypatch):
    """The figures of made-up steps; all are slower in every round, which no ratio shows."""
    names, rounds = [it.name for it in (OURS, *PEERS, PRODUCT)], {}
    ms = dict(zip(names, [20.0, 50.0, 22.0, 60.0, 80.0, 30.0, 70.0, 100.0], strict=True))

    def measured(contestant, job, copies):
        number = rounds[contestant.name, job, copies] = rounds.get((contestant.name, job, copies), 0) + 1
        step = number * ms[contestant.name] / (2 if job.precision == BFLOAT16 else 1)
        return [Outcome(2.0, step, 500.0, Evaluated(89_578, 3.0, 1.5) if job.weights else None)] * copies

    monkeypatch.setattr(process, "measure", measured)
    monkeypatch.setattr(suite, "evaluated", lambda *_: Evaluated(89_578, 3.0, 1.5))
    monkeypatch.setattr(Contestant, "missing", [])
    return {figure.name: figure for figure in suite.measure(CONF, TINY, print)}


def test_every_contestant_has_its_figures(figures):
    for it in (OURS, *PEERS):
        for what in (*it.precisions, LINEAR):
            assert f"step, {it.name}, {what}" in figures
        assert figures[f"start to first step, {it.name}"].values == [2.0] * 3
        assert figures[f"peak memory, {it.name}"].values == [500.0] * 3
        assert figures[f"evaluation of 30 images, {it.name}"].values == [1.5] * 3


def test_a_ratio_compares_within_a_round(figures):
    assert figures["best peer (Keras on TensorFlow) / clrbench, float32"].values == [1.5] * 3
    assert figures["best peer (Keras on TensorFlow) / clrbench, bfloat16"].met is False
    assert figures["stock Lightning, float32 / clrbench"].values == [3.0] * 3
    assert figures["clrbench over bare torch loop, linear"].values == [-30.0, -60.0, -90.0]


def test_two_processes_count_as_the_steps_of_both(figures):
    assert figures["step, clrbench, pair, float32"].values == [10.0, 20.0, 30.0]
    speed = 2 * 2048**3 / 0.05 / 1e9
    assert figures["matrix product, pair, float32"].values == pytest.approx([speed, speed / 2, speed / 3])


def test_the_step_is_held_against_the_peak_of_float32(figures):
    steps, product = 2 * 3_443_712_000 / 0.010, 2 * 2048**3 / 0.050
    share = figures["clrbench, pair, float32 / matrix product, pair, float32"]
    assert share.values == pytest.approx([steps / product] * 3)
    assert str(share.goal) == "at least 0.75"
    twice = figures["clrbench, pair, bfloat16 / matrix product, pair, float32"]
    assert twice.values == pytest.approx([2 * steps / product] * 3)
    assert str(twice.goal) == "at least 1"


def test_the_tables_hold_every_figure_once(figures, tmp_path):
    for name in ("README.md", "docs/speed.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("before\n{}\nold\n{}\nbehind\n".format(*tables.MARKS))
    (tmp_path / tables.STEP).parent.mkdir(parents=True)
    (tmp_path / tables.STEP).write_text((ROOT / tables.STEP).read_text())
    shown = [replace(figure, name=figure.name.replace("30 images", "10,000 images")) for figure in figures.values()]
    record = {"command": "make bench", "host": "a laptop", "figures": [figure.as_json() for figure in shown]}
    (tmp_path / tables.PEER).write_text(json.dumps(record))

    short, full = tables.documents(tmp_path).values()
    assert "| images a second, float32 | 2,500 | 1,000 | 2,273 | 833 | 625 | 1,667 | 714 |" in short
    assert "| images a second, bfloat16 | 5,000 | 2,000 | 4,545 | 1,667 | 1,250 | 3,333 |  |" in short
    assert "| the loop alone, ms a step | 40.00 | 100.00 |" in short
    assert "on a laptop, measured by `make bench`." in short
    assert "| clrbench | 40.0 | 20.0 | 20.0 | 10.0 | 40.00 | 2.0 | 500 | 1.50 |" in full
    assert "| stock Lightning, float32 / clrbench | 3.00 | 3.00 - 3.00 | times | at least 1.9 | yes |" in full
    assert full.startswith("before\n")
    assert full.endswith("behind\n")
    assert "old" not in full


@pytest.mark.parametrize("name", ["README.md", "docs/speed.md"])
def test_a_document_shows_what_the_records_make(name):
    assert (ROOT / name).read_text(encoding="utf-8") == tables.documents(ROOT)[ROOT / name], "`make ship` makes it anew"


def test_make_bench_installs_pinned_what_the_peers_need():
    packages = {package for peer in PEERS for package in peer.packages}
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["bench"]
    assert {re.split(r"\W*[<>=]", requirement)[0] for requirement in extra} == packages
    assert set(re.search(r"for peer in (.*); do", (ROOT / "Makefile").read_text())[1].split()) == packages
    pinned = {line.split("==")[0].replace("_", "-") for line in (ROOT / "requirements-bench.lock").read_text().splitlines()}
    assert packages <= pinned
    for_all = {line.split("==")[0].replace("_", "-") for line in (ROOT / "requirements.lock").read_text().splitlines()}
    assert not {name for name in pinned & for_all if not name.startswith("#")}
