"""The movie that most tests of the formats export."""

from __future__ import annotations

from pathlib import Path

import pytest

import facerec
from tests.exporting.movies import open_with_name


@pytest.fixture
def movie(tmp_path: Path) -> facerec.Movie:
    return open_with_name(tmp_path, "Ada Lovelace")
