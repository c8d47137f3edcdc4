"""docs/comfort.md counts the lines that lie in docs/comfort."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

FOLDER = ROOT / "docs" / "comfort"
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs" / "comfort.md").read_text(encoding="utf-8").splitlines()
    if re.match(r"\| \d", line)
]
# Of each task, the files that another way takes, if any; Keras and fastai take the same.
OF_LIGHTNING = [
    *(["run.py"], [], ["sweep.sh"], [], ["bounds.py"], ["compare.py"], ["job.sbatch"], ["own_data.diff"]),
    *(["elsewhere_module.diff"], ["answer.py"]),
]
OF_A_LOOP = [
    *(["run.py"], ["policy.diff"], ["sweep.py"], ["resume.diff"], ["bounds.py"], ["../compare.py"], ["job.py", "job.sbatch"]),
    *(["own_data.diff"], ["elsewhere.diff"], ["../answer.py"]),
]
FILES = {"lightning": OF_LIGHTNING, "keras": OF_A_LOOP, "fastai": OF_A_LOOP}


def lines(name: str) -> int:
    text = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    if name.endswith(".diff"):
        text = [line[1:] for line in text if line.startswith("+") and not line.startswith("+++")]
    return sum(1 for line in text if line.strip() and not re.match(r"\s*#(?!SBATCH)", line))


@pytest.mark.parametrize("peer", FILES)
def test_the_page_counts_what_another_way_takes(peer: str) -> None:
    told = [re.findall(r"(\d+) lines?\b", row[2 + list(FILES).index(peer)])[:1] for row in ROWS]
    counted = [[str(sum(lines(f"{peer}/{name}") for name in files))] if files else [] for files in FILES[peer]]
    assert told == counted


def test_the_page_counts_what_the_rates_take_elsewhere() -> None:
    shown = [row[1:3] for row in ROWS if row[0].startswith("9 ")]
    counted = [
        f"{lines(f'{way}/elsewhere_module.diff')} lines; {lines(f'{way}/elsewhere_loop.diff')} lines"
        for way in ("clrbench", "lightning")
    ]
    assert shown == [counted]


@pytest.mark.parametrize("way", ["clrbench", "lightning"])
@pytest.mark.parametrize("base", ["loop", "module"])
def test_the_rates_are_taken_elsewhere_as_the_page_says(way: str, base: str, tmp_path: Path) -> None:
    script = tmp_path / f"{base}.py"
    script.write_bytes((FOLDER / "lightning" / script.name).read_bytes())
    subprocess.run(["git", "apply", "-p0", FOLDER / way / f"elsewhere_{base}.diff"], check=True, cwd=tmp_path)
    subprocess.run([sys.executable, script], check=True, capture_output=True, cwd=tmp_path)
