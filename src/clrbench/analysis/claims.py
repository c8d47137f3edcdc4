"""The claims of the paper, and of others, as data: conf/claims/*.yaml, a family of claims each."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from clrbench.config import AVERAGES
from clrbench.errors import ConfigError

# Which accuracy of a run is meant.
#   end            at the end of the budget
#   cycle          at the end of the cycle numbered `cycle`
#   cycle_ends     the mean over the ends of all cycles
#   cycle_middles  the mean over the evaluations nearest to the middles of the same cycles
END, CYCLE, CYCLE_ENDS, CYCLE_MIDDLES = READINGS = ("end", "cycle", "cycle_ends", "cycle_middles")


@dataclass
class Side:
    """The runs on one side of a claim: those of the experiment whose config.yaml has these values, and what is read of them.

    select: {dotted key: value}. best_of: names of arms; of their runs, those of the one with the highest mean over the
    seeds that all of them have. It is chosen on the runs that it is compared on, which favours it: only a control may be so.
    average: read at the end of the budget in the place of the last weights, one of config.AVERAGES; null for these.
    paper: the paper's number in percent, null where it gives none.
    """

    select: dict[str, Any] = field(default_factory=dict)
    best_of: list[str] = field(default_factory=list)
    reading: str = END
    cycle: int | None = None
    average: str | None = None
    paper: float | None = None


@dataclass
class Cost:
    """Two figures of `make bench`: the claim is about the first as a percentage of the second."""

    figure: str = MISSING
    of: str = MISSING


@dataclass
class PaperBounds:
    """The bounds that the paper reads off its range test, and the factor within which another is as good."""

    base_lr: float = MISSING
    max_lr: float = MISSING
    factor: float = MISSING


@dataclass
class Claim:
    """One claim.

    id: its name, like C1. says: the claim in words. source: where the paper says so. relation: one of
    relations.RELATIONS. experiments: which can settle it, the paper's own first; each is judged on its own. setting: its
    family's, with what it has of its own. margin: percentage points for `equal`; for `higher` the least gain that counts.
    open: what the paper leaves open, so that another choice may come out otherwise. command: what makes the runs, where it
    is not the sweep of the experiment. missing: what the suite lacks to settle the claim.
    """

    id: str = MISSING
    says: str = MISSING
    source: str = MISSING
    relation: str = MISSING
    margin: float = 0.5
    share: float = 1.0
    experiments: list[str] = field(default_factory=list)
    setting: dict[str, Any] = field(default_factory=dict)
    treatment: Side = field(default_factory=Side)
    control: Side = field(default_factory=Side)
    cost: Cost | None = None
    bounds: PaperBounds | None = None
    open: list[str] = field(default_factory=list)
    command: str | None = None
    missing: str | None = None


@dataclass
class ClaimFamily:
    """The claims of one file; as one family, they share the risk of a wrong verdict (Holm).

    name: the file's. setting: what the paper's runs had, {dotted key of config.yaml: value}; runs that differ are judged
    all the same, and the difference is told. differs: what is always different here.
    """

    name: str = MISSING
    title: str = MISSING
    setting: dict[str, Any] = field(default_factory=dict)
    differs: list[str] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)


def read_families(conf: Path) -> list[ClaimFamily]:
    """The families of CONF/claims, by file name. Raises ConfigError in one line for a file that is none."""
    return [_family(path, path.read_text(encoding="utf-8")) for path in sorted((conf / "claims").glob("*.yaml"))]


@cache  # a live view judges again and again
def _family(path: Path, text: str) -> ClaimFamily:
    try:
        merged = OmegaConf.merge(OmegaConf.structured(ClaimFamily), OmegaConf.create(text), {"name": path.stem})
        family = OmegaConf.to_object(merged)
    except (OmegaConfBaseException, ValueError) as error:
        raise ConfigError(f"{path}: {str(error).splitlines()[0]}") from None
    assert isinstance(family, ClaimFamily)
    for claim in family.claims:
        claim.setting = family.setting | claim.setting
        _check(claim, path)
    return family


def _check(claim: Claim, path: Path) -> None:
    for name in ("treatment", "control"):
        side = getattr(claim, name)
        for key, value, known in (("reading", side.reading, READINGS), ("average", side.average, (None, *AVERAGES))):
            if value not in known:
                choices = ", ".join(filter(None, known))
                raise ConfigError(f"{path}: {claim.id}: {name}.{key}={value} is unknown: choose one of {choices}")
        if side.average is not None and side.reading != END:
            raise ConfigError(f"{path}: {claim.id}: {name}.average={side.average} is read at the end alone: leave out reading")
    if claim.treatment.best_of:
        raise ConfigError(
            f"{path}: {claim.id}: treatment.best_of would favour the claim: only the control may be the best of several"
        )
