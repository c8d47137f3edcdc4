"""What a configuration needs where a user's own LightningModule is trained, and what it must leave out."""

import re
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from clrbench.errors import ConfigError
from clrbench.settings import COUNT, POSITIVE
from clrbench.store import COLUMNS

MODES = ("min", "max")
_LESS = {"loss", "error", "err", "bpc", "bpb", "perplexity", "ppl", "nll", "mse", "rmse", "mae", "mape", "fid", "wer", "cer"}
_MORE = {"acc", "accuracy", "f1", "auc", "auroc", "precision", "recall", "iou", "dice", "bleu", "rouge", "r2", "psnr", "ssim"}
# What a record calls the choices that the module makes; the other values say nothing.
_FILLED: dict[str, dict[str, Any]] = {
    "data": {"sources": [], "batch_size": 1},
    "model": {"net": {}, "input": "standardize", "weight_decay": 0.0},
    "optimizer": {"name": "", "rule": {}, "weight_decay": 0.0},
}
# What Lightning's Trainer is given by the suite, and where it is said.
_GIVEN = {
    **dict.fromkeys(("max_epochs", "max_steps", "min_epochs", "min_steps", "max_time"), "iterations='8 epochs'"),
    **dict.fromkeys(("accelerator", "devices", "num_nodes", "precision", "strategy"), "trainer.*"),
    **dict.fromkeys(("val_check_interval", "check_val_every_n_epoch"), "trainer.evaluate_every"),
    **dict.fromkeys(("callbacks", "logger", "default_root_dir", "fast_dev_run", "overfit_batches"), ""),
    **dict.fromkeys(("limit_train_batches", "reload_dataloaders_every_n_epochs", "barebones"), ""),
    **dict.fromkeys(("enable_checkpointing", "enable_progress_bar", "enable_model_summary", "num_sanity_val_steps"), ""),
}
# Settings of it without which nothing is trained, or nothing compared.
_DOMAINS = {"accumulate_grad_batches": COUNT, "limit_val_batches": POSITIVE}


def with_own_names(composed: DictConfig) -> DictConfig:
    """Of a user's own task, `composed` with the names of its classes as those of data and model; else itself.

    Raises ConfigError in one line for what is lacking, and for choices of the image task beside it.
    """
    if composed.task.name != "lightning":
        return composed
    made = composed.copy()
    with open_dict(made):
        for section, filled in _FILLED.items():
            if not OmegaConf.is_missing(made[section], "name"):
                chosen = f"{section}={made[section].name}"
                raise ConfigError(f"{chosen} is not read by task=lightning, whose module brings its own: leave it out")
            part = "data" if section == "data" else "module"
            made[section].update({"name": _class_of(made.task, part), **filled})
    if any(OmegaConf.is_missing(made.bounds, key) for key in ("base_lr", "max_lr")):
        raise ConfigError(
            "bounds: those of images fit no module of yours: say between which rates its policies move, as in "
            "bounds.base_lr=0.0005 bounds.max_lr=0.003 (policy=fixed takes the first, a decision needs only the second), or "
            "bounds=range_test to measure them"
        )
    return made


def _class_of(task: DictConfig, part: str) -> str:
    if OmegaConf.is_missing(task[part], "_target_") or not task[part].get("_target_"):
        kind = {"module": "LightningModule", "data": "LightningDataModule"}[part]
        raise ConfigError(f"task.{part}._target_ is open: say which {kind}, as in task.{part}._target_=my_file.MyClass")
    return str(task[part]["_target_"]).rpartition(".")[2]


def check_own(config: Any) -> None:
    """Refuse what a user's own task cannot be run with. Raises ConfigError in one line."""
    task = config.task
    if not task.monitor:
        raise ConfigError(
            "task.monitor is open: say which metric compares runs, as validation_step logs it: task.monitor=val_loss"
        )
    if task.monitor in COLUMNS:
        raise ConfigError(
            f"task.monitor={task.monitor} is what a record calls a column of its own: log the metric by another name, as "
            f"val_{task.monitor}"
        )
    words = set(re.split(r"[^a-z0-9]+", task.monitor.lower()))
    named = "min" if words & _LESS else "max" if words & _MORE else None
    if task.mode is None:
        hint = f" (to go by its name, task.mode={named})" if named else ""
        raise ConfigError(
            f"task.mode is open: is less of {task.monitor} better, or more? Say task.mode=min or task.mode=max{hint}"
        )
    if named not in (None, task.mode):
        raise ConfigError(
            f"task.mode={task.mode} contradicts task.monitor={task.monitor}, of which {'less' if named == 'min' else 'more'} "
            f"is better by its name: say task.mode={named}, or log it by another name"
        )
    for key, value in task.trainer.items():
        if key in _GIVEN:
            instead = f": say {_GIVEN[key]}" if _GIVEN[key] else ": leave it out"
            raise ConfigError(f"task.trainer.{key} is what the suite sets itself{instead}")
        if key in _DOMAINS and not _DOMAINS[key].holds(value):
            raise ConfigError(f"task.trainer.{key}={value} is impossible: it must be {_DOMAINS[key].words}")
    if config.averages:
        raise ConfigError("averages goes with images: with task=lightning average the weights within your module")
    if config.trainer.compile:
        raise ConfigError("trainer.compile goes with images: with task=lightning compile the net within your module")
