"""Runs of several budgets that begin alike, trained once."""

from collections.abc import Callable

import pytest
import torch
from specs import resolved
from test_averages import SHORT, trained

from clrbench.config import Config
from clrbench.data.load import load
from clrbench.spec import RunSpec, resolve
from clrbench.sweep.branches import branched, parting, saved
from clrbench.sweep.cells import Cell
from clrbench.sweep.job import Job
from clrbench.training import run as running
from clrbench.training.console import Console

MakeConfig = Callable[..., Config]
WSD = ("policy=wsd", "policy.warmup=10")


def budget(iterations: int, *overrides: str) -> RunSpec:
    return resolved(f"iterations={iterations}", "trainer.evaluate_every=10", *overrides)


def cells_of(*specs: RunSpec) -> list[Cell]:
    """Cells whose working folders are called after their runs."""
    return branched(
        [
            Cell((), None, work=f"{spec.label}-{spec.iterations}", job=Job(spec.config, (), spec.run_id))  # type: ignore[arg-type]
            for spec in specs
        ],
        specs,
    )


@pytest.mark.parametrize(
    ("overrides", "point"),
    [
        (WSD, 160),  # the cooldown of 200 iterations begins at 160
        ((*WSD, "policy.cooldown=0.33"), 130),  # at 134: the last evaluation before
        (("policy=multiplicative", "policy.first_cycle=10"), 190),
        (("policy=triangular", "policy.step_size=50"), 190),
        (("policy=linear",), None),
        (("policy=cosine",), None),
    ],
)
def test_a_shorter_run_parts_from_a_longer_one_at_the_last_evaluation_that_both_have(
    overrides: tuple[str, ...], point: int | None
) -> None:
    assert parting(budget(1000, *overrides), budget(200, *overrides)) == point


def test_each_shorter_run_waits_for_the_longest_that_begins_like_it() -> None:
    short, middle, longest = cells = cells_of(*(budget(iterations, *WSD) for iterations in (200, 400, 1000)))
    assert [cell.trunk for cell in cells] == [longest.work, longest.work, None]
    assert longest.job is not None
    assert sorted(longest.job.branches) == [(160, short.work), (320, middle.work)]
    assert saved(cells) == "2 runs go on from checkpoints of longer ones that begin alike: 480 iterations fewer"


def test_runs_that_differ_in_more_than_the_budget_share_nothing() -> None:
    others = (budget(1000, *WSD, "seed=2"), budget(1000, *WSD, "model=linear"), budget(1000, "policy=linear"))
    for other in others:
        cells = cells_of(budget(200, *WSD), other)
        assert [cell.trunk for cell in cells] == [None, None]
        assert saved(cells) is None


@pytest.mark.parametrize(
    "overrides",
    [("policy=wsd", "policy.warmup=5"), ("policy=multiplicative", "policy.first_cycle=10", "averages=[ensemble,ema]")],
)
def test_a_branched_run_equals_a_separate_one_to_the_last_bit(
    make_config: MakeConfig, one_thread: None, capsys: pytest.CaptureFixture[str], overrides: tuple[str, ...]
) -> None:
    chosen = tuple(text for text in SHORT if not text.startswith("policy.")) + overrides

    def of(iterations: int, folder: str) -> Config:
        return make_config(*chosen, f"iterations={iterations}", folder=folder)

    long, short = of(70, "branched"), of(30, "branched")
    specs = [resolve(config, load(config.data, config.paths, print)) for config in (long, short)]
    point = parting(*specs)
    assert point == 20
    running.train(long, Console(silent=True), branches=[(point, str(running.RunFolders.of(specs[1]).work))])
    running.train(short, Console())
    assert "goes on from iteration 20 of 30" in capsys.readouterr().out
    record, weights = trained(short)
    separate, same = trained(of(30, "separate"))
    assert [(row.iteration, row.train_loss, row.metrics) for row in record.evaluations()] == [
        (row.iteration, row.train_loss, row.metrics) for row in separate.evaluations()
    ]
    assert all(torch.equal(weights[name], same[name]) for name in weights)
