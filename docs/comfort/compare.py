import polars as pl

runs = pl.read_csv("sweep.csv")
print(runs.group_by("policy").agg(pl.len(), pl.mean("accuracy"), pl.std("accuracy").alias("std")).sort("policy"))
