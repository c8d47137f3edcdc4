"""The form of a configuration: every key with its type, and the checks that need no data.

The values live in conf/, one folder a choice; Hydra merges them into these classes, which refuse unknown keys and wrong
types. A length in time is a number of iterations or a text like `4 epochs`.
"""

from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from clrbench.errors import ConfigError
from clrbench.keys import check_keys
from clrbench.schedules import RAMPS
from clrbench.seeds import fault_of_seeds
from clrbench.settings import EPOCHS, iterations_of
from clrbench.task_form import MODES, check_own, with_own_names

SOURCES = ("digits", "npz", "torchvision", "imagefolder", "datamodule", "stream")
INPUTS = ("mean_image", "standardize", "imagenet")
RULES = ("best", "rise_and_slow", "third", "quarter")
# The range of a range test that finds it by itself.
AUTO = "auto"
# How the origin of bounds begins that a screening chose.
SCREENED = "screened"
AVERAGES = ("cycle_ends", "ema", "ensemble")
# Of each precision, Lightning's name.
PRECISIONS = {"float32": "32-true", "bfloat16": "bf16-mixed", "float16": "16-mixed"}


def _one_of(*choices: str, default: Any = MISSING) -> Any:
    return field(default=default, metadata={"choices": choices})


def _at_least(least: float, default: Any = MISSING) -> Any:
    return field(default=default, metadata={"least": least})


def _above(limit: float, default: Any = MISSING) -> Any:
    return field(default=default, metadata={"above": limit})


@dataclass
class Data:
    """Which images, where from, and how they are dealt out.

    module: a LightningDataModule's `_target_` and its settings; size: the height and width that all images get.
    evaluated_images: evaluate on so many at most, taken at equal distances.
    """

    name: str = MISSING
    sources: list[str] = MISSING
    path: str | None = None
    module: dict[str, Any] | None = field(default_factory=dict)
    size: int | None = _at_least(1, None)
    download: bool = True
    augment: str = _one_of("none", "crop_flip", default="none")
    split: str = _one_of("holdout", "paper", default="holdout")
    evaluate: str = _one_of("test", "validation", default="test")
    evaluated_images: int | None = _at_least(1, None)
    order: str = _one_of("shuffled", "fixed", default="shuffled")
    training_images: int | None = _at_least(1, None)
    batch_size: int = _at_least(1)


@dataclass
class Model:
    """The network, the form of its input, and the weight decay that belongs to it."""

    name: str = MISSING
    net: dict[str, Any] = MISSING
    input: str = _one_of(*INPUTS)
    weight_decay: float = _at_least(0)


@dataclass
class Optimizer:
    """The update rule: `rule` is the optimizer's class and its settings."""

    name: str = MISSING
    rule: dict[str, Any] = MISSING
    weight_decay: float = _at_least(0)


@dataclass
class Task:
    """What is trained: images, by the suite's own module; or a LightningModule on its LightningDataModule, both as they are.

    module, data: `_target_` and settings. monitor: the metric that runs are compared by, as the module logs it; mode: whether
    its least or its greatest value is the best; unit: of its values; margin: the least difference that counts, in that unit;
    version: of the user's code; trainer: what else Lightning's Trainer is given.
    """

    name: str = _one_of("image", "lightning", default="image")
    module: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    monitor: str | None = None
    mode: str | None = _one_of(*MODES, default=None)
    unit: str = ""
    margin: float = _at_least(0, 0.0)
    version: str | None = None
    trainer: dict[str, Any] = field(default_factory=dict)

    @property
    def is_own(self) -> bool:
        """Whether a user's module is trained."""
        return self.name == "lightning"


@dataclass
class Bounds:
    """Between which rates a policy moves, times `times`; `origin` says where they come from, and decides nothing."""

    base_lr: float = _at_least(0)
    max_lr: float = _at_least(0)
    times: float = _above(0, 1.0)
    origin: str = "given"


