"""Benchmark suite for cyclical learning rates (Smith, arXiv:1506.01186)."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clrbench.training.callback import CyclicLR

__all__ = ["CyclicLR"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    # Lightning takes seconds to import, and whoever reads records or plots schedules needs none of it.
    if name == "CyclicLR":
        from clrbench.training.callback import CyclicLR

        return CyclicLR
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
