"""Made-up worlds whose truth is known: a decision played in them costs no training, and shows how often it is right."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from clrbench.decision.strategy import OVER, DecisionState, state_of
from clrbench.decision.trials import Candidate, Family, Rules, Trial

# Doublings above its optimum at which a family diverges.
_DIVERGES = 3


@dataclass(frozen=True)
class World:
    """tops: what each family is worth at its optimum; optima: that, in doublings of the first peak.

    curvature: what a doubling away from the optimum costs, times its square. noise: the deviation of a run, by kind; shared:
    that of what all runs with a seed have in common; tails: degrees of freedom of Student's t that the noise is drawn from.
    """

    tops: Mapping[Family, float]
    optima: Mapping[Family, float]
    curvature: float
    noise: Mapping[str, float]
    shared: float = 0.3
    tails: float = math.inf

    def truth(self, candidate: Candidate) -> float:
        """What a candidate is worth, minus infinity where it diverges."""
        away = candidate.rung - self.optima[candidate.family]
        return -math.inf if away > _DIVERGES else self.tops[candidate.family] - self.curvature * away**2

    def run(self, trial: Trial, effects: Mapping[int, float], random: np.random.Generator) -> float:
        """What a run finds. effects: of each seed."""
        drawn = (
            random.normal()
            if math.isinf(self.tails)
            else random.standard_t(self.tails) / math.sqrt(self.tails / (self.tails - 2))
        )
        return self.truth(trial.candidate) + effects[trial.seed] + self.noise[trial.candidate.family.kind] * float(drawn)


def played(world: World, families: Sequence[Family], rules: Rules, random: np.random.Generator) -> tuple[DecisionState, int]:
    """A whole decision in a world, and how many runs it took."""
    seeds = (*rules.race_seeds, *rules.final_seeds)
    effects = dict(zip(seeds, random.normal(0, world.shared, len(seeds)).tolist(), strict=True))
    worths: dict[Trial, float] = {}
    while (state := state_of(worths, families, rules)).stage != OVER:
        worths |= {trial: world.run(trial, effects, random) for trial in state.wanted}
    return state, len(worths)


def expected_runs(families: Sequence[Family], rules: Rules, worlds: int = 30) -> int:
    """The mean over worlds in which families differ by about the margin, as does a run by chance."""
    random = np.random.default_rng(0)
    kinds = {family.kind: rules.margin for family in families}
    counts = []
    for _ in range(worlds):
        tops, optima = (dict(zip(families, random.normal(0, scale, len(families)), strict=True)) for scale in (rules.margin, 1))
        world = World(tops, optima, rules.margin, kinds, rules.margin)
        counts.append(played(world, families, rules, random)[1])
    return round(fmean(counts))