@dataclass
class RangeTest:
    """How bounds are measured: a ramp of the rate from `low` to `high`, evaluated at `points` of it, for each of `seeds`.

    high: a rate, or `auto`: then a scan finds where training breaks, and the ramp is laid up to there. rule: by default `best`
    with `auto`, else `rise_and_slow`.
    """

    low: float = _at_least(0)
    high: Any = AUTO
    ramp: str = _one_of(*RAMPS)
    epochs: float = _above(0)
    points: int = _at_least(5)
    seeds: list[int] = MISSING
    rule: str | None = _one_of(*RULES, default=None)

    @property
    def finds_range(self) -> bool:
        """Whether the range is not given."""
        return bool(self.high == AUTO)


@dataclass
class Decide:
    """How a decision between policies is made: docs/decide.md. families: arms, of each kind the simplest first."""

    families: list[str] = MISSING
    ratio: float = _above(1)
    looks: list[int] = MISSING
    margin: float | None = _above(0, None)
    hours: float | None = _above(0, None)


@dataclass
class League:
    """What the league spans: docs/league.md. tasks: files of conf/task; parts: of each task's budget, as 3 for a third."""

    tasks: list[str] = MISSING
    parts: list[int] = MISSING


@dataclass
class Trainer:
    """How a run is carried out: nothing here but precision and compile changes its numbers beyond rounding.

    For a user's own task, so does the number of processes: each takes batches of its own.
    """

    precision: str = _one_of(*PRECISIONS)
    compile: bool = False
    accelerator: str = _one_of("cpu", "gpu", default="cpu")
    devices: int = _at_least(1, 1)
    nodes: int = _at_least(1, 1)
    workers: int = _at_least(0, 2)
    threads: int | None = _at_least(1, None)
    evaluate_every: Any = MISSING
    loss_limit: float = _above(0)

    @property
    def processes(self) -> int:
        """The number of processes that share the batches: one a device."""
        return self.devices * self.nodes


@dataclass
class Tracking:
    """Weights & Biases."""

    wandb: str = _one_of("auto", "online", "offline", "disabled")
    project: str = MISSING
    entity: str | None = None
    log_every: int = _at_least(1)


@dataclass
class PathNames:
    """Where data sets lie, where records go, and where checkpoints and other heavy files go."""

    data: str = MISSING
    results: str = MISSING
    outputs: str = MISSING


@dataclass
class Config:
    """One run. arm: the line of a comparison that it belongs to; version: of a user's own code and data, as they name it.

    averages: what is evaluated beside the last weights; ema_epochs: over how many epochs the exponential one reaches.
    """

    experiment: str = MISSING
    arm: str | None = None
    version: str | None = None
    seed: int = _at_least(0)
    iterations: Any = MISSING
    scale: float = _above(0)
    averages: list[str] = field(default_factory=list, metadata={"each": AVERAGES})
    ema_epochs: float = _above(0, 1.0)
    task: Task = field(default_factory=Task)
    data: Data = field(default_factory=Data)
    model: Model = field(default_factory=Model)
    optimizer: Optimizer = field(default_factory=Optimizer)
    bounds: Bounds = field(default_factory=Bounds)
    range_test: RangeTest = field(default_factory=RangeTest)
    decide: Decide = field(default_factory=Decide)
    league: League = field(default_factory=League)
    policy: Any = MISSING
    trainer: Trainer = field(default_factory=Trainer)
    tracking: Tracking = field(default_factory=Tracking)
    paths: PathNames = field(default_factory=PathNames)


@dataclass
class CellSweeper:
    """The form of hydra.sweeper; params: what is swept; plan_only: list the runs with their state, and start nothing.

    branch: runs of several budgets that begin alike, as policy=wsd, train once what they have in common. until: `settled`
    adds seeds while a claim of the experiment is open; null takes the seeds that are named.
    """

    _target_: str = "hydra_plugins.clrbench_cells._sweeper.CellSweeper"
    params: dict[str, str] = field(default_factory=dict)
    plan_only: bool = False
    branch: bool = False
    until: str | None = None


