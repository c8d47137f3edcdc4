"""`train` and `Console`, imported in half the time that Lightning takes otherwise.

For a process that does nothing but train, as a command and the workers of a sweep do. What is imported from here is the same
as from the modules themselves.
"""

import contextlib
import gc
from collections.abc import Iterator

from clrbench.unofficial import without_unused


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
    with without_unused():
        import torchmetrics  # noqa: F401
    from clrbench.training.console import Console
    from clrbench.training.run import train

__all__ = ["Console", "train"]
