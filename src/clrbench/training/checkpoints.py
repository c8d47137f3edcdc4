"""The checkpoint at which an interrupted run goes on, or a run that begins like another."""

import contextlib
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

from clrbench.files import replacing
from clrbench.lock import HeldElsewhereError, locked
from clrbench.store import CHECKPOINT


def resumable_iteration(checkpoint: Path, saved_iteration: Callable[[Path], int]) -> int:
    """The iteration of the checkpoint that an interrupted run left, 0 where there is none that can be read."""
    with contextlib.suppress(FileNotFoundError, EOFError, RuntimeError, pickle.UnpicklingError):  # a power failure
        return saved_iteration(checkpoint)
    return 0


def leave_checkpoint(checkpoint: Path, folder: Path) -> None:
    """Let a run that has not begun go on from `checkpoint`."""
    with contextlib.suppress(HeldElsewhereError), locked(folder, patience=0):
        if not (folder / CHECKPOINT).exists():
            with replacing(folder / CHECKPOINT) as partial_file:
                shutil.copyfile(checkpoint, partial_file)