def config_dirs(hydra: Any) -> list[str]:
    """`--config-dir` as it was typed, for the record of a run; none where it was not."""
    return [f"--config-dir={source.path}" for source in hydra.runtime.config_sources if source.provider == "command-line"]


def register() -> None:
    """Tell Hydra both forms, by the names in conf/config.yaml, and what values there are made of.

    ${middle:A,B}; ${share:LENGTH,PART}, as of `8 epochs`; ${unless:A,B}: B, null where A is given.
    """
    forms = ConfigStore.instance()
    forms.store(name="schema", node=Config)
    forms.store(group="hydra/sweeper", name="cells", node=CellSweeper)
    OmegaConf.register_new_resolver("middle", lambda one, other: (one + other) / 2, replace=True)
    OmegaConf.register_new_resolver("unless", lambda given, usual: usual if given is None else None, replace=True)
    OmegaConf.register_new_resolver("share", share, replace=True)


# Of random numbers in torch.
_SEEDS = 2**63


def checked(composed: DictConfig) -> Config:
    """Turn a composed configuration into a Config. Raises ConfigError in one line for what cannot be run."""
    try:
        check_keys(composed, Config)
        composed = with_own_names(composed)
        config = OmegaConf.to_object(OmegaConf.merge(_form(), composed))
    except OmegaConfBaseException as error:
        raise ConfigError(f"{error.full_key}: {str(error).splitlines()[0]}") from None
    assert isinstance(config, Config)
    check_fields(config)
    if config.seed >= _SEEDS:
        raise ConfigError(f"seed={config.seed} is impossible: it must be below {_SEEDS}, as torch takes no more")
    _check_range_test(config.range_test)
    if config.bounds.times != 1 and config.bounds.origin == "given":
        raise ConfigError(
            f"bounds.times={config.bounds.times:g} goes with bounds=range_test: set base_lr and max_lr themselves"
        )
    if config.task.is_own:
        check_own(config)
    else:
        _check_data(config.data)
    _check_names(config)
    _check_bounds(config)
    _check_devices(config)
    return config


@cache
def _form() -> Any:
    return OmegaConf.structured(Config)


def check_fields(group: Any, prefix: str = "") -> None:
    """Hold each value of a section, whose key begins with `prefix`, against the rule beside its field. Raises ConfigError."""
    for it in fields(group):
        key, value, rule = f"{prefix}{it.name}", getattr(group, it.name), it.metadata
        if is_dataclass(value):
            check_fields(value, f"{key}.")
        elif value is not None and value not in rule.get("choices", (value,)):
            raise ConfigError(f"{key}={value} is unknown: choose one of {', '.join(rule['choices'])}")
        elif unknown := [one for one in value if one not in rule["each"]] if "each" in rule else []:
            raise ConfigError(f"{key}={unknown[0]} is unknown: choose one of {', '.join(rule['each'])}")
        elif value is not None and "least" in rule and not value >= rule["least"]:
            raise ConfigError(f"{key}={value} is impossible: it must be at least {rule['least']}")
        elif value is not None and "above" in rule and not value > rule["above"]:
            raise ConfigError(f"{key}={value} is impossible: it must be above {rule['above']}")


def _check_data(data: Data) -> None:
    if not data.sources:
        raise ConfigError(f"data.sources=[] is empty: name at least one of {', '.join(SOURCES)}")
    if data.path and not {"npz", "imagefolder", "stream"} & set(data.sources):
        raise ConfigError(f"data.path={data.path} is not read by data={data.name}: take data=npz or data=imagefolder with it")
    if data.module and "datamodule" not in data.sources:
        raise ConfigError(f"data.module is not read by data={data.name}: take data=datamodule with it")
    if data.size is not None and "stream" in data.sources:
        raise ConfigError(f"data.size={data.size} goes with images in memory: streamed ones get a size of their own, 224x224")


