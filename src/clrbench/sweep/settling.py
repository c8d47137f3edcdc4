"""A sweep that adds seeds to its arms while a claim of its experiment is open: the rule is in docs/report.md."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from clrbench.analysis.cases import Case, is_selected
from clrbench.analysis.looks import Asked, Looks, asked_of
from clrbench.errors import ConfigError
from clrbench.runs import OWN, leaves, run_of
from clrbench.sweep.cells import Cell
from clrbench.sweep.plan import Pace
from clrbench.sweep.planner import Planner

SETTLED = "settled"
_USUAL_FIRST = 1
_WORLDS = 30


class Settling:
    """Which runs the open claims of an experiment need next, and how the claims stand.

    arms: the overrides of each, without a seed. first_seed: of all looks. Raises ConfigError where seeds settle no claim.
    """

    def __init__(self, planner: Planner, arms: Sequence[Sequence[str]], experiment: str, first_seed: int, conf: Path) -> None:
        asked, self.left_out = asked_of(experiment, conf)
        if not asked:
            raise ConfigError(
                f"hydra.sweeper.until=settled: no claim that seeds settle is about experiment={experiment}: list "
                "seeds, as in seed=1,2,3,4,5; to choose between policies take experiment=decide"
            )
        self._planner, self._experiment = planner, experiment
        self._looks, self._taken = Looks(asked), 0
        self._seeds = range(first_seed, first_seed + self._looks.looks[-1])
        self._cells: dict[tuple[int, int], Cell] = {}
        firsts = self._planned([(at, first_seed) for at in range(len(arms))], arms)
        self._arms = arms
        values = {at: _values(cell) for (at, _), cell in firsts.items()}
        self._needs = {one.claim.id: _needed(one, values) for one in asked}
        if lacking := [name for name, needs in self._needs.items() if not needs]:
            raise ConfigError(
                f"hydra.sweeper.until=settled: {', '.join(lacking)} of experiment={experiment} need arms that this sweep does "
                "not run: leave out what narrows it, or list seeds"
            )

    @property
    def cells(self) -> list[Cell]:
        """Those of all looks so far."""
        return list(self._cells.values())

    def next_cells(self) -> list[Cell]:
        """What the next look needs; none where no claim is open, or the last look is taken."""
        if not self._looks.open or self._taken == self._looks.looks[-1]:
            return []
        number = next(look for look in self._looks.looks if look > self._taken)
        arms = sorted({at for one in self._looks.open for at in self._needs[one.claim.id]})
        wanted = [(at, seed) for at in arms for seed in self._seeds[:number]]
        found = self._planned(wanted, self._arms)
        self._cells |= found
        return list(found.values())

    def look(self, results: Path) -> list[str]:
        """Take the look whose runs have ended; a line a claim that was open."""
        self._taken = next(look for look in self._looks.looks if look > self._taken)
        seeds = self._seeds[: self._taken]
        runs = [run for (_, seed), cell in self._cells.items() if seed in seeds for run in run_of(cell.record, OWN)]
        judged = self._looks.open
        cases = {one.claim.id: self._case(one, one.relation.cases(one.claim, one.family, runs, results)) for one in judged}
        self._looks.look(self._taken, {name: list(case.values.values()) if case else [] for name, case in cases.items()})
        return [self._looks.words(one, self._taken, cases[one.claim.id]) for one in judged]

    def outlook(self, speeds: Pace, workers: int) -> Iterator[str]:
        """The plan: claims, looks, runs and hours."""
        looks, names = self._looks.looks, ", ".join(self._needs)
        arms = sorted({at for needs in self._needs.values() for at in needs})
        yield (
            f"until settled: {len(self._needs)} claims ({names}), which need {_of(len(arms), len(self._arms))} arms; "
            f"looks after {', '.join(map(str, looks[:-1]))} and {looks[-1]} seeds ({self._seeds[0]} to {self._seeds[-1]})"
        )
        if self.left_out:
            yield f"left out: {', '.join(claim.id for claim in self.left_out)}, which no seeds settle"
        expected = expected_seeds(self._looks.asked, self._needs)
        counts = {word: {at: float(count) for at in arms} for word, count in (("first", looks[0]), ("most", looks[-1]))}
        counts["expected"] = expected
        runs = {word: round(sum(of.values())) for word, of in counts.items()}
        line = f"{runs['first']} runs at the first look, at most {runs['most']}, {runs['expected']} expected"
        times = {at: cell.iterations * speed / 3600 for at in arms if (speed := speeds.of(cell := self._first(at)))}
        if len(times) < len(arms):
            yield f"{line}; the hours are unknown: no run has measured one of this kind yet"
            return
        hours = {word: sum(times[at] * count for at, count in of.items()) / workers for word, of in counts.items()}
        told = f"{hours['first']:.2f} h to {hours['most']:.2f} h with {workers} workers, {hours['expected']:.2f} h expected"
        yield f"{line}; {told}, less what has run"

    def _first(self, at: int) -> Cell:
        ((_, cell),) = self._planned([(at, self._seeds[0])], self._arms).items()
        return cell

    def _planned(self, wanted: Sequence[tuple[int, int]], arms: Sequence[Sequence[str]]) -> dict[tuple[int, int], Cell]:
        made = self._planner.cells([[*arms[at], f"seed={seed}"] for at, seed in wanted])
        if faulty := next((cell for cell in made if cell.error), None):
            raise ConfigError(f"{faulty.label}: {faulty.error}")
        return dict(zip(wanted, made, strict=True))

    def _case(self, one: Asked, cases: Sequence[Case]) -> Case | None:
        """The one with the runs of this sweep; None where no pair has ended."""
        found = [case for case in cases if case.experiment == self._experiment and case.values]
        if len(found) > 1:
            raise ConfigError(
                f"hydra.sweeper.until=settled: {one.claim.id} has runs in {len(found)} settings: sweep one at a time"
            )
        return found[0] if found else None


def _of(some: int, number: int) -> str:
    return f"all {number}" if some == number else f"{some} of {number}"


def first_seed(values: str | None) -> int:
    """The first of an experiment's seeds, as `11,12,13`; 1 where it names none."""
    found = re.search(r"\d+", values or "")
    return int(found[0]) if found else _USUAL_FIRST


