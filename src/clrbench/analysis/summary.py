"""What a set of runs amounts to, arm by arm."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

# Not scipy.stats, whose import takes longer than the table of a thousand runs.
from scipy.special import stdtrit

from clrbench.store import DIVERGED, FAILED, FINISHED, Record, Result

CONFIDENCE = 0.95
SCHEMA = {
    "data": pl.String,
    "model": pl.String,
    "policy": pl.String,
    "settings": pl.String,
    "iterations": pl.Int64,
    "runs": pl.Int64,
    "diverged": pl.Int64,
    "failed": pl.Int64,
    "test_accuracy": pl.Float64,
    "half_width": pl.Float64,
    "seconds": pl.Float64,
}


def summarize(records: Iterable[Record]) -> pl.DataFrame:
    """One row an arm: runs that differ in nothing but the seed. What could not be run has no identity and is left out.

    Columns: data, model, policy; settings, what tells the arm from others of the same policy; iterations, the budget; runs,
    diverged and failed, which count them by how they ended; test_accuracy, the mean of the finished runs in percent;
    half_width, half of its 95% interval by Student's t, null for fewer than two runs; seconds, their mean training time.
    """
    arms: dict[str, list[Result]] = defaultdict(list)
    identities: dict[str, Mapping[str, Any]] = {}
    for record in records:
        result = record.result()
        identity = record.config().get("identity") if result is not None else None
        if result is not None and identity is not None:
            settings = {key: value for key, value in _leaves(identity).items() if key != "seed"}
            arm = repr(sorted(settings.items()))
            arms[arm].append(result)
            identities[arm] = settings
    policies = {arm: results[0].policy for arm, results in arms.items()}
    rows = []
    for arm, results in arms.items():
        rivals = [identities[other] for other in arms if policies[other] == policies[arm]]
        rows.append(
            {
                "data": results[0].data,
                "model": results[0].model,
                "policy": policies[arm],
                "settings": _differences(identities[arm], rivals),
                "iterations": identities[arm]["iterations"],
                **_outcome(results),
            }
        )
    return pl.DataFrame(rows, schema=SCHEMA)


def _outcome(results: Sequence[Result]) -> dict[str, Any]:
    finished = [result for result in results if result.status == FINISHED]
    accuracies = [result.test_accuracy for result in finished if result.test_accuracy is not None]
    return {
        "runs": len(finished),
        "diverged": sum(result.status == DIVERGED for result in results),
        "failed": sum(result.status == FAILED for result in results),
        "test_accuracy": sum(accuracies) / len(accuracies) if accuracies else None,
        "half_width": half_width(accuracies),
        "seconds": sum(result.seconds for result in finished) / len(finished) if finished else None,
    }


def half_width(values: Sequence[float]) -> float | None:
    """Half of the 95% interval of the mean of `values` by Student's t; None for fewer than two."""
    if len(values) < 2:
        return None
    standard_error = np.std(values, ddof=1) / np.sqrt(len(values))
    return float(standard_error * stdtrit(len(values) - 1, (1 + CONFIDENCE) / 2))


def _leaves(node: Any, key: str = "") -> dict[str, Any]:
    """Nested settings as {dotted key: value}."""
    if not isinstance(node, dict):
        return {key: node}
    return {name: value for child, item in node.items() for name, value in _leaves(item, f"{key}.{child}".lstrip(".")).items()}


def _differences(settings: Mapping[str, Any], rivals: Sequence[Mapping[str, Any]]) -> str:
    """The settings in which any rival differs, data and budget aside: these have columns of their own."""
    told = [key for key in settings if key != "iterations" and not key.startswith(("data.", "model."))]
    differing = [key for key in told if any(rival.get(key) != settings[key] for rival in rivals)]
    return ", ".join(f"{key.rpartition('.')[2]}={settings[key]}" for key in differing)
