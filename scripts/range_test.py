"""Measure bounds: `python scripts/range_test.py data=cifar10 model=cifar10_full`, `make range-test DATA=... MODEL=...`."""

import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig
from rich.console import Console

from clrbench import cli, config
from clrbench.errors import ClrbenchError

config.register()


@hydra.main(version_base="1.3", config_path="../conf", config_name="config")
def main(composed: DictConfig) -> None:
    """Carry out the ramps, print the bounds and draw the curve."""
    from clrbench.range_test.carry import carry_out
    from clrbench.range_test.measure import to_measure
    from clrbench.range_test.picture import draw
    from clrbench.report.terminal import print_bounds

    try:
        measured = carry_out(to_measure(composed), print)
    except (ClrbenchError, OSError) as error:
        sys.exit(f"error: {' '.join(str(error).split())}")  # Hydra would print a line of its own about it
    picture = Path(composed.paths.results) / "report" / f"range_test-{'-'.join(measured.subject)}.svg"
    draw(measured.curves, measured.bounds, ", ".join(measured.subject), picture)
    console = Console(highlight=False, soft_wrap=True)
    print_bounds(console, measured.bounds, cli.command_with("train.py", "bounds=range_test"))
    console.print(str(picture))


if __name__ == "__main__":
    cli.main(main)
