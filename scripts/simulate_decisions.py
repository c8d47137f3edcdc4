"""How often decisions are right in made-up worlds: `python scripts/simulate_decisions.py` for results/bench/decisions.json."""

import argparse
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from clrbench.decision.conclusion import CYCLE, Conclusion, conclusion_of
from clrbench.decision.strategy import DecisionState
from clrbench.decision.trials import CYCLICAL, FIXED, KINDS, OTHER, Candidate, Family, Rules
from clrbench.decision.worlds import World, played
from clrbench.files import write_text

FAMILIES = [
    *(Family(name, FIXED) for name in ("fixed", "fixed_drops")),
    *(Family(name, OTHER) for name in ("linear", "cosine", "wsd", "one_cycle")),
    *(Family(name, CYCLICAL) for name in ("triangular", "triangular2", "exp_range")),
]
RULES = Rules(margin=0.5)
EXHAUSTIVE_SEEDS = 8


@dataclass(frozen=True)
class Setting:
    """Worlds of one sort, in points. ahead: how much more the families of a kind are worth; spread: the deviation of families.

    The noise of a run is between 0.2 and 0.9 in the shipped records of CIFAR-10, the fixed rate's the largest.
    """

    name: str
    fixed: float = 0.0
    other: float = 0.0
    cyclical: float = 0.0
    spread: float = 0.0
    curvature: float = 0.5
    noise: float = 0.5
    noise_of_fixed: float | None = None
    tails: float = math.inf

    def world(self, random: np.random.Generator) -> World:
        """One of them."""
        ahead = {FIXED: self.fixed, OTHER: self.other, CYCLICAL: self.cyclical}
        noise = dict.fromkeys(KINDS, self.noise) | ({} if self.noise_of_fixed is None else {FIXED: self.noise_of_fixed})
        tops = {family: ahead[family.kind] + self.spread * random.normal() for family in FAMILIES}
        return World(tops, {family: random.normal() for family in FAMILIES}, self.curvature, noise, tails=self.tails)


SETTINGS = (
    *(Setting(f"no difference, noise {noise:g}", noise=noise) for noise in (0.2, 0.5, 0.8)),
    Setting("no difference, flat optima", curvature=0.05),
    Setting("no difference, heavy tails (t, 3 degrees)", tails=3),
    Setting("no difference, fixed rates noisier (0.9, others 0.3)", noise=0.3, noise_of_fixed=0.9),
    *(Setting(f"cycles ahead by {ahead:g}", cyclical=ahead) for ahead in (0.25, 0.5, 1.0, 3.0)),
    *(Setting(f"cycles behind by {behind:g}", cyclical=-behind) for behind in (0.25, 1.0)),
    Setting("others ahead by 0.5", other=0.5),
    Setting("others ahead of cycles by 1, cycles of fixed by 1", other=2.0, cyclical=1.0),
    *(Setting(f"families differ by 0.5, noise {noise:g}", spread=0.5, noise=noise) for noise in (0.2, 0.5, 0.8)),
)


@dataclass(frozen=True)
class Outcome:
    """One decision. covered: of each pair whether its interval holds the truth. fixed_design: the runs of the exhaustive grid
    with eight seeds; unstopped: of the same stages where nothing stops early; regret_exhaustive: of the grid's best mean.
    """

    says_clr: bool
    is_wrong_clr: bool
    is_settled: bool
    regret: float
    regret_exhaustive: float
    covered: Sequence[bool]
    is_bound_beside_finalists: bool
    is_bound_beside_all: bool
    runs: int
    fixed_design: int
    unstopped: int


def outcome(world: World, random: np.random.Generator) -> Outcome:
    """Play a decision and hold it against the truth."""
    state, runs = played(world, FAMILIES, RULES, random)
    conclusion = conclusion_of(state, RULES)
    truth = {one: world.truth(one) for one in state.screened}
    assert state.final is not None
    best, mine = max(truth.values()), truth[conclusion.chosen]
    finalist = max(truth[one] for one in state.final.finalists)
    fixed = max(worth for one, worth in truth.items() if one.family.kind == FIXED)
    return Outcome(
        says_clr=conclusion.is_settled and conclusion.verdict == CYCLE,
        is_wrong_clr=conclusion.is_settled and conclusion.verdict == CYCLE and mine <= fixed,
        is_settled=conclusion.is_settled,
        regret=best - mine,
        regret_exhaustive=best - truth[_best_of_exhaustive(world, truth, random)],
        covered=list(_covered(conclusion, truth)),
        is_bound_beside_finalists=finalist - mine <= conclusion.regret_beside_finalists,
        is_bound_beside_all=conclusion.regret_beside_all is not None and best - mine <= conclusion.regret_beside_all,
        runs=runs,
        fixed_design=EXHAUSTIVE_SEEDS * len(truth),
        unstopped=_unstopped(state),
    )


