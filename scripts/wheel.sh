#!/usr/bin/env bash
# Build the wheel and use it as a stranger would: installed into a new environment, from an empty folder.
# The packages that it asks for are those of .venv, which the new environment sees too: so it costs seconds.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$PWD/.venv/bin/python
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

"$python" -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir "$folder" .
"$python" -m venv --without-pip "$folder/venv"
"$python" -m pip --python "$folder/venv/bin/python" install --quiet --disable-pip-version-check --no-deps "$folder"/*.whl
# The wheel is found first, as it lies in the environment's own folder.
packages=$("$folder/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
"$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > "$packages/lent.pth"

mkdir "$folder/empty"
cd "$folder/empty"
clrbench=$folder/venv/bin/clrbench
"$folder/venv/bin/python" - "$packages" << 'END'
import sys
from pathlib import Path

from clrbench.checkout import configurations

sys.exit(None if Path(sys.argv[1]) in configurations().parents else f"error: {configurations()} is not the wheel's")
END
"$clrbench" --help > help.txt
"$clrbench" iterations=20 policy.step_size=10 tracking.wandb=disabled
"$clrbench" -m policy=triangular,exp_range iterations=20 policy.step_size=10 tracking.wandb=disabled > sweep.txt
grep -q "2 of 2 runs" sweep.txt
"$clrbench" report
"$clrbench" verify
