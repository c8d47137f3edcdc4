#!/usr/bin/env bash
# Test callback and range test under Lightning's other package, and beside accelerate, in an environment that has these.
# All else is lent by .venv: there they would only slow every start down.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$PWD/.venv/bin/python
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

"$python" -m venv --without-pip "$folder/venv"
version=$("$python" -c 'from importlib.metadata import version; print(version("pytorch-lightning"))')
"$python" -m pip --python "$folder/venv/bin/python" install --quiet --disable-pip-version-check --no-deps \
    "lightning==$version" "jsonargparse>=4.40" typeshed-client typing-inspect docstring-parser importlib-resources accelerate psutil
packages=$("$folder/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
{ echo "$PWD/src"; "$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; } > "$packages/lent.pth"
"$folder/venv/bin/python" -m pytest tests/test_callback.py tests/test_callback_hosts.py tests/test_driver.py tests/test_finder_hosts.py
