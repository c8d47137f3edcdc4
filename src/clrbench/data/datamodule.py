"""A LightningDataModule of a user's own as a source of images: its data sets are read once, whole."""

from collections.abc import Sequence
from typing import Any

from clrbench.data.images import ImageSet
from clrbench.data.items import read_items
from clrbench.data.telling import Say
from clrbench.errors import DataError

_KEY = "data.module"
# What a module may do to batches, which here are the suite's.
_HOOKS = ("on_before_batch_transfer", "on_after_batch_transfer", "transfer_batch_to_device")
_LIGHTNING = ("pytorch_lightning", "lightning")


def read_datamodule(settings: dict[str, Any], say: Say, size: int | None = None) -> ImageSet:
    """The data sets behind train_dataloader() and test_dataloader(), else val_dataloader(); batches are the suite's.

    settings: `_target_`, the LightningDataModule, and what it is made with; size: see `pictures.alike`. `say` gets a
    line for what it does not use of the module. Raises DataError in one line for what cannot be read, or would mean something
    else here.
    """
    import hydra

    try:
        module = hydra.utils.instantiate(settings)
        module.prepare_data()
        module.setup("fit")
        train = module.train_dataloader()
        held_out = "val" if _defines(module, "val_dataloader") and not _defines(module, "test_dataloader") else "test"
        module.setup("test")
        test = getattr(module, f"{held_out}_dataloader")()
        data_sets = [(loader.dataset, _indices(loader)) for loader in (train, test)]
    except DataError:
        raise
    except Exception as error:
        reason = error.__cause__ or error
        raise DataError(f"{_KEY}: gives no data sets ({' '.join(str(reason).split())[:200]})") from None
    for note in _unused(module, (train, test), held_out):
        say(f"{_KEY}: {note}")
    return read_items(data_sets, _KEY, size, say)


def _defines(module: Any, name: str) -> bool:
    """Whether the user's own code has this method, rather than Lightning's alone."""
    return any(name in vars(kind) and kind.__module__.partition(".")[0] not in _LIGHTNING for kind in type(module).__mro__)


def _indices(loader: Any) -> Sequence[int] | None:
    """The items that a loader gives out in an epoch; None: all of them. Raises DataError where its sampler means more."""
    from torch.utils.data import BatchSampler, RandomSampler, SequentialSampler, SubsetRandomSampler

    if not hasattr(loader.dataset, "__len__"):
        return None  # which no reader of items can use, and says so
    sampler, batches = loader.sampler, loader.batch_sampler
    if batches is None or type(batches) is BatchSampler:
        if isinstance(sampler, SubsetRandomSampler):
            return sorted(map(int, sampler.indices))
        if isinstance(sampler, SequentialSampler):
            return None
        if isinstance(sampler, RandomSampler) and not sampler.replacement and sampler.num_samples == len(loader.dataset):
            return None
        batches = sampler
    raise DataError(
        f"{_KEY}: a loader draws its images by {type(batches).__name__}, which the suite's own order of images would undo: "
        "give the images to be used as a data set (torch.utils.data.Subset), with shuffle alone"
    )


def _unused(module: Any, loaders: Sequence[Any], held_out: str) -> list[str]:
    from torch.utils.data import default_collate

    notes = []
    if held_out == "val":
        notes.append("has no test_dataloader: that of val is evaluated on")
    elif _defines(module, "val_dataloader"):
        notes.append("its val_dataloader is not used: data.split leaves out images of train_dataloader for validation")
    if any(loader.collate_fn not in (None, default_collate) for loader in loaders):
        notes.append("the collate_fn of its loaders is not used: items are read one by one")
    if hooks := [name for name in _HOOKS if _defines(module, name)]:
        notes.append(f"its {', '.join(hooks)} is not used: batches are the suite's")
    return notes
