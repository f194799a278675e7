"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

settings.register_profile("facerec", deadline=None)  # a busy machine is no failure
settings.load_profile("facerec")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real films and ground truth beside the checkout; without it, the tests are skipped."""
    folder = ROOT.parent / "shared"
    if not (folder / "data").is_dir():
        reason = f"needs the real material of {folder}, which is not here"
        if os.environ.get("FACEREC_REQUIRE_SHARED") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The browser, opened once for all tests of pages; Playwright allows one in a process."""
    from tests.reporting.browser import open_browser

    with open_browser() as opened:
        yield opened
