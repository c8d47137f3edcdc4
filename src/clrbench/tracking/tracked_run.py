"""What W&B is told about a run: at its start, and again when its record is uploaded later."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clrbench.config import Tracking
from clrbench.files import write_text
from clrbench.store import Record, label_of
from clrbench.tracking.wandb_environment import agents_run_id, extra_tags

_FILE = "wandb/tracked.json"


@dataclass(frozen=True)
class TrackedRun:
    """A run as W&B sees it; `job_type` is the arm, or the policy of a run without one.

    log_every: the number of iterations between two points of the rate.
    """

    run_id: str
    name: str
    experiment: str
    job_type: str
    tags: Sequence[str]
    config: Mapping[str, Any]
    project: str
    entity: str | None
    log_every: int

    @classmethod
    def of(cls, record: Record, tracking: Tracking) -> "TrackedRun":
        """The run of a record, under the id that a W&B agent wants where there is one.

        Raises ClrbenchError for a damaged record, KeyError for one of a run that was never made.
        """
        settings = record.config()
        identity, policy = settings["identity"], settings["policy"]["name"]
        return cls(
            run_id=agents_run_id() or settings["run_id"],
            name=record.folder.name,
            experiment=settings["experiment"],
            job_type=label_of(settings.get("arm"), policy),
            tags=list(dict.fromkeys([settings["data"]["name"], settings["model"]["name"], *extra_tags()])),
            # The identity leaves the name out, for it decides no number; but it is what people sort their runs by.
            config={**identity, "policy": {"name": policy, **identity["policy"]}},
            project=tracking.project,
            entity=tracking.entity,
            log_every=tracking.log_every,
        )

    def write(self, folder: Path) -> None:
        """Note it in the run's working folder, for an upload later."""
        write_text(folder / _FILE, json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def read(cls, folder: Path) -> "TrackedRun | None":
        """What was noted there, None where nothing was."""
        try:
            return cls(**json.loads((folder / _FILE).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
