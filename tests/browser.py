"""Chromium, as tests drive it."""

from typing import Any

import pytest

from screenshots import CHROMIUM, browser

__all__ = ["Visit", "browser", "needs_browser"]

PATIENCE = 300_000.0  # milliseconds: a machine that is busy with other work proves nothing about a page
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (Debian's package chromium)")


class Visit:
    """A page with what went wrong on it: errors, what its console says, and requests that leave it."""

    def __init__(self, browser: Any, allowed: tuple[str, ...], **context: Any) -> None:
        self.page = browser.new_context(**context).new_page()
        self.page.set_default_timeout(PATIENCE)
        self.troubles: list[str] = []
        self.page.on("pageerror", lambda error: self.troubles.append(f"error: {error}"))
        self.page.on("console", lambda said: said.type in ("error", "warning") and self.troubles.append(said.text))
        self.page.on("request", lambda request: request.url.startswith(allowed) or self.troubles.append(request.url))
