import polars as pl
from scipy.stats import ttest_rel

runs = pl.read_csv("sweep.csv").pivot("policy", index="seed", values="accuracy")
test = ttest_rel(runs["triangular2"], runs["triangular"])
interval = test.confidence_interval()
print(f"triangular2 - triangular: [{interval.low:+.2f}, {interval.high:+.2f}] points, p = {test.pvalue:.3f}")
