"""Say which policy, bounds and step size the runs speak for: `make advise DATA=cifar10 MODEL=cifar10_full`."""

from clrbench import subcommands

if __name__ == "__main__":
    subcommands.advise()
