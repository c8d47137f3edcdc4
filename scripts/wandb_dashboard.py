"""Save the comparison of runs on Weights & Biases: a workspace an experiment, and a report with the verdicts. `make wandb`."""

from clrbench import subcommands

if __name__ == "__main__":
    subcommands.wandb()
