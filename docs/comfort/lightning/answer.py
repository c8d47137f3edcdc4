from pathlib import Path

import polars as pl
from scipy.stats import ttest_rel


def accuracies(policy):
    files = (Path("runs") / policy / f"version_{seed}" / "metrics.csv" for seed in (1, 2, 3, 4, 5))
    return [100 * pl.read_csv(file)["val_accuracy"].drop_nulls()[-1] for file in files]


test = ttest_rel(accuracies("triangular2"), accuracies("triangular"))
interval = test.confidence_interval()
print(f"triangular2 - triangular: [{interval.low:+.2f}, {interval.high:+.2f}] points, p = {test.pvalue:.3f}")