def _covered(conclusion: Conclusion, truth: dict[Candidate, float]) -> Iterator[bool]:
    for gain in conclusion.gains:
        yield gain.low <= truth[gain.one] - truth[gain.other] <= gain.high


def _best_of_exhaustive(world: World, truth: dict[Candidate, float], random: np.random.Generator) -> Candidate:
    error = 1 / math.sqrt(EXHAUSTIVE_SEEDS)
    return max(truth, key=lambda one: truth[one] + world.noise[one.family.kind] * error * random.normal())


def _unstopped(state: DecisionState) -> int:
    assert state.final is not None
    return len(RULES.race_seeds) * len(state.screened) + len(state.final.finalists) * RULES.looks[-1]


def summary(setting: Setting, outcomes: Sequence[Outcome]) -> dict[str, object]:
    """What the decisions of a setting come to, shares in 0..1, regrets in points."""
    covered = [one for outcome in outcomes for one in outcome.covered]
    runs = fmean(outcome.runs for outcome in outcomes)
    return {
        "setting": {key: value for key, value in asdict(setting).items() if value != math.inf},
        "decisions": len(outcomes),
        "settled": fmean(outcome.is_settled for outcome in outcomes),
        "says_clr": fmean(outcome.says_clr for outcome in outcomes),
        "wrong_clr": fmean(outcome.is_wrong_clr for outcome in outcomes),
        "intervals_cover": fmean(covered),
        "regret_mean": fmean(outcome.regret for outcome in outcomes),
        "regret_95": float(np.quantile([outcome.regret for outcome in outcomes], 0.95)),
        "regret_exhaustive_mean": fmean(outcome.regret_exhaustive for outcome in outcomes),
        "bound_beside_finalists_holds": fmean(outcome.is_bound_beside_finalists for outcome in outcomes),
        "bound_beside_all_holds": fmean(outcome.is_bound_beside_all for outcome in outcomes),
        "runs_mean": runs,
        "runs_of_exhaustive_grid": fmean(outcome.fixed_design for outcome in outcomes),
        "runs_without_stopping": fmean(outcome.unstopped for outcome in outcomes),
    }


def table(found: Sequence[Mapping[str, Any]]) -> str:
    """The summaries as a table of docs/decide.md."""
    heads = (
        "worlds",
        "settled",
        "wrong CLR",
        "intervals cover",
        "regret",
        "95% below",
        "of the full grid",
        "runs",
        "full grid",
    )
    lines = [f"| {' | '.join(heads)} |", f"| --- |{' ---: |' * (len(heads) - 1)}"]
    for one in found:
        shares = (f"{one[key]:.1%}" for key in ("settled", "wrong_clr", "intervals_cover"))
        points = (f"{one[key]:.2f}" for key in ("regret_mean", "regret_95", "regret_exhaustive_mean"))
        runs = (f"{one[key]:.0f}" for key in ("runs_mean", "runs_of_exhaustive_grid"))
        lines.append(f"| {' | '.join([one['setting']['name'], *shares, *points, *runs])} |")
    return "\n".join(lines)


def main() -> None:
    """Play the decisions of every setting, and write down what they come to."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--decisions", type=int, default=1000, help="how many of each setting (1000: ten minutes of one core)")
    parser.add_argument("--to", type=Path, default=Path("results/bench/decisions.json"), help="the file to write")
    arguments = parser.parse_args()
    console = Console()
    found = []
    for place, setting in enumerate(track(SETTINGS, "settings", console=console, disable=not console.is_terminal)):
        random = np.random.default_rng(place)
        found.append(summary(setting, [outcome(setting.world(random), random) for _ in range(arguments.decisions)]))
    write_text(arguments.to, json.dumps({"margin": RULES.margin, "settings": found}, indent=1) + "\n")
    print(table(found), arguments.to, sep="\n\n")


if __name__ == "__main__":
    main()
