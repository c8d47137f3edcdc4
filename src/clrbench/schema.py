"""The schema of records, and how records of older schemas are read.

    1   has no number. Images had the order of the file that they came from, which decided checksum and batches; identities
        held import paths and the name of the data set; an arm gave its name to its policy; the result was `test_accuracy`.
    2   images in an order of their own, public names, `arm` beside `policy`, and a result of metric, mode, unit and value.

Readers see every record as one of the newest schema. The files themselves are never rewritten.
"""

from collections.abc import Mapping
from typing import Any

from clrbench.identity import public

SCHEMA = 2
# The folder of conf/arm that experiments of schema 1 took their arms from.
_ARMS = {
    "controls": "controls",
    "imagenet_alexnet": "imagenet_alexnet",
    "imagenet_googlenet": "imagenet_googlenet",
    "quick": "quick",
    "sigmoid_bn": "sigmoid_bn",
    "table1": "table1",
    "table1_fifth": "table1",
    "table3": "table3",
    "table4_cifar10": "table4",
    "table4_cifar100": "table4",
}
_POLICIES = {"staged": "triangular2_staged"}  # where the policy's name is not that of its function


class NewerSchemaError(ValueError):
    """A record of a schema that this version does not know."""


def current_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """config.yaml as schema 2 has it; `schema` tells which one it was written in. Raises NewerSchemaError."""
    if schema_of(config) == SCHEMA:
        return dict(config)
    made = {**config, "schema": 1}
    policy, experiment = config.get("policy"), config.get("experiment")
    if isinstance(policy, Mapping) and experiment in _ARMS:
        made["arm"] = _arm(str(experiment), str(policy.get("name")))
        made["policy"] = {**policy, "name": _policy(policy)}
    identity = config.get("identity")
    if isinstance(identity, Mapping):
        made["identity"] = _identity(identity)
    return made


def current_result(result: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """result.json as schema 2 has it; `config` is that of the same record, current. Raises NewerSchemaError."""
    if schema_of(result) == SCHEMA:
        return dict(result)
    made = {key: value for key, value in result.items() if key not in ("test_accuracy", "test_loss")}
    if config.get("arm"):
        made |= {"arm": config["arm"], "policy": config["policy"]["name"]}
    return {**made, "schema": 1, "metric": "test_accuracy", "mode": "max", "unit": "%", "value": result["test_accuracy"]}


def schema_of(content: Mapping[str, Any]) -> int:
    """The number of the schema that a file of a record was written in. Raises NewerSchemaError for one to come."""
    number = content.get("schema", 1)
    if not isinstance(number, int):
        raise ValueError(f"its schema is {number!r}, no number")
    if number > SCHEMA:
        raise NewerSchemaError(f"was written by a newer clrbench, in schema {number}: update clrbench to read it")
    return number


def _arm(experiment: str, policy: str) -> str:
    return f"{_ARMS[experiment]}/{policy}"


def _policy(policy: Mapping[str, Any]) -> str:
    name = str(public(policy).get("_target_"))
    return _POLICIES.get(name, name)


def _identity(identity: Mapping[str, Any]) -> dict[str, Any]:
    named = public(identity)
    named["data"] = {key: value for key, value in named.get("data", {}).items() if key != "name"}
    return dict(named)
