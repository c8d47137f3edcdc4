"""Lightning's two packages, `pytorch_lightning` and `lightning.pytorch`: equal code, but classes that are not each other's."""

import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clrbench.files import replacing


def _installed() -> list[Any]:
    found = []
    for name in ("pytorch_lightning", "lightning.pytorch"):
        with suppress(ModuleNotFoundError):
            found.append(import_module(name))
    return found


PACKAGES = _installed()

if TYPE_CHECKING:
    from pytorch_lightning import Callback as Callback  # noqa: PLC0414 - exported
else:
    # What derives from it is a callback to the Trainers of both.
    Callback = type("Callback", tuple(package.Callback for package in PACKAGES), {})


def package_of(module: Any) -> Any:
    """The package whose Trainer trains a LightningModule. Raises TypeError for what is none."""
    for package in PACKAGES:
        if isinstance(module, package.LightningModule):
            return package
    raise TypeError(f"{type(module).__name__} is no LightningModule: derive it from lightning.pytorch.LightningModule")


def no_logger(module: Any) -> Any:
    """A logger that drops what it is given: modules and callbacks that log find one, as they expect."""
    return sys.modules[f"{package_of(module).__name__}.loggers.logger"].DummyLogger()


def has_hook(made: type, hook: str, base: str) -> bool:
    """Whether a class derived from `base`, of either package, has a hook of its own."""
    return all(getattr(made, hook) is not getattr(getattr(package, base), hook) for package in PACKAGES)


def save_checkpoint(trainer: Any, checkpoint: Path, *, flush: bool) -> None:
    """Save what a Trainer has: all processes of the run take part, and the first one writes. flush: see `replacing`."""
    if not trainer.is_global_zero:
        trainer.save_checkpoint(checkpoint)
        return
    with replacing(checkpoint, flush=flush) as partial:
        trainer.save_checkpoint(partial)
