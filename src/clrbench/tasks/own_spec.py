"""A run of a user's own module and data: from its configuration to what exactly will run, and its name."""

import contextlib
import hashlib
import inspect
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import CodeType
from typing import Any

import hydra
from hydra.errors import HydraException
from pytorch_lightning.utilities.seed import isolate_rng

from clrbench.config import Config
from clrbench.errors import ClrbenchError, ConfigError
from clrbench.identity import TARGET, by_contents, public
from clrbench.packages import PACKAGES, has_hook
from clrbench.quiet import quiet
from clrbench.spec import Spec, bound_lengths, given
from clrbench.store import Record
from clrbench.tasks.deal import deals_again, pair


@dataclass(frozen=True)
class OwnSpec(Spec):
    """One run of a LightningModule on a LightningDataModule.

    batches: those that each device takes in an epoch. left_out: those of an epoch that are too few for a batch a device.
    source: see `_checksums`.
    """

    batches: int
    left_out: int
    source: Mapping[str, str]

    _of_a_step = ("module", "data", "precision")
    _unread = ()

    @cached_property
    def identity(self) -> dict[str, Any]:
        """See Spec. The text of the user's code is not part of it: `task.version` stands for that."""
        task = self.config.task
        settings = {"module": task.module, "data": task.data}
        policy = given({key: value for key, value in self.policy.items() if key != "name"})
        return {
            "task": task.name,
            **by_contents(public({**settings, "policy": policy})),
            "metric": {"monitor": task.monitor, "mode": task.mode},
            "iterations": self.iterations,
            "seed": self.config.seed,
            "precision": self.config.trainer.precision,
            **({"trainer": task.trainer} if task.trainer else {}),
            **({"devices": self.config.trainer.processes} if self.config.trainer.processes > 1 else {}),
            **self._unusual,
            **({} if task.version is None else {"version": task.version}),
        }

    @property
    def accumulated(self) -> int:
        """The batches of an iteration, on each device."""
        return accumulated(self.config)

    @cached_property
    def deals_again(self) -> bool:
        """Whether the data are the same each time that an epoch is dealt."""
        with quiet(), blaming("task.data"), isolate_rng():
            return deals_again(set_up(self.config))

    @property
    def _about(self) -> dict[str, Any]:
        names = {section: {"name": getattr(self.config, section).name} for section in ("data", "model", "optimizer")}
        return {**names, "source": dict(self.source), "deals_again": self.deals_again}

    def changed_text(self, record: Record) -> str | None:
        """One line where `record`, one of this run, was made with another text of the user's code; else None."""
        try:
            known = record.config().get("source") or {}
        except ClrbenchError:
            return None
        changed = [name for name, checksum in self.source.items() if known.get(name) not in (None, checksum)]
        if not changed:
            return None
        version = self.config.task.version
        return (
            f"warning: the code of {' and of '.join(changed)} has changed since there are records of this task, which are "
            f"taken as they are: {'say task.version=2' if version is None else f'raise task.version={version}'} to run it anew"
        )


def resolve_own(config: Config) -> OwnSpec:
    """Make every choice of `config` definite. Raises ConfigError in one line for a module or data that cannot be run."""
    module = _class_of(config, "module", "LightningModule")
    if not has_hook(module, "validation_step", "LightningModule"):
        raise ConfigError(f"task.module._target_={_name(module)} has no validation_step, which is to log {config.task.monitor}")
    data = _class_of(config, "data", "LightningDataModule")
    if not has_hook(data, "val_dataloader", "LightningDataModule"):
        raise ConfigError(f"task.data._target_={_name(data)} has no val_dataloader: runs are compared on validation data")
    with quiet(), isolate_rng():
        batches, left_out = divmod(_batches(config), config.trainer.processes)
    if not batches:
        raise ConfigError(
            f"task.data: train_dataloader gives {left_out} batches, fewer than there are devices: lower trainer.devices"
        )
    per_epoch = math.ceil(batches / accumulated(config))
    return OwnSpec(config, per_epoch, *bound_lengths(config, per_epoch), batches, left_out, _checksums(module, data))


def accumulated(config: Config) -> int:
    """The batches of which an iteration gathers gradients, on each device."""
    return int(config.task.trainer.get("accumulate_grad_batches", 1))


