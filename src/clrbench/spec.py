"""From a configuration and its data to what exactly will run, and to the name that it has for ever."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import OmegaConf

from clrbench.config import Config, in_iterations, with_iterations
from clrbench.data.images import AnyImages, training_indices, validation_indices
from clrbench.data.load import LoadedSet
from clrbench.errors import ConfigError
from clrbench.identity import PUBLIC_NAMES, TARGET, by_contents, digits, public
from clrbench.policies import schedule_of
from clrbench.schedules import Schedule
from clrbench.schema import SCHEMA
from clrbench.store import Record, label_of


@dataclass(frozen=True)
class Spec(ABC):
    """One run, every choice made: lengths are in iterations, the schedule is a function. What it trains, the task adds."""

    config: Config
    iterations_per_epoch: int
    iterations: int
    policy: dict[str, Any]
    schedule: Schedule

    @property
    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """All that decides the numbers of this run, and nothing else, by public names and contents.

        What is as usual is left out, so that a choice which comes later names no earlier run anew.
        """

    @property
    def _unusual(self) -> dict[str, Any]:
        config = self.config
        # Evaluations leave training alone, but at which of them a target is reached depends on how often they come.
        is_each_epoch = self._evaluate_every == self.iterations_per_epoch
        return {
            **({"compile": True} if config.trainer.compile else {}),
            **({} if config.scale == 1 else {"scale": config.scale}),
            **({} if is_each_epoch else {"evaluate_every": self._evaluate_every}),
            **({"averages": sorted(set(config.averages))} if config.averages else {}),
            **({"ema_epochs": config.ema_epochs} if "ema" in config.averages and config.ema_epochs != 1 else {}),
            **({} if config.version is None else {"version": config.version}),
        }

    @cached_property
    def run_id(self) -> str:
        """Ten hexadecimal digits that stand for the identity."""
        return digits(self.identity)

    @property
    def step_id(self) -> str:
        """Ten hexadecimal digits that stand for what a step computes: with the same ones, steps take the same time here."""
        trainer = self.config.trainer
        devices = (trainer.accelerator, trainer.processes, trainer.threads)
        return digits([*(self.identity[part] for part in self._of_a_step), trainer.compile, *devices])

    @property
    @abstractmethod
    def _of_a_step(self) -> Sequence[str]:
        """The parts of the identity that decide what a step computes."""

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return f"{self.label}-{self.iterations}-s{self.config.seed}-{self.run_id}"

    @property
    def label(self) -> str:
        """What the run is called among others: the last part of its arm, or its policy."""
        return label_of(self.config.arm, str(self.policy["name"]))

    @cached_property
    def evaluation_points(self) -> list[int]:
        """The iterations after which the run is evaluated: a grid, each cycle's end, and the end of the budget."""
        grid = range(self._evaluate_every, self.iterations + 1, self._evaluate_every)
        return sorted({*grid, *self.schedule.cycle_ends(self.iterations), self.iterations})

    @property
    def _evaluate_every(self) -> int:
        return in_iterations(self.config.trainer.evaluate_every, self.iterations_per_epoch, "trainer.evaluate_every")

    @property
    def warnings(self) -> list[str]:
        """What is unusual about the run, a line each."""
        unusual, ends = self.schedule.warnings(self.iterations), self.schedule.cycle_ends(self.iterations)
        if ends and ends[-1] != self.iterations:
            unusual.append(f"{self.iterations} iterations end within a cycle; the last whole one ends at {ends[-1]}")
        return [f"warning: {self.label}: {line}" for line in unusual]

    def changed_text(self, record: Record) -> str | None:
        """One line where `record`, one of this run, was made with another text of a user's code; None where nobody knows."""
        return None

    def config_text(self, overrides: Sequence[str] = ()) -> str:
        """config.yaml: the configuration as it was composed, without what this machine alone knows, and the identity.

        overrides: what was typed to compose it; they make the run anew.
        """
        shown = asdict(self.config)
        # The range test has records of its own; a decision and a league are made of runs.
        for aside in ("paths", "tracking", "range_test", "decide", "league", *self._unread):
            del shown[aside]
        typed = {"overrides": without_places(overrides)} if overrides else {}
        about = {**self._about, "run_id": self.run_id, "identity": self.identity}
        return OmegaConf.to_yaml({"schema": SCHEMA, **shown, **typed, **about})

    @property
    @abstractmethod
    def _unread(self) -> Sequence[str]:
        """The parts of the configuration that say nothing about this task."""

    @property
    @abstractmethod
    def _about(self) -> dict[str, Any]:
        """What config.yaml tells of the task besides."""


