"""One run of the suite, or with -m a sweep: `python train.py policy=exp_range`; `python train.py --help` lists the choices."""

from clrbench import interrupts

interrupts.tell_in_one_line()  # also while what follows is imported, which takes seconds

import hydra
from omegaconf import DictConfig

from clrbench import cli, config

config.register()


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(composed: DictConfig) -> float | None:
    """Carry out the run that the command line describes; returns its value, for a sweeper that optimises."""
    return cli.run_one(composed)


if __name__ == "__main__":
    cli.main(main)
