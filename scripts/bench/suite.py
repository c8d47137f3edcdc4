"""All figures of the suite itself in one run."""

import tempfile
from pathlib import Path

from bench import callback, evaluation, loop, start, step, store, sweep, task
from bench.figure import Figure
from bench.sizes import Sizes


def measure(conf: Path, sizes: Sizes) -> list[Figure]:
    """The figures, in the order of the table. `conf` is the folder of configurations."""
    figures: list[Figure] = []
    for part in (step, loop, task, callback, evaluation, start, sweep, store):
        with tempfile.TemporaryDirectory() as folder:
            figures += part.measure(conf, Path(folder), sizes)
    return figures