@dataclass(frozen=True)
class RunSpec(Spec):
    """One run of the suite's own task, the classification of images, with the data at hand."""

    data: LoadedSet
    indices: NDArray[np.int64]

    @cached_property
    def identity(self) -> dict[str, Any]:
        """See Spec."""
        config = self.config
        settings = {
            "model": {"net": config.model.net, "input": config.model.input},
            "optimizer": {"rule": config.optimizer.rule, "weight_decay": config.optimizer.weight_decay},
            "policy": given({key: value for key, value in self.policy.items() if key != "name"}),
        }
        return {
            "data": {"sha256": self.data.checksum, "split": config.data.split, **self._unusual_data},
            "batch_size": config.data.batch_size,
            **by_contents(public(settings)),
            "iterations": self.iterations,
            "seed": config.seed,
            "precision": config.trainer.precision,
            **self._unusual,
        }

    @property
    def _unusual_data(self) -> dict[str, Any]:
        data = self.config.data
        return {
            **({"evaluate": "validation"} if _validates(self.config) else {}),
            **({} if data.evaluated_images is None else {"evaluated_images": len(self.evaluation_images)}),
            **({} if data.augment == "none" else {"augment": data.augment}),
            **({} if data.order == "shuffled" else {"order": data.order}),
            **({} if data.training_images is None else {"training_images": len(self.indices)}),
        }

    _of_a_step = ("data", "batch_size", "model", "optimizer", "precision")
    _unread = ("task",)

    @cached_property
    def evaluation_images(self) -> AnyImages:
        """The images on which accuracy and loss are measured: the test set, or those that were left out for validation.

        Under data.split=paper, as in the paper, none are left out and the test set serves for both.
        """
        images, most = self._all_evaluation_images, self.config.data.evaluated_images
        if most is None or most >= len(images):
            return images
        return images.take(np.arange(most) * len(images) // most)

    @property
    def _all_evaluation_images(self) -> AnyImages:
        if not _validates(self.config):
            return self.data.images.test
        train = self.data.images.train
        return train.take(validation_indices(train.labels, self.config.data.split))

    @property
    def _about(self) -> dict[str, Any]:
        """The images that the run trains on and is evaluated on, and their classes."""
        return {
            "images": {
                "training": len(self.indices),
                "evaluated": len(self.evaluation_images),
                "classes": self.data.images.classes,
            }
        }


def given(policy: Any) -> Any:
    """A policy's settings; of the suite's own policies without nulls, which came later than runs without them, and names."""
    if not isinstance(policy, dict):
        return [given(item) for item in policy] if isinstance(policy, list) else policy
    is_own = policy.get(TARGET) in PUBLIC_NAMES
    return {key: given(value) for key, value in policy.items() if not (is_own and (value is None or key == "name"))}


def _validates(config: Config) -> bool:
    return config.data.evaluate == "validation" and config.data.split != "paper"


def without_places(overrides: Sequence[str]) -> list[str]:
    """The overrides that say what is run, without those that say where to and how it is followed."""
    return [text for text in overrides if not text.startswith(("paths.", "tracking.", "hydra."))]


def resolve(config: Config, data: LoadedSet) -> RunSpec:
    """Make every choice of `config` definite for `data`. Raises ConfigError in one line for what cannot be run."""
    indices = training_indices(data.images.train.labels, config.data.split, config.data.training_images)
    most = config.data.training_images
    if most not in (None, len(indices)):
        raise ConfigError(
            f"data.training_images={most} cannot be had: equal shares of {data.images.classes} classes, as far as there are "
            f"images, make {len(indices)}: take a number that they can make"
        )
    per_epoch = len(indices) // config.data.batch_size
    if per_epoch == 0:
        raise ConfigError(f"data.batch_size={config.data.batch_size} is more than the {len(indices)} training images: lower it")
    if _validates(config) and not len(validation_indices(data.images.train.labels, config.data.split)):
        raise ConfigError(
            f"data={config.data.name}: no class has ten training images, so that data.split={config.data.split} leaves none "
            "out to validate on, as a range test does: add images, or take data.split=paper, under which test images serve"
        )
    return RunSpec(config, per_epoch, *bound_lengths(config, per_epoch), data, indices)


def bound_lengths(config: Config, per_epoch: int) -> tuple[int, dict[str, Any], Schedule]:
    """Budget, policy and schedule of a configuration, in iterations. Raises ConfigError for impossible ones."""
    iterations = max(1, round(in_iterations(config.iterations, per_epoch, "iterations") * config.scale))
    return iterations, with_iterations(config.policy, per_epoch, "policy"), schedule_of(config, per_epoch)
