from pathlib import Path

import polars as pl

rows = []
for file in Path("runs").glob("*/*/metrics.csv"):
    accuracy = pl.read_csv(file)["val_accuracy"].drop_nulls()[-1]
    rows.append({"policy": file.parts[1], "seed": file.parts[2], "accuracy": 100 * accuracy})
runs = pl.DataFrame(rows)
print(runs.group_by("policy").agg(pl.len(), pl.mean("accuracy"), pl.std("accuracy").alias("std")).sort("policy"))
