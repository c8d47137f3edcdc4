"""Make your own report, outputs/report, from the records: `make report`."""

from clrbench import subcommands

if __name__ == "__main__":
    subcommands.report()
