"""The notebook page runs on the demo's film and shows what the page says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.notebooks import cells, differences, run

PAGE = (ROOT / "docs" / "notebook.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which `make demo` left its results; made here if it has not run."""
    if (ROOT / "demo" / "1-data" / "predictions.json").is_file():
        return ROOT
    folder = tmp_path_factory.mktemp("notebook")
    command = [sys.executable, "-m", "facerec.demo", "--out", str(folder / "demo")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_cell_shows_what_the_page_says(demo: Path) -> None:
    written = cells(PAGE)
    assert len(written) >= 10 and sum(bool(shown) for _, shown in written) >= 9
    for (code, expected), shown in zip(written, run(PAGE, demo), strict=True):
        assert not differences(expected, shown), f"{code}\n{differences(expected, shown)}"


def test_other_numbers_words_and_lines_are_differences() -> None:
    assert not differences("Ada  1.00 x\n", "Ada 1.02  x\n")
    assert differences("Ada  1.0 x\n", "Ada 1.2 x\n")
    assert differences("Ada  1.0 x\n", "Bob 1.0 x\n")
    assert differences("Ada\n", "Ada\nBob\n")