def set_up(config: Config) -> Any:
    """The datamodule, ready for the first epoch."""
    datamodule = pair(hydra.utils.instantiate(config.task.data, _convert_="all"), config.seed, lambda: 0)
    datamodule.prepare_data()
    datamodule.setup("fit")
    return datamodule


def _batches(config: Config) -> int:
    """Those of an epoch of training."""
    with blaming("task.data"):
        datamodule = set_up(config)
        loader, evaluated = datamodule.train_dataloader(), datamodule.val_dataloader()
        _refuse_several(loader, evaluated)
        loaders = evaluated if isinstance(evaluated, list) else [evaluated]
        batches, lengths = _length(loader), [_length(one) for one in loaders]
    if 0 in lengths or not lengths:
        raise ConfigError("task.data: val_dataloader gives no batch: runs are compared on validation data")
    if batches is None:
        raise ConfigError(
            "task.data: train_dataloader has no length, so that nobody knows what an epoch is: give its data set a __len__"
        )
    if not batches:
        raise ConfigError("task.data: train_dataloader gives no batch: it has fewer items than a batch")
    return batches


def _refuse_several(training: Any, validation: Any) -> None:
    """Raise ConfigError for loaders that Lightning combines: their batches cannot be dealt by seed and epoch."""
    kinds: dict[str, tuple[Any, Any]] = {
        "train_dataloader": (training, (dict, list, tuple)),
        "val_dataloader": (validation, dict),
    }
    for name, (dealt, several) in kinds.items():
        loader = getattr(dealt, "_loader", dealt)
        if isinstance(loader, several):
            raise ConfigError(
                f"task.data: {name} gives a {type(loader).__name__} of loaders, whose batches cannot be dealt by seed and "
                "epoch: give one loader, of batches that hold what each of them gives"
            )


def _length(loader: Any) -> int | None:
    try:
        return len(loader)
    except TypeError:
        return None


@contextlib.contextmanager
def blaming(key: str) -> Iterator[None]:
    """Turn whatever a user's code raises within into a ConfigError of one line that names the key."""
    try:
        yield
    except ClrbenchError:
        raise
    except Exception as error:
        cause = error.__cause__ if isinstance(error, HydraException) and error.__cause__ else error
        raise ConfigError(f"{key}: {type(cause).__name__}: {' '.join(str(cause).split())}") from error


def _class_of(config: Config, part: str, base: str) -> Any:
    """The class that `task.PART` names; its settings are checked against its signature."""
    node = getattr(config.task, part)
    target, settings = node[TARGET], {key: value for key, value in node.items() if not key.startswith("_")}
    with blaming(f"task.{part}._target_={target}"):
        made = hydra.utils.get_object(target)
    if not (inspect.isclass(made) and any(issubclass(made, getattr(package, base)) for package in PACKAGES)):
        raise ConfigError(f"task.{part}._target_={target} is no {base}")
    try:
        inspect.signature(made).bind(**settings)
    except TypeError as error:
        raise ConfigError(f"task.{part}: {target}: {error}: its settings are +task.{part}.NAME=VALUE") from None
    return made


def _name(made: Any) -> str:
    return f"{made.__module__}.{made.__qualname__}"


def _checksums(*classes: Any) -> dict[str, str]:
    """{class: SHA-256 of the text of its file, or of its compiled methods where it has none, as in a notebook}."""
    return {_name(made): hashlib.sha256(_text(made)).hexdigest() for made in classes}


def _text(made: Any) -> bytes:
    file = None if made.__module__ == "__main__" else inspect.getsourcefile(made)
    if file:
        return Path(file).read_bytes()
    own = {name: value for name, value in vars(made).items() if inspect.isfunction(value)}
    return repr([(name, _compiled(own[name].__code__)) for name in sorted(own)]).encode()


def _compiled(code: CodeType) -> tuple[Any, ...]:
    """What code does, wherever it stands."""
    constants = [_compiled(one) if isinstance(one, CodeType) else _in_order(one) for one in code.co_consts]
    return code.co_code, code.co_names, constants


def _in_order(constant: Any) -> Any:
    return sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant
