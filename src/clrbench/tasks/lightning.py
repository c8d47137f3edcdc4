"""How a user's own LightningModule is trained: by Lightning's Trainer, as it is, with the suite's rates."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hydra
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.utilities.seed import isolate_rng
from torch.nn.parameter import is_lazy

from clrbench.callback import CyclicLR
from clrbench.config import PRECISIONS
from clrbench.data.batches import Share
from clrbench.own_schedulers import put_back, still
from clrbench.packages import Callback, has_hook, no_logger, package_of
from clrbench.tasks.deal import pair, seed_all
from clrbench.tasks.own_recorder import OwnRecorder, saved_iteration
from clrbench.tasks.own_spec import OwnSpec, blaming

Say = Callable[[str], None]


class LightningTask:
    """The training of a spec's module on its data. share: the part of the batches that this process takes."""

    def __init__(self, spec: OwnSpec, say: Say, share: Share) -> None:
        self._spec, self._say, self._share = spec, say, share
        self._has_test = False
        self._tested: dict[str, float] = {}

    def build(self) -> Any:
        """The untrained module; the seed alone decides its weights, whatever the policy. Raises ConfigError."""
        seed_all(self._spec.config.seed, "weights")
        with blaming("task.module"):
            return hydra.utils.instantiate(self._spec.config.task.module, _convert_="all")

    def saved_iteration(self, checkpoint: Path) -> int:
        """Where the checkpoint was saved. Its file is the run's own, and may hold whatever a module saves."""
        return saved_iteration(torch.load(checkpoint, map_location="cpu", weights_only=False))

    def plan(self, module: torch.nn.Module) -> Sequence[tuple[str, str]]:
        """What is trained, a line a choice."""
        spec, task = self._spec, self._spec.config.task
        parameters = sum(one.numel() for one in module.parameters() if not is_lazy(one))
        direction = {"min": "less", "max": "more"}[str(task.mode)]
        again = [] if spec.deals_again else [("resumes", "not bit for bit: the data are other ones each time they are dealt")]
        processes = self._share.processes
        shared = f" on each of {processes} devices" if processes > 1 else ""
        rest = f" ({spec.left_out} at its end left out)" if spec.left_out else ""
        return [
            ("data", f"{spec.config.data.name}: {spec.batches:,} batches an epoch{shared}{rest}"),
            ("module", f"{spec.config.model.name}: {parameters:,} parameters, {spec.config.trainer.precision}"),
            ("metric", f"{task.monitor}{f' in {task.unit}' if task.unit else ''}: {direction} is better"),
            *again,
        ]

    def recorder(self, module: Any, on_evaluation: Any, checkpoint: Path) -> OwnRecorder:
        """What evaluates and saves."""
        return OwnRecorder(self._spec, on_evaluation, checkpoint, self._say)

    def fit(self, module: Any, recorder: Any, checkpoint: Path | None, others: Sequence[Any]) -> None:
        """Train, from `checkpoint` on where there is one, and test where the module and the data can."""
        spec, task = self._spec, self._spec.config.task
        datamodule: Any = None
        made, seed = hydra.utils.instantiate(task.data, _convert_="all"), spec.config.seed
        datamodule = pair(made, seed, lambda: int(datamodule.trainer.current_epoch), self._share)
        self._has_test = has_hook(type(module), "test_step", "LightningModule") and has_hook(
            type(datamodule), "test_dataloader", "LightningDataModule"
        )
        callbacks = [SchedulersLeftOut(self._say), CyclicLR(spec.schedule), recorder, *others]
        trainer = self._trainer(module, callbacks)
        seed_all(seed, "fit")
        trainer.fit(module, datamodule=datamodule, ckpt_path=checkpoint, weights_only=False)
        if self._has_test and recorder.diverged is None:
            with isolate_rng():
                found = trainer.test(module, datamodule=datamodule, verbose=False)
            self._tested = {name: float(value) for part in found for name, value in part.items()}
            if (tested := self._name_of_test()) and not math.isfinite(self._tested[tested]):
                recorder.diverged = f"{tested} is {self._tested[tested]} at the end"

    def _trainer(self, module: Any, callbacks: list[Any]) -> Any:
        spec, settings = self._spec, self._spec.config.trainer
        return package_of(module).Trainer(
            accelerator="cuda" if settings.accelerator == "gpu" else "cpu",
            devices=settings.devices,
            num_nodes=settings.nodes,
            strategy=_strategy(module, settings.processes),
            precision=PRECISIONS[settings.precision],
            max_epochs=-(-spec.iterations // spec.iterations_per_epoch),
            callbacks=callbacks,
            check_val_every_n_epoch=None,
            val_check_interval=spec.batches,
            logger=no_logger(module),
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=1,  # whether the monitor is logged is known before an epoch is trained
            plugins=[LightningEnvironment()],
            **spec.config.task.trainer,
        )

    @property
    def _names_of_test(self) -> list[str]:
        """What the test loop may call the monitor: the same, or with `test` in place of `val`."""
        name = str(self._spec.config.task.monitor)
        return list(dict.fromkeys([name, *(name.replace(old, "test") for old in ("validation", "valid", "val"))]))

    def _name_of_test(self) -> str | None:
        """What the test loop calls the monitor, if it logs that."""
        return next((one for one in self._names_of_test if one in self._tested), None)

    def outcome(self, recorder: OwnRecorder, is_finished: bool) -> dict[str, Any]:
        """Metric, mode, unit and value of the result; the value is that of the test loop where there is one.

        A run that ended before its test names the metric that its siblings are tested by.
        """
        task = self._spec.config.task
        name, tested = str(task.monitor), self._name_of_test()
        if self._tested and tested is None:
            logged = ", ".join(sorted(self._tested))
            self._say(f"test_step logs {logged} and nothing like {name}: the result is the last {name} of validation")
        value = None
        if is_finished:
            value = self._tested[tested] if tested else recorder.rows[-1].metrics[name]
        elif self._has_test and not self._tested:
            tested = self._names_of_test[:2][-1]
        return {"metric": tested or name, "mode": task.mode, "unit": task.unit, "value": value}


def _strategy(module: Any, processes: int) -> Any:
    """Lightning's strategy for so many processes.

    A module that has `leaves_out` set gives some parameters no gradient in some steps, the same ones in every process; without
    it, so does manual optimization, whose optimizers take turns.
    """
    if processes == 1:
        return "auto"
    leaves_out = getattr(module, "leaves_out", not module.automatic_optimization)
    return package_of(module).strategies.DDPStrategy(find_unused_parameters=leaves_out)


class SchedulersLeftOut(Callback):
    """Leaves the schedulers of configure_optimizers out, puts back what they had begun to change, and says so."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Before CyclicLR looks."""
        names = [type(config.scheduler).__name__ for config in trainer.lr_scheduler_configs]
        if not names:
            return
        trainer.strategy.lr_scheduler_configs = []
        momentum = ", ".join(put_back(trainer.optimizers))
        back = f"; the optimizer has its {momentum} again" if momentum else ""
        self._say(f"{', '.join(names)}: the module's own schedule of the rate is left out, as the policy sets the rate{back}")
        pl_module.lr_schedulers = lambda: still(len(names))
