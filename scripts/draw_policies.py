"""Draw every policy of conf/policy as the paper's CIFAR-10 run has it, in one picture: docs/policies/policies.svg."""

import argparse
from pathlib import Path

from hydra import compose, initialize_config_dir

from clrbench import config
from clrbench.policies import schedule_of
from clrbench.report.policy_pictures import draw_policies

ROOT = Path(__file__).resolve().parents[1]
ITERATIONS_PER_EPOCH = 500  # CIFAR-10 at batch 100
BUDGETS = {"step": 70_000, "dropping": 16_000, "exp": 70_000, "exp_range": 42_000, "triangular2_staged": 25_000}

PAPERS_GAMMA = ("exp", "exp_range")  # sections 4.1.1 and 4.1.2

# The paper's first; others behind them, by name.
FIRST = ("triangular", "triangular2", "exp_range", "fixed", "step", "exp", "decay", "triangular2_staged")


def _place(name: str) -> tuple[int, str]:
    return FIRST.index(name) if name in FIRST else len(FIRST), name


def main() -> None:
    """Draw them all."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    config.register()
    names = sorted((path.stem for path in (ROOT / "conf" / "policy").glob("*.yaml")), key=_place)
    drawn = {}
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        for name in names:
            budget = BUDGETS.get(name, 24_000)
            gamma = ["policy.gamma=0.99994"] if name in PAPERS_GAMMA else []
            composed = compose("config", [f"policy={name}", "bounds=paper", f"iterations={budget}", *gamma])
            drawn[name] = (schedule_of(config.checked(composed), ITERATIONS_PER_EPOCH), budget)
    for path in draw_policies(drawn, ROOT / "docs" / "policies"):
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
