"""The judgement of a range test on W&B: a run beside its ramps, with the bounds and the picture."""

import contextlib
import json
from pathlib import Path
from typing import Any

from clrbench.config import Config
from clrbench.files import write_text
from clrbench.identity import digits
from clrbench.lock import HeldElsewhereError, locked
from clrbench.range_test.judge import FoundBounds
from clrbench.range_test.records import RANGE_TEST, Measured
from clrbench.store import run_folder
from clrbench.tracking.tracked_run import TrackedRun
from clrbench.tracking.wandb import WAIT_AT_END, Uploader
from clrbench.tracking.wandb_environment import DISABLED, Say, extra_tags, is_disabled

JOB_TYPE, PICTURE = "judgement", "picture"
_SUMMARY = "judgement.json"


def mirror_judgement(measured: Measured, config: Config, say: Say) -> None:
    """Mirror what was judged, once: the same judgement of the same ramps is one W&B run. Waits for it, but not for long.

    config: says whether and where to mirror, and where working files lie.
    """
    run = _tracked(measured, config)
    folder = run_folder(Path(config.paths.outputs), RANGE_TEST, run.name)
    is_mirrored = folder / "mirrored"
    if config.tracking.wandb == DISABLED or is_mirrored.exists() or is_disabled():
        return
    with contextlib.suppress(HeldElsewhereError), locked(folder):
        mirror = Uploader(config.tracking.wandb, run, folder, say)
        mirror.start()
        mirror.put(lambda wandb_run: _draw_and_log(wandb_run, measured, folder))
        if mirror.close(WAIT_AT_END):
            is_mirrored.touch()


def is_judgement(folder: Path) -> bool:
    """Whether a working folder is that of a judgement, which has no record of its own."""
    return (folder / _SUMMARY).exists()


def log_judgement(wandb_run: Any, folder: Path) -> None:
    """Log the judgement in this working folder."""
    import wandb

    picture = folder / f"{PICTURE}.png"
    if wandb_run.starting_step == 0:
        wandb_run.log({PICTURE: wandb.Image(str(picture))}, step=0, commit=True)
    elif known := wandb_run.summary.get(PICTURE):
        # The line may have got there without the picture that it names.
        copy = folder / known["path"]
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(picture.read_bytes())
        wandb_run.save(str(copy), base_path=str(folder), policy="now")
    wandb_run.summary.update(json.loads((folder / _SUMMARY).read_text(encoding="utf-8")))


def _draw_and_log(wandb_run: Any, measured: Measured, folder: Path) -> None:
    from clrbench.range_test.picture import draw

    title = ", ".join(measured.subject)
    draw(measured.curves, measured.bounds, title, folder / f"{PICTURE}.png", measured.classes)
    write_text(folder / _SUMMARY, json.dumps(_summary(measured.bounds), indent=2) + "\n")
    log_judgement(wandb_run, folder)


def _tracked(measured: Measured, config: Config) -> TrackedRun:
    ramps, bounds = measured.runs, measured.bounds
    first = ramps[0]
    names = sorted(ramp.result.name for ramp in ramps)
    # Of the same ramps a later version of the judge may see other bounds, which are another run: no run is ever rewritten.
    judged = [names, bounds.rule, bounds.verdict, *(f"{name} {rate:.2g}" for name, rate, _ in bounds.found)]
    run_id = digits(judged)
    settings = {key: value for key, value in first.identity.items() if key != "seed"}
    return TrackedRun(
        run_id=run_id,
        name=f"{JOB_TYPE}-{first.identity['iterations']}-{run_id}",
        experiment=RANGE_TEST,
        job_type=JOB_TYPE,
        tags=[first.result.data, first.result.model, *extra_tags()],
        config={**settings, "seeds": [ramp.result.seed for ramp in ramps], "ramps": names, "rule": bounds.rule},
        project=config.tracking.project,
        entity=config.tracking.entity,
        log_every=config.tracking.log_every,
    )


def _summary(bounds: FoundBounds) -> dict[str, Any]:
    """The bounds where there are any, each with its interval, and why."""
    summary: dict[str, Any] = {"verdict": bounds.verdict, "reasons": " ".join(bounds.reasons)}
    for name, rate, (low, high) in bounds.found:
        summary |= {name: rate, f"{name}_low": low, f"{name}_high": high}
    return summary
