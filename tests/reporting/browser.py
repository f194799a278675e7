"""A real browser for the tests of pages, and what it reports about a page."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@contextmanager
def open_browser() -> Iterator[Any]:
    """Open headless Chromium with an empty profile.

    Without Chromium the test is skipped, or fails where CI asks for everything.
    """
    if CHROMIUM is None:
        reason = "needs Chromium on the PATH (Debian: apt-get install chromium), which is not here"
        if os.environ.get("FACEREC_REQUIRE_SHARED") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield browser
        browser.close()


class Page:
    """A tab that shows a file, and what went wrong in it: errors of scripts, refused or failed requests."""

    def __init__(self, browser: Any, path: Path, anchor: str = "", **context: Any) -> None:
        self.context = browser.new_context(**{"viewport": DESK, "color_scheme": "light", **context})
        self.tab = self.context.new_page()
        self.troubles: list[str] = []
        self.requests: list[str] = []
        self.tab.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.tab.on("console", lambda message: self._note(message))
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.tab.on("requestfailed", lambda request: self.troubles.append(f"failed: {request.url}"))
        self.tab.on("dialog", lambda dialog: (self.troubles.append(dialog.message), dialog.dismiss()))
        self.tab.goto(path.as_uri() + anchor)

    def _note(self, message: Any) -> None:
        if message.type == "error":
            self.troubles.append(message.text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.tab, name)

    def texts(self, selector: str) -> list[str]:
        return [text.strip() for text in self.tab.locator(selector).all_inner_texts()]

    def wait_until(self, expression: str) -> None:
        """Wait until a JavaScript expression is true; Playwright's own way needs a forbidden eval."""
        end = time.monotonic() + 15
        while not self.tab.evaluate(expression):
            assert time.monotonic() < end, expression
            self.tab.wait_for_timeout(30)

    def close(self) -> None:
        self.context.close()
