"""The record of a cell that could not be run: RESULTS/runs/EXPERIMENT/invalid-DIGEST, with the reason in result.json.

A cell whose configuration is wrong has no identity, hence no folder by its name; its overrides stand for it. The record
has the status failed, no identity, and no place in any table; it goes away once the same overrides lead to a run.
"""

import contextlib
import shutil
from collections.abc import Sequence
from pathlib import Path

import yaml

from clrbench import environment, store
from clrbench.identity import digits
from clrbench.schema import SCHEMA
from clrbench.spec import without_places
from clrbench.store import Record, Result


def invalid_record(results: Path, experiment: str, overrides: Sequence[str]) -> Record:
    """Where the record of a cell that cannot be run lies."""
    return Record(store.run_folder(results, experiment, f"invalid-{digits(without_places(overrides))}"))


def write_invalid(record: Record, overrides: Sequence[str], reason: str) -> None:
    """Record why a cell could not be run. Raises OSError where nothing can be written."""
    name, experiment = record.folder.name, record.folder.parent.name
    record.write_config(yaml.safe_dump({"schema": SCHEMA, "overrides": without_places(overrides)}))
    record.write_result(
        Result(
            run_id=name.rpartition("-")[2],
            name=name,
            experiment=experiment,
            data="",
            model="",
            policy="",
            seed=0,
            status=store.FAILED,
            iterations=0,
            value=None,
            seconds=0.0,
            images_per_second=0.0,
            **environment.describe(),
            reason=reason,
        )
    )


def remove_invalid(record: Record) -> None:
    """Take the record away, if there is one."""
    if record.folder.is_dir():
        with contextlib.suppress(OSError):
            shutil.rmtree(record.folder)
