"""Save the comparison of runs on Weights & Biases: a workspace an experiment, and a report with the verdicts."""

import argparse
import os
import sys
from pathlib import Path

from clrbench.errors import ClrbenchError
from clrbench.report.contents import gather
from clrbench.tracking.wandb_comparison import save, selected

CONF = Path(__file__).resolve().parents[1] / "conf"


def main() -> None:
    """Save them, or update what was saved before; the process ends with 1 where that is not possible."""
    parser = argparse.ArgumentParser(description=__doc__)
    project = os.environ.get("WANDB_PROJECT") or "clrbench"
    parser.add_argument("--project", default=project, help="the W&B project ($WANDB_PROJECT, else clrbench)")
    parser.add_argument("--entity", help="the W&B user or team (the account's own)")
    parser.add_argument("--results", type=Path, default=Path("results"), help="where records lie (results)")
    parser.add_argument("--experiment", help="this experiment alone (all of which you have runs)")
    arguments = parser.parse_args()
    title = f"clrbench: {arguments.experiment or 'the claims of the paper'}"
    try:
        contents = gather(arguments.results, CONF)
        for fault in contents.faults:
            print(f"left out: {fault}", file=sys.stderr)
        sections, verdicts = selected(contents, arguments.experiment)
        for saved in save(arguments.project, arguments.entity, title, sections, verdicts):
            print(f"{saved.name}: {saved.url}")
    except (ClrbenchError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("error: interrupted; the same command saves the rest")


if __name__ == "__main__":
    main()
