"""The status of several movies: a line each, problems first, and one question to SLURM for all."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bench.collection import make_finished_movie
from facerec.folder.layout import MovieFolder
from facerec.folder.plan import read_plan
from facerec.stages import PIPELINE
from slurm.collection import movie_runs, show_status
from slurm.finished import finished_stages, read_finished
from slurm.records import RunFolder
from slurm.site import Site
from slurm.status import read_status
from slurm.submission import Failure, Submission, TaskRecord
from tests.slurm_fakes import MockSlurm

SITE = Site({})
RECORDED = [stage.short_name for stage in PIPELINE.recorded]


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MockSlurm:
    return MockSlurm(tmp_path / "mock", monkeypatch)


def submit(
    out: Path, movie: int, stage: str = "extract", job: str = "500", times: float = 1.0, **task: object
) -> Submission:
    """Record a submission of four shards, or of a stage, and its task if there are fields of one."""
    run = RunFolder(out, movie)
    run.create()
    pack = "0-3" if stage == "extract" else ""
    submission = Submission(run.new_key(stage), stage, [pack], 4, job=job, submitted=times)
    run.save(submission)
    if task:
        run.save_task(submission.key, 0, TaskRecord(**{"host": "n1", **task}))  # type: ignore[arg-type]
    return submission


def fail(out: Path, movie: int, job: str = "500", shard: str = "2", times: float = 1.0) -> Submission:
    failed = {shard: Failure(1, "n1", "exit status 1", [])}
    return submit(
        out, movie, "extract" if shard else "merge", job, times, ended=9.0, outcome="failed", failed=failed
    )


def shown(capsys: pytest.CaptureFixture[str], out: Path, ids: list[int], **options: bool) -> str:
    capsys.readouterr()
    show_status(lambda: movie_runs(out, ids), SITE, several=len(ids) > 1, **options)
    return capsys.readouterr().out


def test_problems_come_first_and_slurm_is_asked_once(
    slurm: MockSlurm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    for movie in (1, 2):
        make_finished_movie(tmp_path / "films", out, movie, 4)
    submit(out, 3, job="501")
    fail(out, 4, "502")
    for attempt in range(3):
        fail(out, 5, str(503 + attempt), times=1.0 + attempt)
    submit(out, 7, job="510", trying="0-3")
    submit(out, 8, job="511")
    slurm.queue.write_text(
        "510|RUNNING|n1|None|7-extract|0|key\n511|PENDING||PartitionTimeLimit|8-extract|0|key\n"
    )
    slurm.asked.write_text("")
    lines = shown(capsys, out, list(range(1, 9))).splitlines()
    assert lines[0] == (
        "8 movies: 1 set aside, 1 failed, 1 stopped, 1 running, 1 queued, 1 not started, 2 finished"
    )
    assert lines[1] == "  shards: 8 done, 1 running, 7 queued, 2 failed of 28"
    table = [line.split() for line in lines[3:11]]
    assert [row[0] for row in table] == ["5", "4", "3", "7", "8", "6", "1", "2"]
    assert "shard 2: exit status 1" in lines[3] and "PartitionTimeLimit" in lines[7]
    assert "make retry MOVIE=ID" in "\n".join(lines[11:])
    assert [line.split()[0] for line in slurm.asked.read_text().splitlines()] == ["scontrol", "squeue"]


def test_only_failed_movies_are_shown_as_text_and_as_json(
    slurm: MockSlurm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    make_finished_movie(tmp_path / "films", out, 1, 4)
    fail(out, 4)
    fail(out, 5, shard="")
    lines = shown(capsys, out, [1, 4, 5], failed=True).splitlines()
    assert [line.split()[0] for line in lines[3:5]] == ["4", "5"] and "merge: exit status 1" in lines[4]
    assert "finished" in lines[0] and len(lines) == 6
    rows = [json.loads(line) for line in shown(capsys, out, [1, 4, 5], failed=True, json=True).splitlines()]
    assert [(row["movie_id"], row["condition"], row["failures"]) for row in rows] == [
        (4, "failed", 1), (5, "failed", 1),
    ]  # fmt: skip
    assert "no movie has failed" in shown(capsys, out, [1], failed=True)


def test_one_movie_has_the_detailed_table_and_a_damaged_one_stops_no_other(
    slurm: MockSlurm,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    out = tmp_path / "out"
    fail(out, 4)
    assert "shard 2 failed on n1: exit status 1" in shown(capsys, out, [4])
    damaged = fail(out, 5)
    (RunFolder(out, 5).submissions_dir / f"{damaged.key}.json").write_text("{")
    lines = shown(capsys, out, [4, 5]).splitlines()
    assert lines[0] == "2 movies: 1 failed, 1 not readable" and lines[3].split()[:2] == ["4", "failed"]
    assert "movie 5: " in caplog.text and "not valid JSON" in caplog.text


def finished(folder: MovieFolder) -> list[str]:
    plan = read_plan(folder)
    assert plan is not None
    return finished_stages(folder, plan)


def test_a_finished_movie_is_known_by_its_plan_and_manifest(tmp_path: Path) -> None:
    folder = make_finished_movie(tmp_path / "films", tmp_path / "out", 1, 4)
    assert finished(folder) == list(PIPELINE.short_names)
    touched = folder.manifest.stat().st_mtime + 60
    for path in (folder.clusters, folder.report):  # copied: the contents are compared
        os.utime(path, (touched, touched))
    assert finished(folder) == list(PIPELINE.short_names)
    folder.clusters.write_text("other")
    os.utime(folder.clusters, (touched, touched))
    assert finished(folder) == ["extract", "merge"]
    folder.trajectories.unlink()
    assert finished(folder) == []


def test_results_of_another_plan_or_of_some_shards_are_not_finished(tmp_path: Path) -> None:
    folder = make_finished_movie(tmp_path / "films", tmp_path / "out", 1, 4)
    good = json.loads(folder.manifest.read_bytes())
    for change in (
        {"shards": {"n": 4, "missing": "2"}},
        {"stages": {**good["stages"], "merge_shards": {**good["stages"]["merge_shards"], "inputs": {}}}},
        {
            "stages": {
                **good["stages"],
                "merge_shards": {**good["stages"]["merge_shards"], "inputs": {"plan.json": "x"}},
            }
        },
        {"stages": {}},
    ):
        folder.manifest.write_text(json.dumps({**good, **change}))
        assert finished(folder) == []
    folder.manifest.write_text(json.dumps(good))
    folder.report.unlink()
    assert finished(folder) == ["extract", *RECORDED]


def test_a_finished_movie_that_is_made_again_is_read_in_full(tmp_path: Path) -> None:
    make_finished_movie(tmp_path / "films", tmp_path / "out", 1, 4)
    run = RunFolder(tmp_path / "out", 1)
    quick = read_finished(run, {})
    assert quick and quick.finished and not quick.active and len(quick.shards_in("done")) == 4
    with run.pool_lock(submission := submit(tmp_path / "out", 1)):
        submission.local, submission.job = True, None
        run.save(submission)
        assert read_finished(run, {}) is None
        assert read_status(run, {}).active
