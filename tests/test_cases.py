"""The cases of ../shared/cases: situations of clusters and files, each a script that tries one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

SKIPPED = 77  # exit status of a case that cannot be tried on this machine
MINUTES = 20
SCRIPTS = sorted((ROOT.parent / "shared" / "cases").glob("*/run.sh"))


def _case(script: Path) -> object:
    needs_slurm = "lab_up" in script.read_text("utf-8")
    marks = [pytest.mark.slurm if needs_slurm else pytest.mark.slow, pytest.mark.timeout(60 * MINUTES)]
    if needs_slurm:
        marks.append(pytest.mark.xdist_group("cases"))  # one test cluster at a time
    return pytest.param(script, marks=marks, id=script.parent.name)


@pytest.mark.parametrize("script", [*map(_case, SCRIPTS)] or [pytest.param(None, marks=pytest.mark.slow)])
def test_case(script: Path | None, shared: Path) -> None:
    assert script is not None, f"{shared} has no cases"
    done = subprocess.run(
        ["bash", script, ROOT],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60 * MINUTES,
        check=False,
    )
    if done.returncode == SKIPPED:
        pytest.skip(done.stdout.strip().rpartition("\n")[2])
    assert done.returncode == 0, done.stdout + done.stderr
