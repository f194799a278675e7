"""A collection on a real SLURM that remembers at most 50 tasks (MaxJobCount=51), without accounting.

MaxSubmitJobs and the limits of a QOS need SLURM's accounting, so their refusals are mocked in
tests/slurm/test_launch.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from facerec.stages import PIPELINE
from slurm import cli, queue
from slurm.records import RunFolder
from tests.slurm.lab.conftest import LAB
from tests.slurm_fakes import make_film, use_fake_stages

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(1800)]
FILMS = 40


@pytest.fixture
def small_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "lab"
    settings = {"MAX_JOBS": "51", "MIN_JOB_AGE": "2", "NODES": "2", "CPUS": "4", "GPUS": "0"}
    environment = {**os.environ, **settings}
    up = subprocess.run(
        [str(LAB / "up.sh"), str(folder)], env=environment, capture_output=True, text=True, check=False
    )
    if up.returncode == 3:
        pytest.skip(up.stderr.strip().splitlines()[-1])
    assert up.returncode == 0, up.stderr
    monkeypatch.setenv("SLURM_CONF", str(folder / "etc" / "slurm.conf"))
    queue.show_config.cache_clear()
    yield folder
    subprocess.run(["scancel", "--user", str(os.getuid())], check=False, timeout=60)
    subprocess.run([str(LAB / "down.sh"), str(folder)], check=True)
    queue.show_config.cache_clear()


def test_40_films_are_submitted_film_after_film_within_50_tasks(
    small_lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_fake_stages(monkeypatch)
    for stage in PIPELINE.short_names:
        monkeypatch.setenv(f"FACEREC_{stage.upper()}_ARGS", f"--stage {stage}")
    out = tmp_path / "out"
    for movie in range(1, FILMS + 1):
        make_film(tmp_path / "films", movie=movie, frames=20)
    command = ["extract", "--movies", "all", "--shards", "2", "--films", str(tmp_path / "films")]
    command += ["--out", str(out), "--set", "memory=100M cpus=1 extract.time=60 settle=1"]
    rounds: list[str] = []
    most, end = 0, time.monotonic() + 1500
    while True:
        assert cli.main(command) == 0
        shown = capsys.readouterr().out
        known = queue.snapshot()
        most = max(most, known.total)
        last = shown.splitlines()[-1]
        rounds.append(last)
        done = sum(len(RunFolder(out, movie).shards_to_do(2, range(2))) == 0 for movie in range(1, FILMS + 1))
        if done == FILMS:
            break
        assert time.monotonic() < end, rounds
        time.sleep(20)
    assert most <= 50
    submitted = [
        sum(len(one.packs) for one in RunFolder(out, movie).submissions()) for movie in range(1, FILMS + 1)
    ]
    assert submitted == [2] * FILMS  # nothing twice
    assert rounds[0].startswith("50 tasks submitted; SLURM takes no more now, and 15 of 40 movies wait")
    with capsys.disabled():
        sys.stdout.write("\n".join(["", *dict.fromkeys(rounds), ""]))
