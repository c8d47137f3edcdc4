"""Measure bounds: `python scripts/range_test.py data=cifar10 model=cifar10_full`, `make range-test DATA=... MODEL=...`."""

from clrbench import interrupts

if __name__ == "__main__":
    interrupts.tell_in_one_line()  # also while what follows is imported, which takes seconds
    from clrbench import cli

    cli.range_test()
