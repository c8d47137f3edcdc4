"""Take the README's pictures of the page and of the dashboard, from what ships: docs/screenshots/*.webp, `make screenshots`."""

import argparse
import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "screenshots"
CHROMIUM = os.environ.get("CLRBENCH_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
# Chromium itself asks hosts on the network for updates unless it is told not to.
QUIET = ["--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
SCREEN = {"width": 1200, "height": 900}
PATIENCE = 300_000.0  # milliseconds
# There in Trackio once the chart of a metric is drawn.
DRAWN = '.plot-container[data-metric="{}"] :is(canvas, svg)'


@contextmanager
def browser() -> Iterator[Any]:
    """A browser; without a sandbox, which a container's root cannot have."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *QUIET])
        try:
            yield opened
        finally:
            opened.close()


def main() -> None:
    """Take both pictures."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    if CHROMIUM is None:
        sys.exit("error: no Chromium on the PATH: install Debian's package chromium, or set $CLRBENCH_CHROMIUM to one")
    PICTURES.mkdir(exist_ok=True)
    with browser() as opened:
        page = opened.new_page(viewport=SCREEN, color_scheme="light")
        page.set_default_timeout(PATIENCE)
        page.goto((ROOT / "results" / "report" / "index.html").as_uri())
        page.wait_for_function("document.querySelectorAll('.answer .plot canvas').length === 2")
        _save(page, "page")
        with _dashboard() as url:
            page.goto(url)
            for metric in ("test_accuracy", "lr"):
                page.wait_for_selector(DRAWN.format(metric))
            page.wait_for_timeout(2000)  # until its curves stand still
            _save(page, "trackio")


@contextmanager
def _dashboard() -> Iterator[str]:
    """The address of a dashboard that shows the shipped runs of Table 1 alone."""
    with tempfile.TemporaryDirectory() as folder:
        evidence = Path(folder) / "results" / "evidence"
        shutil.copytree(ROOT / "results" / "evidence" / "table1", evidence / "table1")
        command = [sys.executable, str(ROOT / "scripts" / "dashboard.py"), "--no-browser", "--port", "0"]
        command += ["--results", str(evidence.parent), "--outputs", str(Path(folder) / "outputs")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            try:
                yield line.split()[2]
            finally:
                process.send_signal(signal.SIGINT)


def _save(page: Any, name: str) -> None:
    path = PICTURES / f"{name}.webp"
    Image.open(io.BytesIO(page.screenshot())).save(path, quality=80, method=6)
    print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
