"""A run of which W&B has a part: `wandb sync` would upload the whole of it behind that part, so only the rest is logged."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clrbench.tracking.wandb import begun_note, define_axes, settings

_TIMEOUT = 60.0


def may_be_known(log: Path) -> bool:
    """Whether an upload of this run, from `log` or from one that `log` has replaced, has begun before."""
    return log.with_name(f"{log.name}.syncstate").exists() or begun_note(log.parent.parent).exists()


def catch_up(log: Path, project: str | None, entity: str | None) -> None:
    """Log to W&B those lines of `log` that it lacks, and the summary. Raises what the client raises."""
    import wandb

    files = (log.parent / "files").resolve()
    entries = _entries(log)
    run = next(entry["run"] for entry in entries if entry["type"] == "run")
    history = [entry["history"]["item"] for entry in entries if entry["type"] == "history"]
    summary: dict[str, Any] = {}
    for entry in entries:
        if entry["type"] == "summary":
            summary |= _public(entry["summary"].get("update", {}))
    with tempfile.TemporaryDirectory() as folder:
        wandb_run = wandb.init(
            id=run["run_id"],
            name=run.get("display_name"),
            project=project or run.get("project"),
            entity=entity or run.get("entity") or None,
            group=run.get("run_group"),
            job_type=run.get("job_type"),
            tags=run.get("tags"),
            config=_public(run["config"]["update"]),
            dir=folder,
            mode="online",
            resume="allow",
            settings=settings(wandb),
        )
        define_axes(wandb_run)
        for line in history:
            if line["_step"] >= wandb_run.starting_step:
                pictures = {name: wandb.Image(str(files / line[f"{name}.path"])) for name in _pictures(line)}
                wandb_run.log(_plain(_public(line)) | pictures, step=line["_step"])
        # A line may have got there without the picture that it names.
        wandb_run.save(f"{files}/media/*/*", base_path=files, policy="now")
        wandb_run.summary.update(_plain(summary))
        wandb_run.finish()


def _entries(log: Path) -> Sequence[dict[str, Any]]:
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(log.resolve())]
    with tempfile.TemporaryDirectory() as folder:
        answer = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=_TIMEOUT)
    return [json.loads(line) for line in answer.stdout.splitlines()]


def _pictures(values: dict[str, Any]) -> list[str]:
    """The names of those among `values` that were pictures: of each, the client tells the fields NAME._type, NAME.path, ..."""
    return [name.removesuffix("._type") for name, value in values.items() if value == "image-file"]


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Without the fields of pictures."""
    pictures = _pictures(values)
    return {name: value for name, value in values.items() if name.rpartition(".")[0] not in pictures}


def _public(values: dict[str, Any]) -> dict[str, Any]:
    """Without W&B's own fields."""
    return {name: value for name, value in values.items() if not name.startswith("_")}
