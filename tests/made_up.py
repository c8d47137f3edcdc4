"""Stores whose analysis is known beforehand, and images in folders."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from conftest import RESULT
from PIL import Image

from clrbench.identity import public
from clrbench.store import DIVERGED, FINISHED, Evaluation, Record

FIXED = {"_target_": "clrbench.schedules.fixed", "base_lr": 0.001}
CYCLES = {"_target_": "clrbench.schedules.triangular", "base_lr": 0.001, "max_lr": 0.006, "step_size": 100}
DROPS = {"_target_": "clrbench.schedules.step", "base_lr": 0.001, "drops": [600], "factor": 0.1}
BASE = (80.0, 80.4, 79.8, 80.1, 80.3)
NASTY = "<script>alert(1)</script>&\"'"
ENDS = (81.0, 81.2, 80.8, 81.1, 80.9)
HIGHER = tuple(end + 1.4 + at / 100 for at, end in enumerate(ENDS))
# The folder of conf/arm that an experiment takes its arms from.
ARMS = {
    **{name: name for name in ("controls", "imagenet_alexnet", "rivals", "sigmoid_bn", "table1", "table3")},
    **{"table1_fifth": "table1", "table4_cifar10": "table4"},
}
SETTING = {
    "data": {"name": "cifar10", "split": "paper", "order": "fixed", "batch_size": 100},
    "model": {"name": "cifar10_full"},
    "optimizer": {"name": "caffe_sgd"},
    "trainer": {"precision": "float32"},
    "bounds": {"base_lr": 0.001, "max_lr": 0.006},
}


def write_run(
    results: Path,
    policy: str,
    seed: int,
    accuracy: float | None,
    *,
    source: str = "evidence",
    experiment: str = "table1",
    schedule: Mapping[str, Any] = FIXED,
    iterations: int = 400,
    curve: Sequence[float] = (),
    config: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Record:
    """A run that ended with `accuracy`, None for one that diverged.

    curve: the accuracies before the end, at equal distances; config: what differs from SETTING, by section.
    """
    accuracies = [*curve, *([] if accuracy is None else [accuracy])]
    every = iterations // max(1, len(accuracies))
    rows = [
        Evaluation(
            iterations if at == len(accuracies) else every * at,
            at,
            0.001,
            1.0,
            {"test_loss": 1.0, "test_accuracy": value},
            float(at),
        )
        for at, value in enumerate(accuracies, 1)
    ]
    settings = {name: {**section, **(config or {}).get(name, {})} for name, section in SETTING.items()}
    extra = {name: value for name, value in (config or {}).items() if name not in settings}
    identity = {
        "data": {"sha256": settings["data"]["name"]},
        "policy": public(dict(schedule)),
        "iterations": iterations,
        "seed": seed,
        "precision": settings["trainer"]["precision"],
        **{name: value for name, value in extra.items() if name != "overrides"},  # how it was typed decides no number
    }
    arm = f"{ARMS[experiment]}/{policy}" if experiment in ARMS else None
    name = f"{policy}-{iterations}-s{seed}-{len(list(results.glob('*/*/*'))):010x}"
    record = Record(results / source / experiment / name)
    record.write_config(
        yaml.safe_dump(
            {
                "schema": 2,
                "arm": arm,
                **settings,
                **extra,
                "seed": seed,
                "policy": {"name": policy, **schedule},
                "identity": identity,
            }
        )
    )
    record.write_evaluations(rows)
    result = dataclasses.replace(
        RESULT,
        name=name,
        experiment=experiment,
        data=settings["data"]["name"],
        model=settings["model"]["name"],
        policy=policy,
        seed=seed,
        status=DIVERGED if accuracy is None else FINISHED,
        reason="loss" if accuracy is None else None,
        iterations=iterations,
        value=accuracy,
        arm=arm,
    )
    record.write_result(dataclasses.replace(result, **changes))
    return record


def write_arm(results: Path, policy: str, accuracies: Sequence[float | None], **settings: Any) -> None:
    """Runs with the seeds 1, 2, 3, ..."""
    for seed, accuracy in enumerate(accuracies, 1):
        write_run(results, policy, seed, accuracy, **settings)


def write_table1(results: Path, cycles: Any = ENDS, fixed: Any = HIGHER, **settings: Any) -> None:
    """Cycles that end after 400 iterations, a fixed rate that has 76% then and ends after 800."""
    write_arm(results, "triangular2", cycles, schedule=CYCLES, curve=(70.0, 80.0, 80.5), **settings)
    write_arm(
        results, "fixed", fixed, schedule=DROPS, iterations=800, curve=(60.0, 70.0, 74.0, 76.0, 77.0, 78.0, 80.0), **settings
    )


def write_images(root: Path, per_class: int = 4, held_out: str = "val") -> Path:
    """Noisy JPEGs of different sizes, two classes."""
    random = np.random.default_rng(0)
    for split in ("train", held_out):
        for number, name in enumerate(("cat", "dog")):
            (root / split / name).mkdir(parents=True)
            for index in range(per_class):
                size = (300 + 20 * index, 280, 3)
                pixels = random.integers(0, 128, size, dtype=np.uint8) + np.uint8(100 * number)
                Image.fromarray(pixels).save(root / split / name / f"{index}.jpg")
    return root


def write_store(results: Path) -> Path:
    """Two experiments: one that settles claims, one of the user's own with a name from outside."""
    for policy, by in (("fixed", 0.0), ("triangular2", 0.1), ("decay", -3.0)):
        schedule = CYCLES if policy == "triangular2" else FIXED
        for seed, value in enumerate(BASE, 1):
            write_run(results, policy, seed, value + by + seed / 50, schedule=schedule, curve=(50.0, 60.0 + by, 70.0))
    for others in ({}, {f"a_long_name_{number}": "and a long value of it" for number in range(9)}):
        write_arm(results, "fixed", BASE[:2], source="runs", experiment="mine", config={"data": {"name": NASTY}, **others})
    return results
