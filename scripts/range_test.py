"""Measure bounds: `python scripts/range_test.py data=cifar10 model=cifar10_full`, `make range-test DATA=... MODEL=...`."""

from clrbench import cli

if __name__ == "__main__":
    cli.range_test()
