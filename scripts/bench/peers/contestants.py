"""Who is measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version

from bench.peers.job import FLOAT32, PRECISIONS


@dataclass(frozen=True)
class Contestant:
    """A way to train: its name in tables, its module of this package, what it takes, and the precisions that it has on a CPU.

    packages: the distributions that it needs and the suite does not have. is_usual: whether it is among those of which the
    best is held against the suite.
    """

    name: str
    module: str
    packages: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    precisions: Sequence[str] = PRECISIONS
    is_usual: bool = True

    @property
    def missing(self) -> list[str]:
        """The packages that are not installed."""
        return [package for package in self.packages if _version(package) is None]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def versions() -> dict[str, str]:
    """The versions of what the peers took, as far as it is installed."""
    packages = {package: _version(package) for contestant in PEERS for package in contestant.packages}
    return {package: found for package, found in packages.items() if found is not None}


OURS = Contestant("clrbench", "ours")
BARE = Contestant("bare torch loop", "bare")
STOCK = Contestant("stock Lightning", "stock")
_VARIABLES = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
TENSORFLOW = Contestant("Keras on TensorFlow", "keras", ("keras", "tensorflow-cpu"), _VARIABLES)
PEERS = (
    BARE,
    # Held against nobody: it shows what the suite adds to a step in the same order of memory.
    Contestant("bare torch loop, channels last", "channels_last", is_usual=False),
    STOCK,
    Contestant("Keras on torch", "keras", ("keras",), {"KERAS_BACKEND": "torch"}),
    TENSORFLOW,
    # Its MixedPrecision asks for CUDA by name, and does nothing on a CPU.
    Contestant("fastai", "fastai", ("fastai",), precisions=(FLOAT32,)),
)
# Whose two processes side by side are measured as well.
PAIRED = (OURS, BARE, TENSORFLOW)
PRODUCT = Contestant("matrix product", "product")
