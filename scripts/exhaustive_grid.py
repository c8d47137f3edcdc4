"""What a decision's answer loses beside a full grid: `python scripts/exhaustive_grid.py outputs/decide/NAME.json`.

Sweeps run every family at each peak that the decision tried, with eight seeds that no decision takes, on test data. The same
command goes on after an interruption.
"""

import argparse
import json
import math
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from clrbench.analysis.commands import as_typed
from clrbench.analysis.pairs import in_words, paired
from clrbench.measure import Measure
from clrbench.runs import OWN, Run, read_runs

ROOT = Path(__file__).resolve().parents[1]
SEEDS = range(101, 109)
_OF_CANDIDATE = ("arm=", "bounds.", "seed=")
# {(family, peak): {seed: value of the metric}}; minus or plus infinity, whichever is worse, where a run diverged.
Grid = Mapping[tuple[str, float], Mapping[int, float]]


def typed(decision: Mapping[str, Any]) -> list[str]:
    """What all runs of a decision have in common, from the command of its answer."""
    words = shlex.split(decision["command"])
    return [word for word in words if "=" in word and not word.startswith(_OF_CANDIDATE)]


def sweeps(decision: Mapping[str, Any]) -> dict[float, list[str]]:
    """{peak: what is typed for the sweep of the families that the decision tried there}."""
    ratio = decision["chosen"]["max_lr"] / decision["chosen"]["base_lr"]
    arms: dict[float, list[str]] = {}
    for family, peaks in decision["peaks"].items():
        for peak in map(float, peaks):
            arms.setdefault(peak, []).append(decision["arms"][family])
    return {
        peak: [*typed(decision), f"arm={','.join(of_peak)}", f"bounds.base_lr={peak / ratio:g}", f"bounds.max_lr={peak:g}"]
        for peak, of_peak in sorted(arms.items())
    }


def grid(decision: Mapping[str, Any], runs: Sequence[Run]) -> Grid:
    """The values of the runs that those sweeps made."""
    names = {arm: family for family, arm in decision["arms"].items()}
    worst = -math.inf if decision["mode"] == "max" else math.inf
    shared = set(typed(decision))
    found: dict[tuple[str, float], dict[int, float]] = {}
    for run in runs:
        words = [as_typed(str(text)) for text in run.config.get("overrides", ())]
        others = {word for word in words if not word.startswith((*_OF_CANDIDATE, "tracking."))}
        if run.result.arm in names and run.result.seed in SEEDS and others == shared:
            cell = found.setdefault((names[run.result.arm], float(run.values["bounds.max_lr"])), {})
            cell[run.result.seed] = worst if run.result.value is None else run.result.value
    return found


def table(measure: Measure, found: Grid) -> str:
    """The mean of each family at each peak, in Markdown; a dash where the decision did not try it."""
    families, peaks = dict.fromkeys(family for family, _ in found), sorted({peak for _, peak in found})
    lines = [f"| family | {' | '.join(f'{peak:g}' for peak in peaks)} |", f"| --- |{' ---: |' * len(peaks)}"]
    for family in families:
        cells = (found.get((family, peak)) for peak in peaks)
        shown = ("-" if not cell else _mean(measure, cell) for cell in cells)
        lines.append(f"| {family} | {' | '.join(shown)} |")
    return "\n".join(lines)


def _mean(measure: Measure, cell: Mapping[int, float]) -> str:
    lost = sum(map(math.isinf, cell.values()))
    return f"{lost} of {len(cell)} diverged" if lost else measure.value(fmean(cell.values()))


def regret(decision: Mapping[str, Any], measure: Measure, found: Grid) -> list[str]:
    """How much better than the answer the best of the grid is, in words. It is the best by these same runs."""
    chosen = decision["chosen"]["family"], float(f"{decision['chosen']['max_lr']:g}")
    best = max(found, key=lambda key: measure.sign * fmean(found[key].values()))
    stands = [f"{what}: {family} at {peak:g}" for what, (family, peak) in (("best of the grid", best), ("answer", chosen))]
    ahead = [measure.sign * value for value in paired(found[best], found[chosen])]
    return [
        *(f"{words}, {_mean(measure, found[key])}" for words, key in zip(stands, (best, chosen), strict=True)),
        "regret: 0, the answer is the best of the grid" if best == chosen else f"regret: {in_words(ahead, measure)}",
    ]


def main() -> None:
    """Run what is left of the grid, and print its table and the regret."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("decision", type=Path, help="the answer of a decision as JSON, in outputs/decide")
    decision = json.loads(parser.parse_args().decision.read_text(encoding="utf-8"))
    for overrides in sweeps(decision).values():
        seeds = f"seed={','.join(map(str, SEEDS))}"
        done = subprocess.run([sys.executable, ROOT / "train.py", "-m", *overrides, seeds], cwd=ROOT, check=False)
        if done.returncode:
            sys.exit(done.returncode)
    measure = Measure(decision["metric"], decision["mode"], decision["unit"], decision["margin"])
    found = grid(decision, read_runs(ROOT / "results", [OWN])[0])
    runs = sum(map(len, found.values()))
    print(f"{runs} runs of {decision['iterations']:,} iterations, mean {measure.heading}", table(measure, found), sep="\n\n")
    print("", *regret(decision, measure, found), sep="\n")


if __name__ == "__main__":
    main()
