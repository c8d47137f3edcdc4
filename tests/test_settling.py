"""`hydra.sweeper.until=settled` from its command line to the last look."""

import re
from pathlib import Path

import pytest
from sweeps import IN_THIS_PROCESS, run

from clrbench.store import records

SMALL = (
    *("data=digits", "model=linear", "data.training_images=100", "data.batch_size=10", "iterations=16", "policy.step_size=2"),
    *("experiment=windows", "hydra.sweeper.until=settled", IN_THIS_PROCESS),
)


def test_a_sweep_adds_seeds_to_the_arms_that_open_claims_need_and_to_no_others(tmp_path: Path) -> None:
    done = run(tmp_path, *SMALL)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(
        "until settled: 5 claims (C7a, C7b, C8, C12a, C12b), which need all 3 arms; looks after 5, 8 and 12 seeds (1 to 12)\n"
    )
    assert "15 runs at the first look, at most 36, " in done.stdout
    seeds: dict[str, list[int]] = {}
    for record in records(tmp_path / "results" / "runs" / "windows"):
        result = record.result()
        assert result is not None
        seeds.setdefault(result.policy, []).append(result.seed)
    settled = {
        name: int(number)
        for name, number in re.findall(r"(C\w+): (?:holds|fails|no difference).* with (\d+) seeds", done.stdout)
    }
    # The claim on Hann cycles is settled at the first look, as these equal triangular ones here.
    assert settled["C12b"] == 5
    assert {policy: sorted(of) for policy, of in seeds.items()} == {
        "hann": list(range(1, 6)),
        "parabolic": list(range(1, settled.get("C12a", 12) + 1)),
        "triangular": list(range(1, max(settled.get(name, 12) for name in ("C7a", "C7b", "C8", "C12a", "C12b")) + 1)),
    }


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        (("seed=1,2",), "seed=1,2: hydra.sweeper.until=settled chooses the seeds itself: leave it out"),
        (("experiment=quick",), "no claim that seeds settle is about experiment=quick: list seeds, as in seed=1,2,3,4,5; "),
        (("policy=triangular",), "C12a, C12b of experiment=windows need arms that this sweep does not run: "),
        (("hydra.sweeper.until=tomorrow",), "hydra.sweeper.until=tomorrow is unknown: take settled, or leave it out"),
    ],
)
def test_what_cannot_be_settled_is_refused_with_what_to_do(tmp_path: Path, typed: tuple[str, ...], error: str) -> None:
    done = run(tmp_path, *SMALL[:6], *("experiment=windows", "hydra.sweeper.until=settled"), *typed)
    assert done.returncode == 1
    assert error in done.stderr
    assert len(done.stderr.splitlines()) == 1
