"""The judgement of a range test on W&B: a run beside its ramps, with the bounds and the picture."""

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

from clrbench.claim import HeldElsewhereError, claimed
from clrbench.config import Config
from clrbench.range_test.judge import Bounds
from clrbench.range_test.records import RANGE_TEST, Measured
from clrbench.store import run_folder
from clrbench.tracking.wandb import WAIT_AT_END, Mirror, Say, TrackedRun

JOB_TYPE, PICTURE = "judgement", "picture"


def mirror_judgement(measured: Measured, config: Config, say: Say) -> None:
    """Mirror what was judged, once: the same judgement of the same ramps is one W&B run. Waits for it, but not for long.

    config: says whether and where to mirror, and where working files lie.
    """
    run = _tracked(measured, config)
    is_mirrored = run.folder / "mirrored"
    if config.tracking.wandb == "disabled" or is_mirrored.exists():
        return
    with contextlib.suppress(HeldElsewhereError), claimed(run.folder):
        mirror = Mirror(config.tracking, run, say)
        mirror.start()
        mirror.put(lambda wandb_run: _log(mirror, wandb_run, measured, run.folder / f"{PICTURE}.png"))
        if mirror.close(WAIT_AT_END):
            is_mirrored.touch()


def _log(mirror: Mirror, wandb_run: Any, measured: Measured, picture: Path) -> None:
    import wandb

    from clrbench.range_test.picture import draw

    draw(measured.curves, measured.bounds, ", ".join(measured.subject), picture)
    mirror.log(wandb_run, {PICTURE: wandb.Image(str(picture))})
    wandb_run.summary.update(_summary(measured.bounds))


def _tracked(measured: Measured, config: Config) -> TrackedRun:
    ramps, bounds = measured.runs, measured.bounds
    first = ramps[0]
    names = sorted(ramp.result.name for ramp in ramps)
    # Of the same ramps a later version of the judge may see other bounds, which are another run: no run is ever rewritten.
    judged = [names, bounds.rule, bounds.verdict, *(f"{name} {rate:.2g}" for name, rate, _ in bounds.found)]
    run_id = hashlib.sha256(json.dumps(judged).encode()).hexdigest()[:10]
    name = f"{JOB_TYPE}-{first.identity['iterations']}-{run_id}"
    settings = {key: value for key, value in first.identity.items() if key != "seed"}
    return TrackedRun(
        run_id=run_id,
        name=name,
        experiment=RANGE_TEST,
        job_type=JOB_TYPE,
        tags=[first.result.data, first.result.model],
        config={**settings, "seeds": [ramp.result.seed for ramp in ramps], "ramps": names, "rule": bounds.rule},
        folder=run_folder(Path(config.paths.outputs), RANGE_TEST, name),
    )


def _summary(bounds: Bounds) -> dict[str, Any]:
    """The bounds where there are any, each with its interval, and why."""
    summary: dict[str, Any] = {"verdict": bounds.verdict, "reasons": " ".join(bounds.reasons)}
    for name, rate, (low, high) in bounds.found:
        summary |= {name: rate, f"{name}_low": low, f"{name}_high": high}
    return summary
