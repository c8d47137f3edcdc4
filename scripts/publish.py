"""Copy the finished records of an experiment from results/runs to results/evidence: `make publish EXPERIMENT=table1`."""

from clrbench import subcommands

if __name__ == "__main__":
    subcommands.publish()
