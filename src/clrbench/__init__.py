"""Benchmark suite for cyclical learning rates (Smith, arXiv:1506.01186)."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clrbench.callback import CyclicLR
    from clrbench.comparison import compare
    from clrbench.range_test.standalone import LRRangeTest

__all__ = ["CyclicLR", "LRRangeTest", "compare"]
__version__ = "0.1.0"

_WHERE = {
    "CyclicLR": "clrbench.callback",
    "LRRangeTest": "clrbench.range_test.standalone",
    "compare": "clrbench.comparison",
}


def __getattr__(name: str) -> object:
    # Lightning takes seconds to import, and whoever reads records or plots schedules needs none of it.
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
