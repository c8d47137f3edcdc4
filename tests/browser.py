"""Debian's Chromium, as tests drive it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

PATIENCE = 300_000.0  # milliseconds: a machine that is busy with other work proves nothing about a page
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
# Chromium itself asks hosts on the network for updates unless it is told not to.
QUIET = ["--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (Debian's package chromium)")


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


class Visit:
    """A page with what went wrong on it: errors, what its console says, and requests that leave it."""

    def __init__(self, browser: Any, allowed: tuple[str, ...], **context: Any) -> None:
        self.page = browser.new_context(**context).new_page()
        self.page.set_default_timeout(PATIENCE)
        self.troubles: list[str] = []
        self.page.on("pageerror", lambda error: self.troubles.append(f"error: {error}"))
        self.page.on("console", lambda said: said.type in ("error", "warning") and self.troubles.append(said.text))
        self.page.on("request", lambda request: request.url.startswith(allowed) or self.troubles.append(request.url))
