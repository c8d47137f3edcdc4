"""From the records of a range test, its scan and its ramps, to curves and bounds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from clrbench.identity import digits
from clrbench.range_test import anchor, scan
from clrbench.range_test.curve import Curve
from clrbench.range_test.judge import FoundBounds, judge
from clrbench.range_test.laying import laid
from clrbench.runs import Run
from clrbench.store import DIVERGED

# The experiment of all ramps; what a scan is called among them, and what a ramp's bounds say that it laid.
RANGE_TEST, SCAN, LAID_BY = "range_test", "scan", "laid by "
_DIGITS = 3
# The setting of a ramp that says where it ends.
_END = "policy.max_lr"


@dataclass(frozen=True)
class Measured:
    """The ramps of a range test, one a seed, and the bounds that they show; its scan alone where there are no ramps.

    aside: the runs that it took besides, which are its scan and the ramps that ended at other rates.
    """

    runs: Sequence[Run]
    bounds: FoundBounds
    aside: Sequence[Run] = field(default=(), kw_only=True)

    @property
    def iterations(self) -> int:
        """Those of all its runs."""
        return sum(run.result.iterations for run in (*self.runs, *self.aside))

    @property
    def curves(self) -> list[Curve]:
        """Accuracy and loss against the rate, a curve a seed."""
        return [curve_of(run) for run in self.runs]

    @property
    def subject(self) -> Sequence[str]:
        """The names of data set, model and optimizer."""
        config = self.runs[0].config
        return [str(config[choice]["name"]) for choice in ("data", "model", "optimizer")]

    @property
    def classes(self) -> int | None:
        """How many classes the images have; None where nothing is classified."""
        return int(self.runs[0].config["images"]["classes"])

    @property
    def file_name(self) -> str:
        """Tells the picture of this range test from those with other settings."""
        return "-".join([RANGE_TEST, *self.subject, self._digits])

    @property
    def _digits(self) -> str:
        """Those of all that decides the bounds."""
        return digits([sorted(run.result.name for run in self.runs), self.bounds.rule])


def judged(runs: Sequence[Run], rule: str, told: Sequence[str] = (), is_given: bool = True) -> Measured:
    """The bounds that ramps show, by `best` or a rule of `judge`. told: what was seen before, for the reasons.

    is_given: whether the user chose the range.
    """
    curves = [curve_of(run) for run in runs]
    if rule == anchor.RULE:
        return Measured(runs, anchor.anchored(curves, told, is_given))
    bounds = judge(curves, runs[0].config["images"]["classes"], rule, is_given)
    return Measured(runs, replace(bounds, reasons=(*bounds.reasons, *told)))


def around_scan(scanned: Run, climb: Callable[[float, int], Run], seeds: Sequence[int], rule: str) -> Measured:
    """The bounds of ramps that a scan lays. climb: from the end of a ramp and a seed to its run, made or looked up."""
    high, told = scan.end_of_ramp(*_losses(scanned))
    if high is None:
        return Measured([scanned], anchor.refused(told))
    tried: dict[float, Run] = {}

    def shown(end: float) -> Curve:
        tried[rounded(end)] = climb(rounded(end), seeds[0])
        return curve_of(tried[rounded(end)])

    high = laid(rounded(high), shown)
    runs = [climb(rounded(high), seed) for seed in seeds]
    aside = [scanned, *(run for end, run in tried.items() if end != rounded(high))]
    return replace(judged(runs, rule, [*told, f"The ramp ends at {high:.2g}."], is_given=False), aside=aside)


def range_tests(arms: Mapping[str, Sequence[Run]], rule: str) -> dict[str, Measured]:
    """The range tests that arms of ramps and scans are, by label: by `rule` with a range that was given, else by `best`."""
    found = {label: judged(runs, rule) for label, runs in arms.items() if not (_is_scan(runs[0]) or _laid_by(runs[0]))}
    every = [run for runs in arms.values() for run in runs]
    tests = {
        label: [(scanned, ramps) for scanned in runs if _is_scan(scanned) for ramps in _laid_together(scanned, every)]
        for label, runs in arms.items()
    }
    for label, those in tests.items():
        for scanned, ramps in those:
            told = f" ({_told(scanned, ramps)})" if len(those) > 1 else ""
            found[f"ramps laid by a {label}{told}"] = _of_scan(scanned, ramps)
    return found


def curve_of(run: Run) -> Curve:
    """Accuracy and loss of a ramp against its rate."""
    rows = run.evaluations
    has_diverged = run.result.status == DIVERGED and run.schedule is not None
    return Curve(
        rates=np.array([row.lr for row in rows]),
        accuracies=np.array([accuracy for _, accuracy in run.course]),
        losses=np.array([row.metrics["test_loss"] for row in rows]),
        diverged_at=float(run.schedule(run.result.iterations)) if has_diverged and run.schedule else None,
    )


def rounded(rate: float) -> float:
    """A rate to three digits: more would claim a precision that no range test has."""
    return float(f"{rate:.{_DIGITS}g}")


def _laid_together(scanned: Run, every: Sequence[Run]) -> list[list[Run]]:
    """The ramps that `scanned` laid, a list for each range test: those of one differ in their end and seed alone."""
    ramps: dict[str, list[Run]] = {}
    for run in every:
        if _laid_by(run) == scanned.result.name:
            ramps.setdefault(digits({**run.settings, _END: None}), []).append(run)
    return list(ramps.values()) or [[]]


def _told(scanned: Run, ramps: Sequence[Run]) -> str:
    """What tells a range test from others whose scans are alike."""
    lengths = [f"{run.settings['iterations']:,} iterations, {len(run.evaluations)} readings" for run in ramps[:1]]
    return ", ".join([f"seed {scanned.result.seed}", *lengths])


def _of_scan(scanned: Run, ramps: Sequence[Run]) -> Measured:
    made = {(float(run.config["bounds"]["max_lr"]), run.result.seed): run for run in ramps}
    first = scanned.result.seed
    seeds = [first, *sorted({run.result.seed for run in ramps} - {first})]
    try:
        return around_scan(scanned, lambda end, seed: made[end, seed], seeds, anchor.RULE)
    except KeyError:
        return Measured([scanned], anchor.refused(["Its ramps have not ended: the same command goes on with them."]))


def _is_scan(run: Run) -> bool:
    return run.result.policy == SCAN


def _laid_by(run: Run) -> str:
    """The name of the scan that laid a ramp; empty where its range was given."""
    origin = str(run.config.get("bounds", {}).get("origin"))
    return origin.removeprefix(LAID_BY) if origin.startswith(LAID_BY) else ""


def _losses(scanned: Run) -> tuple[list[float], list[float]]:
    """The rates of a scan and its training losses, step by step; infinite at the end where it diverged."""
    rates, losses = [row.lr for row in scanned.evaluations], [row.train_loss for row in scanned.evaluations]
    if scanned.result.status == DIVERGED and scanned.schedule is not None:
        rates, losses = [*rates, float(scanned.schedule(scanned.result.iterations))], [*losses, np.inf]
    return rates, losses
