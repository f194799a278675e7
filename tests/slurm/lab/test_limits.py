"""A collection on a real SLURM that takes few tasks: MaxJobCount, and with accounting the limits of a QOS."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from facerec.stages import PIPELINE
from slurm import cli, queue
from slurm.records import RunFolder
from tests.slurm.lab.conftest import LAB
from tests.slurm_fakes import make_film, use_fake_stages

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(1800)]
FILMS = 40


@contextmanager
def started(folder: Path, **settings: str) -> Iterator[None]:
    """Run a cluster of two nodes of four CPUs; skip the test if this machine cannot."""
    environment = {**os.environ, "NODES": "2", "CPUS": "4", "GPUS": "0", **settings}
    up = subprocess.run(
        [str(LAB / "up.sh"), str(folder)], env=environment, capture_output=True, text=True, check=False
    )
    if up.returncode == 3:
        pytest.skip(up.stderr.strip().splitlines()[-1])
    assert up.returncode == 0, up.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(folder / "etc" / "slurm.conf"))
        queue.show_config.cache_clear()
        yield
        subprocess.run(["scancel", "--user", str(os.getuid())], check=False, timeout=60)
        subprocess.run([str(LAB / "down.sh"), str(folder)], check=True)
    queue.show_config.cache_clear()


@pytest.fixture
def small_lab(tmp_path: Path) -> Iterator[None]:
    with started(tmp_path / "lab", MAX_JOBS="51", MIN_JOB_AGE="2"):
        yield


@pytest.fixture
def lab_with_accounts(tmp_path: Path) -> Iterator[None]:
    with started(tmp_path / "lab", ACCOUNTING="1"):
        yield


def limit(*words: str) -> None:
    """Set a limit of the accounting, as an administrator does."""
    subprocess.run(["sacctmgr", "-i", "modify", *words], check=True, capture_output=True, timeout=60)


def collection(folder: Path, monkeypatch: pytest.MonkeyPatch, films: int) -> tuple[list[str], Path]:
    """Make films of two shards; returns the command that extracts them, and the folder of the results."""
    use_fake_stages(monkeypatch)
    for stage in PIPELINE.short_names:
        monkeypatch.setenv(f"FACEREC_{stage.upper()}_ARGS", f"--stage {stage}")
    for movie in range(1, films + 1):
        make_film(folder / "films", movie=movie, frames=20)
    command = ["extract", "--movies", "all", "--shards", "2", "--films", str(folder / "films")]
    command += ["--out", str(folder / "out")]
    return [*command, "--set", "memory=100M cpus=1 extract.time=60 settle=1"], folder / "out"


def test_40_films_are_submitted_film_after_film_within_50_tasks(
    small_lab: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command, out = collection(tmp_path, monkeypatch, FILMS)
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


def test_refusals_of_a_qos_and_of_an_account_leave_the_rest_to_the_same_command(
    lab_with_accounts: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`sbatch` alone knows these limits: 5 tasks of a user in the QOS, then 3 of the user's association."""
    command, out = collection(tmp_path, monkeypatch, 5)
    submitted = 0
    for of_qos, of_user, tasks, refusal in (
        (5, -1, 5, "QOSMaxSubmitJobPerUserLimit"),
        (-1, 3, 3, "AssocMaxSubmitJobLimit"),
        (-1, -1, 2, ""),
    ):
        limit("qos", "normal", "set", f"MaxSubmitJobsPerUser={of_qos}")
        limit("user", "root", "set", f"MaxSubmitJobs={of_user}")
        assert cli.main(command) == 0
        shown = capsys.readouterr().out
        submitted += tasks
        records = [one for movie in range(1, 6) for one in RunFolder(out, movie).submissions()]
        assert sum(len(one.packs) for one in records) == submitted, shown
        waits = "run the same command again when some have ended"
        assert (refusal in shown and waits in shown) if refusal else waits not in shown, shown
        end = time.monotonic() + 300
        while queue.snapshot().own:
            assert time.monotonic() < end, shown
            time.sleep(1)
    limit("qos", "normal", "set", "MaxSubmitJobsPerUser=0")
    assert cli.main([*command, "--fresh"]) != 0
    assert "not even one task is taken" in capsys.readouterr().err
