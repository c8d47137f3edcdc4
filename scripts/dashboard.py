"""Show the record in Trackio, on this machine only and live while a sweep runs: `make dashboard`. Ctrl-C ends it."""

from clrbench import subcommands

if __name__ == "__main__":
    subcommands.dashboard()