def expected_seeds(asked: Sequence[Asked], needs: Mapping[str, Sequence[int]]) -> dict[int, float]:
    """The mean number of seeds of each arm, over worlds in which differences are about the margin, as is their noise."""
    random = np.random.default_rng(0)
    counts: dict[int, list[int]] = {at: [] for of_claim in needs.values() for at in of_claim}
    for _ in range(_WORLDS):
        looks = Looks(asked)
        drawn = {one.claim.id: _drawn(one, random, looks.looks[-1]) for one in asked}
        seeds = dict.fromkeys(counts, 0)
        for number in looks.looks:
            seeds |= {at: number for one in looks.open for at in needs[one.claim.id]}
            looks.look(number, {name: values[:number] for name, values in drawn.items()})
        for at, count in seeds.items():
            counts[at].append(count)
    return {at: fmean(of_worlds) for at, of_worlds in counts.items()}


def _drawn(one: Asked, random: np.random.Generator, seeds: int) -> list[float]:
    claim = one.claim
    middle = claim.share if claim.relation == "reaches" else 0.0
    true = middle + claim.margin * random.normal()
    return [true + claim.margin * float(noise) for noise in random.normal(size=seeds)]


def _values(cell: Cell) -> dict[str, Any]:
    """The configuration of a run, flat, as its record will have it."""
    assert cell.job is not None
    return leaves(asdict(cell.job.config))


def _needed(one: Asked, values: Mapping[int, Mapping[str, Any]]) -> list[int]:
    """The arms on the two sides of a claim; none where one side has none."""
    sides = [
        [at for at, of_arm in values.items() if is_selected(of_arm, side)] for side in (one.claim.treatment, one.claim.control)
    ]
    return sorted({at for side in sides for at in side}) if all(sides) else []
