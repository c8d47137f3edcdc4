"""What the answers of range finders are worth: a run of triangular2 at each, beside a grid of peaks by hand.

`cd scripts && python -m bench.consequence --data DATA`, half an hour of a busy core; it goes on with the problems that its
record lacks. A finder that is not installed is left out, with a line. Ours chose its constants on three problems, the digits
and the regression; the others were run once, afterwards.
"""

import argparse
import contextlib
import importlib.util
import io
import json
import math
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytorch_lightning as lightning
import torch
from rich.progress import track
from torch.utils.data import DataLoader

from bench.consequence_problems import Kind, kinds
from clrbench import environment
from clrbench.files import write_text
from clrbench.quiet import quiet
from clrbench.range_test.standalone import LRRangeTest
from clrbench.report.tables import to_markdown
from clrbench.schedules import named

ROOT = Path(__file__).parents[2]
SEEDS = range(5)
CYCLES, BASE = 3, 0.25
# A net that has no number for a loss is as bad as one that guesses, or worse: in percent, or as a loss.
WORST = {True: 90.0, False: 10.0}
OURS, HAND = "clrbench", "grid by hand"
Answer = tuple[float | None, tuple[float, float] | None]


def trained(kind: Kind, peak: float, seed: int) -> float:
    """The result on the test set of three cycles of triangular2 from a quarter of `peak` up to it."""
    module = kind.module(seed)
    optimizer = kind.optimizer(module.net, peak)
    rates = named("triangular2", base_lr=BASE * peak, max_lr=peak, step_size=kind.steps // (2 * CYCLES))(np.arange(kind.steps))
    loader, done = kind.loader(seed), 0
    while done < kind.steps:
        for inputs, targets in loader:
            if done == kind.steps:
                break
            for group in optimizer.param_groups:
                group["lr"] = float(rates[done])
            loss = kind.loss(module.net(inputs), targets)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            done += 1
    result = kind.result(module.net)
    return min(result, WORST[kind.in_percent]) if math.isfinite(result) else WORST[kind.in_percent]


def ours(kind: Kind, seed: int, ramps: int) -> Answer:
    """The range test without settings, on the module's val_loss."""
    test = LRRangeTest(seeds=range(seed * ramps, (seed + 1) * ramps))
    bounds = test.run(kind.module(seed), kind.loader(seed), DataLoader(kind.sets[1], 500), monitor="val_loss").bounds
    return bounds.max_lr, bounds.max_interval


def lightnings(kind: Kind, seed: int) -> Answer:
    """Lightning's suggestion with its own settings."""
    from pytorch_lightning.tuner.tuning import Tuner

    with tempfile.TemporaryDirectory() as folder, quiet():
        trainer = lightning.Trainer(
            default_root_dir=folder, logger=False, enable_progress_bar=False, enable_model_summary=False, max_epochs=99
        )
        found = Tuner(trainer).lr_find(kind.module(seed), kind.loader(seed), update_attr=False)
    return (found.suggestion() if found else None), None


def torch_lr_finders(kind: Kind, seed: int) -> Answer:
    """torch-lr-finder's suggestion with the settings of its README."""
    from matplotlib.figure import Figure
    from torch_lr_finder import LRFinder

    module = kind.module(seed)
    finder = LRFinder(module.net, kind.optimizer(module.net, 1e-7), kind.loss, device="cpu")
    finder.range_test(kind.loader(seed), end_lr=100, num_iter=100)
    answer = finder.plot(ax=Figure().subplots())
    return (float(answer[1]) if isinstance(answer, tuple) and answer[1] is not None else None), None


def fastais(kind: Kind, seed: int) -> Answer:
    """fastai's valley with its own settings."""
    from fastai.callback.schedule import valley
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner
    from fastai.optimizer import OptimWrapper

    rule = {"opt": torch.optim.AdamW} if kind.adam else {"opt": torch.optim.SGD, "momentum": 0.9}
    module = kind.module(seed)
    torch.manual_seed(seed)
    loaders = DataLoaders(kind.loader(seed), DataLoader(kind.sets[1], 500))
    with tempfile.TemporaryDirectory() as folder:
        learner = Learner(loaders, module.net, loss_func=kind.loss, opt_func=partial(OptimWrapper, **rule), path=folder)
        with learner.no_bar(), learner.no_logging():
            found = learner.lr_find(suggest_funcs=(valley,), show_plot=False)
    return float(found.valley), None


FINDERS: Mapping[str, tuple[str, Callable[[Kind, int], Answer]]] = {
    OURS: ("clrbench", partial(ours, ramps=3)),
    "Lightning lr_find": ("pytorch_lightning", lightnings),
    "torch-lr-finder": ("torch_lr_finder", torch_lr_finders),
    "fastai valley": ("fastai", fastais),
}


def peaks(kind: Kind) -> list[float]:
    """Those that are tried by hand, in steps of two."""
    first, last = (-11, -3) if kind.adam else (-8, -1)
    return [2.0**power for power in range(first, last + 1)]


def measure(kind: Kind, tick: Callable[[], object]) -> dict[str, Any]:
    """For the grid each peak's results, and for each finder its answers, intervals, seconds and results, seed by seed."""
    grid: dict[str, list[float]] = {}
    for peak in peaks(kind):
        grid[str(peak)] = [trained(kind, peak, seed) for seed in SEEDS]
        tick()
    found: dict[str, Any] = {"grid": grid, "in_percent": kind.in_percent, "finders": {}}
    for name, (package, ask) in FINDERS.items():
        if importlib.util.find_spec(package) is None:
            print(f"{name} is left out: {package} is not installed")
            continue
        rows = []
        for seed in SEEDS:
            started = time.perf_counter()
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                rate, interval = ask(kind, seed)
            seconds = time.perf_counter() - started
            result = WORST[kind.in_percent] if rate is None else trained(kind, rate, seed)
            rows.append({"rate": rate, "interval": interval, "seconds": seconds, "result": result})
            tick()
        found["finders"][name] = rows
    return found


def table(record: Mapping[str, Any]) -> pl.DataFrame:
    """A row a problem: the grid's best mean with its peak, and each finder's mean result."""
    rows = []
    for problem, found in record.items():
        peak, best = min(found["grid"].items(), key=lambda item: np.mean(item[1]))
        means = {name: float(np.mean([row["result"] for row in found["finders"][name]])) for name in found["finders"]}
        unit = "error in %" if found["in_percent"] else "test loss"
        rows.append({"problem": problem, "result": unit, "by hand": float(np.mean(best)), "peak": float(peak), **means})
    return pl.DataFrame(rows)


def spread(record: Mapping[str, Any]) -> pl.DataFrame:
    """A row a finder: how far its answers lie apart over seeds (the median of the problems), what they cost, and how many
    of its intervals contain the answer of the next seed."""
    rows = []
    for name in FINDERS:
        measured = [found["finders"][name] for found in record.values() if name in found["finders"]]
        if not measured:
            continue
        factors = [max(rates) / min(rates) for rows_ in measured if (rates := [row["rate"] for row in rows_ if row["rate"]])]
        pairs = [(one, rows_[(at + 1) % len(rows_)]) for rows_ in measured for at, one in enumerate(rows_) if one["interval"]]
        held = [one["interval"][0] <= (other["rate"] or 0) <= one["interval"][1] for one, other in pairs]
        rows.append(
            {
                "finder": name,
                "highest/lowest rate": float(np.median(factors)),
                "at worst": max(factors),
                "without": sum(row["rate"] is None for rows_ in measured for row in rows_),
                "seconds": float(np.median([row["seconds"] for rows_ in measured for row in rows_])),
                "intervals that contain the next seed's rate": f"{sum(held)} of {len(held)}" if held else "has none",
            }
        )
    return pl.DataFrame(rows)


def cost(known: Mapping[str, Kind]) -> pl.DataFrame:
    """A row a problem: processor seconds and steps of our range test with three ramps and with one, and of torch-lr-finder."""
    rows = []
    for problem, kind in track(known.items(), "measuring", transient=True):
        row: dict[str, Any] = {"problem": problem}
        for ramps in (3, 1):
            test, started = LRRangeTest(seeds=range(ramps)), time.process_time()
            found = test.run(kind.module(0), kind.loader(0), DataLoader(kind.sets[1], 500), monitor="val_loss")
            seconds = round(time.process_time() - started, 2)
            row |= {f"{ramps} ramps, s": seconds, f"{ramps} ramps, steps": found.steps}
        started = time.process_time()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            torch_lr_finders(kind, 0)
        rows.append({**row, "torch-lr-finder, s": round(time.process_time() - started, 2)})
    return pl.DataFrame(rows)


def main() -> None:
    """Write the record, problem by problem, and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT / "data", help="where fashion_mnist.npz and cifar10.npz lie (data)")
    parser.add_argument("--to", type=Path, default=ROOT / "outputs" / "bench", help="where the record goes (outputs/bench)")
    parser.add_argument("--problems", type=int, nargs="*", help="their numbers, from 0 (all)")
    parser.add_argument("--cost", action="store_true", help="print what finding takes, and write nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    known = kinds(ROOT, arguments.data)
    if arguments.cost:
        print(to_markdown(cost(known)))
        return
    chosen = [list(known)[number] for number in arguments.problems] if arguments.problems else list(known)
    written = arguments.to / "consequence.json"
    record: dict[str, Any] = json.loads(written.read_text(encoding="utf-8"))["problems"] if written.exists() else {}
    chosen = [name for name in chosen if name not in record]
    total = sum(len(peaks(known[name])) + len(FINDERS) * len(SEEDS) for name in chosen)
    ticks = iter(track(range(total), "training", transient=True))
    for name in chosen:
        record[name] = measure(known[name], lambda: next(ticks, None))
        content = {"command": "python -m bench.consequence", **environment.describe(), "problems": record}
        write_text(written, json.dumps(content, indent=1) + "\n")
    print(to_markdown(table(record)))
    print(to_markdown(spread(record)))


if __name__ == "__main__":
    main()
