"""Show the runs in Trackio, on this machine only and live while a sweep goes on: `make dashboard`. Ctrl-C ends it."""

from clrbench import subcommands

if __name__ == "__main__":
    subcommands.dashboard()
