"""`train` and `Console`, imported in half the time that Lightning takes otherwise.

For a process that does nothing but train, as a command and the workers of a sweep do. What is imported from here is the same
as from the modules themselves.
"""

import contextlib
import gc
from collections.abc import Iterator

from lightning_utilities.core import imports
from lightning_utilities.core.imports import RequirementCache, package_available

# torchmetrics, which Lightning imports, imports these wherever they are installed, for metrics and pictures not used here.
UNUSED = ("matplotlib", "scipy", "torchvision", "transformers")


class _UsedRequirement(RequirementCache):
    def __bool__(self) -> bool:
        return not (self.requirement or "").startswith(UNUSED) and super().__bool__()


def _used_package_available(name: str) -> bool:
    return name not in UNUSED and package_available(name)


@contextlib.contextmanager
def _without_unused() -> Iterator[None]:
    """Let torchmetrics, imported within, find nothing of what it does not need here."""
    vars(imports).update(RequirementCache=_UsedRequirement, package_available=_used_package_available)
    try:
        yield
    finally:
        vars(imports).update(RequirementCache=RequirementCache, package_available=package_available)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the garbage collector off what is imported within, then and later: half a million objects that all stay.

    Then it would look at them again and again; later, behind every run of a worker, joblib has it look at everything.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


with _uncollected():
    with _without_unused():
        import torchmetrics  # noqa: F401
    from clrbench.training.console import Console
    from clrbench.training.run import train

__all__ = ["Console", "train"]
