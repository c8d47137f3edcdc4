"""Records outlive the code: those of schema 1 are read as those of today are, and what is newer or unknown is left alone."""

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import pytest
import yaml
from conftest import RESULT, ROOT
from specs import images, resolved

from clrbench.analysis.arms import arms_of
from clrbench.analysis.pairs import leads
from clrbench.data.load import LoadedSet
from clrbench.errors import ClrbenchError
from clrbench.runs import EVIDENCE, Run, run_of
from clrbench.schema import SCHEMA, current_config
from clrbench.store import Record, records

FROZEN = Path(__file__).parent / "records"  # as schema 1 wrote them
FIXED = FROZEN / "table1" / "fixed-70000-s1-0944ed838c"


def frozen(experiment: str) -> Run:
    (record,) = records(FROZEN / experiment)
    (run,) = run_of(record, EVIDENCE)
    return run


def test_a_record_of_schema_1_has_arm_policy_and_result_of_today() -> None:
    result = Record(FIXED).result()
    assert result is not None
    assert (result.schema, result.arm, result.policy, result.label) == (1, "table1/fixed", "step", "fixed")
    assert (result.metric, result.mode, result.unit, result.value) == ("test_accuracy", "max", "%", 82.72)
    assert (result.run_id, result.name) == ("0944ed838c", FIXED.name)


@pytest.mark.parametrize(
    ("experiment", "arm", "label", "policy"),
    [
        ("table3", "table3/adam_triangular", "adam_triangular", "triangular"),
        ("step_size", None, "triangular2", "triangular2"),
        ("range_test", None, "ramp", "ramp"),
    ],
)
def test_each_kind_of_record_of_schema_1_is_read(experiment: str, arm: str | None, label: str, policy: str) -> None:
    run = frozen(experiment)
    assert (run.result.arm, run.result.label, run.result.policy, run.schema) == (arm, label, policy, 1)
    assert run.course[-1][1] == run.result.value
    assert run.schedule is not None


def test_identities_of_schema_1_have_the_public_names() -> None:
    identity = Record(FIXED).config()["identity"]
    assert identity["policy"] == {"_target_": "step", "base_lr": 0.001, "drops": [60000, 65000], "factor": 0.1}
    assert identity["model"]["net"] == {"_target_": "cifar10_full"}
    assert identity["optimizer"]["rule"] == {"_target_": "caffe_sgd", "momentum": 0.9}
    assert identity["data"].keys() == {"sha256", "split"}


def test_runs_of_both_schemas_with_the_same_settings_differ_in_the_data_alone() -> None:
    run = frozen("table1")
    spec = resolved("experiment=table1", "arm=table1/fixed", data=LoadedSet("cifar10", images(50_000), "0" * 64))
    ours, theirs = dict(spec.identity), dict(run.identity)
    assert ours.pop("data") == {"sha256": "0" * 64, "split": "paper"}
    assert theirs.pop("data").keys() == {"sha256", "split"}
    assert ours == theirs


def test_runs_of_both_schemas_are_no_pairs_and_are_told_apart(tmp_path: Path) -> None:
    """The same setting, seed and experiment, of images in another order."""
    older = frozen("table1")
    newer = Record(tmp_path / "fixed-70000-s1-0123456789")
    config = yaml.safe_load((FIXED / "config.yaml").read_text())
    config |= {"schema": SCHEMA, "arm": "table1/fixed", "policy": config["policy"] | {"name": "step"}}
    config["identity"] = current_config(yaml.safe_load((FIXED / "config.yaml").read_text()))["identity"]
    config["identity"]["data"]["sha256"] = "0" * 64
    newer.write_config(yaml.safe_dump(config))
    newer.write_result(dataclasses.replace(older.result, schema=SCHEMA, value=80.0))
    arms = arms_of([older, *run_of(newer, EVIDENCE)])
    assert [arm.label for arm in arms] == ["fixed (schema=1)", "fixed"]
    assert leads(arms) == []


def copy_of(record: Path, folder: Path) -> Record:
    return Record(Path(shutil.copytree(record, folder / record.name)))


def test_reading_a_record_changes_none_of_its_files(tmp_path: Path) -> None:
    record = copy_of(FIXED, tmp_path)

    def digests() -> list[str]:
        return [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(record.folder.iterdir())]

    before = digests()
    assert record.config()
    assert record.result()
    assert record.evaluations()
    assert digests() == before


def test_keys_that_this_version_does_not_know_are_left_alone(tmp_path: Path) -> None:
    record = Record(tmp_path)
    record.write_result(RESULT)
    content = json.loads((tmp_path / "result.json").read_text())
    (tmp_path / "result.json").write_text(json.dumps({**content, "carbon": 0.1}))
    assert record.result() == RESULT
    assert '"carbon": 0.1' in (tmp_path / "result.json").read_text()


@pytest.mark.parametrize("name", ["result.json", "config.yaml"])
def test_a_record_of_a_newer_schema_is_told_as_that(tmp_path: Path, name: str) -> None:
    record = copy_of(FIXED, tmp_path)
    path = record.folder / name
    text = path.read_text()
    path.write_text('{"schema": 3, ' + text[1:] if name == "result.json" else f"schema: 3\n{text}")
    with pytest.raises(ClrbenchError, match=r"was written by a newer clrbench, in schema 3: update clrbench to read it"):
        record.result()


def test_nothing_advises_to_remove_a_result() -> None:
    sources = [path for folder in ("src", "scripts") for path in (ROOT / folder).rglob("*.py")]
    advice = [path for path in sources if "remove it with" in path.read_text() or "remove its folder" in path.read_text()]
    assert advice == []


def test_all_shipped_records_are_read() -> None:
    folders = sorted((ROOT / "results" / "evidence").iterdir())
    found = [record.result() for folder in folders for record in records(folder)]
    assert len(found) >= 128
    assert all(result is not None and result.value is not None for result in found)