def _check_range_test(test: RangeTest) -> None:
    if fault := fault_of_seeds(test.seeds, "range_test.seeds"):
        raise ConfigError(fault)
    if test.finds_range:
        if test.low or test.ramp != RAMPS[0]:
            raise ConfigError(
                "range_test.low and range_test.ramp go with a rate for range_test.high: give all of them, or none, to have the "
                "range found"
            )
        return
    if isinstance(test.high, bool) or not isinstance(test.high, (int, float)):
        raise ConfigError(f"range_test.high={test.high} is no rate: write a number, or {AUTO} to have the range found")
    if not test.high > test.low:
        raise ConfigError(f"range_test.high={test.high:g} is not above range_test.low={test.low:g}: raise it")
    if test.ramp == "exponential" and test.low == 0:
        lower = f"range_test.low={test.high / 1000:.3g}"
        raise ConfigError(f"range_test.ramp=exponential cannot start from range_test.low=0: try {lower}")


def _check_names(config: Config) -> None:
    for key, name in _names(config):
        if name in ("", ".", "..") or {"/", "\\"} & set(name):
            raise ConfigError(f"{key}={name} would lead to another folder: take a name without / and \\")


def _check_bounds(config: Config) -> None:
    base_lr, max_lr = config.bounds.base_lr, config.bounds.max_lr
    # A policy without cycles, or with rates of its own, does not care how the bounds lie.
    uses_both = isinstance(config.policy, dict) and (config.policy.get("base_lr"), config.policy.get("max_lr")) == (
        base_lr,
        max_lr,
    )
    if uses_both and not max_lr > base_lr:
        raise ConfigError(f"bounds.max_lr={max_lr} is not above bounds.base_lr={base_lr}: raise it, or lower bounds.base_lr")


def _check_devices(config: Config) -> None:
    trainer, batch_size = config.trainer, config.data.batch_size
    if trainer.precision == "float16" and trainer.accelerator != "gpu":
        raise ConfigError("trainer.precision=float16 needs a GPU: take trainer=gpu, or trainer.precision=bfloat16")
    if config.averages and trainer.processes > 1:
        raise ConfigError("averages=[...] are measured by a single process: take trainer.devices=1 and trainer.nodes=1")
    if not config.task.is_own and batch_size % trainer.processes:
        raise ConfigError(
            f"data.batch_size={batch_size} cannot be shared by {trainer.processes} processes (trainer.devices times "
            "trainer.nodes): take a multiple of that"
        )


def _names(config: Config) -> list[tuple[str, str]]:
    """What folders of records and cached copies are called after."""
    policy = config.policy.get("name") if isinstance(config.policy, dict) else None
    return [("experiment", config.experiment), ("data.name", config.data.name), ("policy.name", str(policy))]


def in_iterations(length: Any, iterations_per_epoch: int, key: str) -> int:
    """A length in iterations, at least 1: `length` is a whole number of them, or a text like `4 epochs`.

    Raises ConfigError, which names `key`, for anything else.
    """
    iterations = iterations_of(length, iterations_per_epoch)
    if iterations is None:
        raise ConfigError(f"{key}={length} is not a length: write iterations (2000) or epochs ('4 epochs'), at least one")
    return iterations


def share(length: Any, part: float) -> Any:
    """A part of a length in the same form, at least one iteration; what is no length stays as it is, to be refused later."""
    if isinstance(length, str) and (match := EPOCHS.fullmatch(length.strip())):
        return f"{float(match[1]) * part:g} epochs"
    return max(1, round(length * part)) if isinstance(length, int) else length


def with_iterations(settings: Any, iterations_per_epoch: int, key: str) -> Any:
    """A copy of nested settings in which every text like `4 epochs` is a number of iterations."""
    if isinstance(settings, dict):
        return {name: with_iterations(value, iterations_per_epoch, f"{key}.{name}") for name, value in settings.items()}
    if isinstance(settings, list):
        return [with_iterations(value, iterations_per_epoch, f"{key}[{at}]") for at, value in enumerate(settings)]
    if isinstance(settings, str) and EPOCHS.fullmatch(settings.strip()):
        return in_iterations(settings, iterations_per_epoch, key)
    return settings
