"""One data set, one identity: the same images give the same run, wherever they come from and in whatever order they lie."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from specs import SMALL, resolved

from clrbench.config import Config, Data, PathNames
from clrbench.data.load import LoadedSet, load
from clrbench.errors import ConfigError
from clrbench.identity import PUBLIC_NAMES, by_contents, public
from clrbench.schedules import POLICIES
from clrbench.spec import given
from clrbench.store import Evaluation
from clrbench.training.console import Console
from clrbench.training.run import train

MakeConfig = Callable[..., Config]
RANDOM = np.random.default_rng(0)
LABELS = np.arange(60) % 3
PIXELS = RANDOM.integers(0, 256, (60, 6, 6, 3), dtype=np.uint8)


def write_npz(path: Path, order: np.ndarray) -> Path:
    """40 training images in the order of `order`, and 20 test images."""
    test = np.arange(40, 60)
    np.savez(path, x_train=PIXELS[order], y_train=LABELS[order], x_test=PIXELS[test], y_test=LABELS[test])
    return path


def write_folder(root: Path) -> Path:
    for index, (pixels, label) in enumerate(zip(PIXELS, LABELS, strict=True)):
        folder = root / ("train" if index < 40 else "test") / f"class{label}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{RANDOM.integers(10**9)}.png")
    return root


def outcome(config: Config) -> tuple[str, list[Evaluation]]:
    """The id of a run, and its evaluations without their times."""
    result, record = train(config, Console(silent=True))
    return result.run_id, [Evaluation(**{**vars(row), "seconds": 0.0}) for row in record.evaluations()]


def test_the_same_images_shuffled_or_as_a_folder_give_the_same_run_bit_for_bit(
    tmp_path: Path, make_config: MakeConfig, one_thread: None
) -> None:
    stored = write_npz(tmp_path / "stored.npz", np.arange(40))
    shuffled = write_npz(tmp_path / "shuffled.npz", np.random.default_rng(1).permutation(40))
    folder = write_folder(tmp_path / "folder")
    chosen = (
        ["data=npz", f"data.path={stored}"],
        ["data=npz", f"data.path={shuffled}"],
        ["data=imagefolder", f"data.path={folder}"],
    )
    common = ["data.batch_size=6", "iterations=12", "policy.step_size=3", "trainer.threads=1"]
    found = [outcome(make_config(*source, *common, folder=str(at))) for at, source in enumerate(chosen)]
    assert found[0] == found[1] == found[2]
    assert len(found[0][1]) == 2


def loaded(path: Path, source: str, outputs: Path) -> LoadedSet:
    paths = PathNames(str(outputs), str(outputs), str(outputs))
    return load(Data(source, [source], str(path), batch_size=2), paths, lambda line: None)


def test_folders_behind_symbolic_links_are_known_by_what_lies_in_them(tmp_path: Path) -> None:
    first = write_folder(tmp_path / "first")
    second = write_folder(tmp_path / "second")
    image = next((second / "train").rglob("*.png"))
    Image.fromarray(255 - np.asarray(Image.open(image))).save(image)
    checksums = []
    for linked, target in (("one", first), ("other", second)):
        (tmp_path / linked).mkdir()
        for split in ("train", "test"):
            (tmp_path / linked / split).symlink_to(target / split)
        checksums.append(loaded(tmp_path / linked, "imagefolder", tmp_path / "outputs").checksum)
    assert checksums[0] != checksums[1]
    assert checksums[0] == loaded(first, "imagefolder", tmp_path / "outputs").checksum


def test_a_link_that_leads_back_to_a_folder_above_is_no_endless_way(tmp_path: Path) -> None:
    from clrbench.data.sources import fingerprint

    folder = write_folder(tmp_path / "images")
    (folder / "again").symlink_to(folder)
    assert fingerprint([folder])


def test_streamed_images_are_known_by_names_and_sizes(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "images")
    before = loaded(folder, "stream", tmp_path / "outputs").checksum
    assert loaded(folder, "stream", tmp_path / "outputs").checksum == before
    image = next((folder / "train").rglob("*.png"))
    image.write_bytes(image.read_bytes() + b"\0")
    assert loaded(folder, "stream", tmp_path / "outputs").checksum != before


def test_a_file_that_a_setting_names_is_known_by_its_contents(tmp_path: Path) -> None:
    weights, copy = tmp_path / "weights.pt", tmp_path / "copy.pt"
    weights.write_bytes(b"one")
    copy.write_bytes(b"one")
    first = by_contents({"net": {"weights": str(weights), "layers": [str(copy), 3]}})
    assert first["net"]["weights"] == first["net"]["layers"][0] != str(weights)
    weights.write_bytes(b"other")
    assert by_contents({"net": {"weights": str(weights)}})["net"]["weights"] != first["net"]["weights"]


def test_a_word_is_no_file_even_where_one_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hann").write_text("")
    assert by_contents({"window": "hann", "note": "missing/file.pt", "_target_": "a.b"}) == {
        "window": "hann",
        "note": "missing/file.pt",
        "_target_": "a.b",
    }


def test_identities_name_policies_nets_and_solvers_by_public_names() -> None:
    identity = resolved("policy=triangular2_staged", "model=cifar10_full", "iterations=25000").identity
    assert identity["policy"]["_target_"] == "staged"
    assert identity["policy"]["stages"][0]["schedule"]["_target_"] == "triangular2"
    assert identity["model"]["net"]["_target_"] == "cifar10_full"
    assert identity["optimizer"]["rule"]["_target_"] == "caffe_sgd"
    assert public({"_target_": "torch.optim.Adam"}) == {"_target_": "torch.optim.Adam"}


@pytest.mark.parametrize(
    ("arm", "settings"),
    [
        ("exp", {"_target_": "exp", "base_lr": 0.001, "gamma": 0.99994}),
        (
            "exp_range",
            {
                **{"_target_": "exp_range", "base_lr": 0.001, "max_lr": 0.006, "step_size": 2000, "gamma": 0.99994},
                **{"decays": "bounds", "window": "triangular"},
            },
        ),
    ],
)
def test_arms_that_name_gamma_are_known_by_it_alone_as_before_there_was_a_decline(
    arm: str, settings: dict[str, object]
) -> None:
    identity = resolved(
        f"arm=table1/{arm}", "bounds=paper", "policy.step_size=2000" if "step_size" in settings else "seed=1"
    ).identity
    assert identity["policy"] == settings


def test_a_null_is_a_setting_of_a_policy_from_outside() -> None:
    node = {"_target_": "numpy.full_like", "fill_value": 0.1, "dtype": None}
    assert given(node) == node
    assert given({"_target_": "clrbench.schedules.dropping", "schedule": node, "x": None}) == {
        **{"_target_": "clrbench.schedules.dropping", "schedule": node}
    }


def test_every_policy_has_a_public_name_and_no_two_names_are_equal() -> None:
    assert set(POLICIES) <= set(PUBLIC_NAMES.values())
    assert len(set(PUBLIC_NAMES.values())) == len(PUBLIC_NAMES)


def test_a_users_own_code_is_told_apart_by_a_version() -> None:
    assert resolved("version=2").identity["version"] == "2"
    assert "version" not in resolved().identity


def test_one_order_of_the_images_is_part_of_the_identity_and_shuffling_is_not() -> None:
    assert resolved("data.order=fixed").identity["data"]["order"] == "fixed"
    assert "order" not in resolved("data.order=shuffled").identity["data"]


def test_a_part_of_the_training_images_has_equal_shares_of_the_classes() -> None:
    spec = resolved("data.training_images=100")
    labels = SMALL.images.train.labels[spec.indices]
    assert np.bincount(labels).tolist() == [10] * 10
    assert spec.identity["data"]["training_images"] == 100


@pytest.mark.parametrize("count", [5, 105, 4000])
def test_a_number_of_training_images_that_equal_shares_cannot_make_is_refused(count: int) -> None:
    with pytest.raises(ConfigError, match=rf"data\.training_images={count} cannot be had: equal shares of 10 classes"):
        resolved(f"data.training_images={count}")


def test_the_name_of_a_file_decides_nothing(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "a.npz", np.arange(40))
    first = loaded(path, "npz", tmp_path / "outputs").checksum
    path.rename(tmp_path / "b.npz")
    assert loaded(tmp_path / "b.npz", "npz", tmp_path / "outputs").checksum == first
