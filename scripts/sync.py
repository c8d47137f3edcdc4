"""Upload to W&B, from the records, what it lacks: runs that were offline, or whose server went away. `make sync`."""

from clrbench import subcommands

if __name__ == "__main__":
    subcommands.sync()
