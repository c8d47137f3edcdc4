"""What a run says to the person who started it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from rich.console import Console as RichConsole
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import nn

from clrbench.screen import say, screen
from clrbench.spec import RunSpec, Spec
from clrbench.training.every import Every

_MOVES_A_SECOND = 4


class Console:
    """Sentences and, on a terminal, a bar with the time left. `silent` leaves both to the sweep that watches the records."""

    def __init__(self, silent: bool = False) -> None:
        self.silent = silent
        self._rich = screen(quiet=silent)

    def say(self, line: str) -> None:
        """Print one line."""
        say(self._rich, line)

    def plan(self, spec: Spec, trained: Sequence[tuple[str, str]], folder: Path, start: int) -> None:
        """Say what will run, a line a choice, and what is unusual about it. trained: the lines of its task."""
        for name, text in [*trained, *_plan(spec, folder)]:
            say(self._rich, text, label=f"{name:<10}")
        if start:
            self.say(f"goes on from iteration {start:,} of {spec.iterations:,}")
        for line in spec.warnings:
            self.say(line)

    def progress(self, start: int, iterations: int, reached: Callable[[], int]) -> pl.Callback:
        """The callback that shows how far a run is: see ProgressBar."""
        return ProgressBar(self._rich, start, iterations, reached)


def plan_of_images(spec: RunSpec, module: nn.Module) -> list[tuple[str, str]]:
    """What is trained where images are classified, a line a choice."""
    config, images = spec.config, spec.data.images
    channels, height, width = images.shape
    parameters = sum(parameter.numel() for parameter in module.parameters())
    rule = ", ".join(f"{key} {value}" for key, value in config.optimizer.rule.items() if key != "_target_")
    return [
        (
            "data",
            f"{config.data.name}: {len(spec.indices):,} training and {len(spec.evaluation_images):,} {config.data.evaluate} "
            f"images of {height}x{width}x{channels}, {images.classes} classes, split {config.data.split}, "
            f"batch {config.data.batch_size}",
        ),
        ("model", f"{config.model.name}: {parameters:,} parameters, input {config.model.input}, {config.trainer.precision}"),
        ("optimizer", f"{config.optimizer.name}: {rule}, weight_decay {config.optimizer.weight_decay}"),
    ]


def _plan(spec: Spec, folder: Path) -> list[tuple[str, str]]:
    config = spec.config
    policy = _settings(spec.policy)
    cycles = len(spec.schedule.cycle_ends(spec.iterations))
    epochs = spec.iterations / spec.iterations_per_epoch
    return [
        ("policy", f"{spec.policy['name']}: {policy}" + (f", stretched by {config.scale:g}" if config.scale != 1 else "")),
        ("budget", f"{spec.iterations:,} iterations, {epochs:.4g} epochs" + (f", {cycles} whole cycles" if cycles else "")),
        ("seed", str(config.seed)),
        ("record", str(folder)),
    ]


def _settings(node: Mapping[str, Any]) -> str:
    told = {key: value for key, value in node.items() if key not in ("name", "_target_") and value is not None}
    return ", ".join(f"{key} {_value(value)}" for key, value in told.items())


def _value(value: object) -> str:
    if isinstance(value, dict):
        return f"{str(value.get('_target_', '')).rpartition('.')[2]} ({_settings(value)})"
    if isinstance(value, list):
        return f"of {len(value)}" if value and isinstance(value[0], dict) else ", ".join(map(str, value))
    return str(value)


class ProgressBar(pl.Callback):
    """A bar with the time left; nothing where the output is no terminal.

    reached: the iterations that are complete, which Lightning counts otherwise where there are several optimizers.
    """

    def __init__(self, console: RichConsole, start: int, iterations: int, reached: Callable[[], int]) -> None:
        self._reached = reached
        # Behind every step it would be felt where steps are short.
        self._move = Every(1 / _MOVES_A_SECOND)
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("elapsed"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=console.quiet or not console.is_terminal,
            refresh_per_second=_MOVES_A_SECOND,
            speed_estimate_period=60,
        )
        self._task = self._bar.add_task("training", completed=start, total=iterations)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the bar."""
        self._bar.start()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Move the bar where it is time."""
        if self._move.take_turn():
            self._bar.update(self._task, completed=self._reached())

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the bar away."""
        self._bar.stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Take the bar away."""
        self._bar.stop()


class ProgressNote(pl.Callback):
    """Notes the iteration in a file, for whoever watches the run from outside. reached: see ProgressBar."""

    def __init__(self, path: Path, reached: Callable[[], int]) -> None:
        self._path, self._note, self._reached = path, Every(1.0), reached

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Write it about once a second; a reader who meets half a number loses nothing by it."""
        if self._note.take_turn():
            self._path.write_text(str(self._reached()))
