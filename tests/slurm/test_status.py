"""The status of a movie without accounting: from markers, squeue and task records."""

from __future__ import annotations

import os
import re
from pathlib import Path

import orjson
import pytest

from facerec.folder.plan import Plan, shard_range, write_plan
from facerec.folder.shards import marker_bytes
from slurm import queue
from slurm.queue import QueuedTask
from slurm.records import RunFolder
from slurm.report import as_json, status_lines
from slurm.status import MovieStatus, read_status, throughput
from slurm.submission import Failure, Submission, TaskRecord
from tests.slurm_fakes import MOVIE

N, FRAMES = 8, 160


class Movie:
    """A movie with hand-made markers and records."""

    def __init__(self, folder: Path) -> None:
        self.run = RunFolder(folder / "out", MOVIE)
        self.run.create()
        self.plan = Plan(MOVIE, {}, {}, FRAMES, N, {}, {}, ())

    def finish(self, *shards: int) -> None:
        """Write the files of shards that took 2 s each."""
        folder = self.run.movie_folder
        folder.create()
        write_plan(folder, self.plan, folder.path / "film", [])
        for shard in shards:
            beg, end = shard_range(FRAMES, shard, N)
            files = folder.shard(beg, end)
            for path in files.results:
                path.write_text("x")
            report = {"frames": end - beg, "seconds": 2.0, "skipped": [], "dimension": 8, "same_person": 1.0}
            files.marker.write_bytes(marker_bytes(folder, self.plan, beg, end, folder.path, report))

    def submit(
        self, *packs: str, stage: str = "extract", job: str | None = "5", **fields: object
    ) -> Submission:
        made = {"memory": "8G", "minutes": 60, "array": len(packs) > 1, **fields}
        submission = Submission(self.run.new_key(stage), stage, list(packs), N, job=job, **made)  # type: ignore[arg-type]
        self.run.save(submission)
        return submission

    def write_record(self, submission: Submission, index: int = 0, **fields: object) -> TaskRecord:
        """Write the record of a task."""
        state = TaskRecord(**{"host": "n1", **fields})  # type: ignore[arg-type]
        self.run.save_task(submission.key, index, state)
        return state

    def status(self, reason: str = "None", **states: str) -> MovieStatus:
        """Read the status, with squeue reporting `states`, as in `t5_0="RUNNING"`."""
        queued = {
            name[1:]: QueuedTask(state, "n1" if state != "PENDING" else "", reason, "")
            for name, state in states.items()
        }
        return read_status(self.run, queued)


@pytest.fixture
def movie(tmp_path: Path) -> Movie:
    return Movie(tmp_path)


def counts(status: MovieStatus) -> dict[str, int]:
    return {state: count for state, count in as_json(status)["counts"].items() if count}


def text(status: MovieStatus) -> str:
    return "\n".join(status_lines(status))


def test_nothing_submitted(movie: Movie) -> None:
    assert text(movie.status()) == f"movie {MOVIE}: nothing submitted yet"


def test_a_running_task_has_one_running_shard(movie: Movie) -> None:
    submission = movie.submit("0-3", "4-7")
    movie.finish(0)
    movie.write_record(submission, trying="0-3")
    status = movie.status(t5_0="RUNNING", t5_1="PENDING")
    assert (
        counts(status) == {"done": 1, "running": 1, "queued": 6}
        and status.shards_in("running") == [1]
        and status.active
    )


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("OUT_OF_MEMORY", "out of memory (requested 8G)"),
        ("TIMEOUT", "stopped at the time limit of 60 min"),
        ("NODE_FAIL", "node n1 failed"),
        ("FAILED", "SLURM reports FAILED"),
    ],
)
def test_the_final_state_of_a_task_is_kept_when_slurm_forgets_it(
    movie: Movie, state: str, reason: str
) -> None:
    submission = movie.submit("0-3", "4-7")
    movie.write_record(submission, 1, trying="4-7")
    for status in (movie.status(t5_1=state, t5_0="RUNNING"), movie.status(t5_0="RUNNING")):
        assert status.shards_in("failed") == [4] and status.shards[4].reason == reason
        assert status.shards_in("missing") == [5, 6, 7]  # not tried yet
    assert movie.run.submission(submission.key).last == {"1": state}


def test_a_task_that_died_silently_is_failed_and_one_never_started_cancelled(
    movie: Movie,
) -> None:
    submission = movie.submit("0-3", "4-7")
    movie.write_record(submission, 0, trying="0-3")
    status = movie.status()  # SLURM has forgotten both
    assert status.shards[0].reason == "died without an error message on n1" and status.shards_in(
        "failed"
    ) == [0]
    assert status.shards_in("cancelled") == [
        4,
        5,
        6,
        7,
    ]  # removed from the queue before they started: scancel
    assert status.shards_in("missing") == [1, 2, 3] and not status.active


def test_out_of_memory_is_found_in_the_log_if_slurm_only_reports_failed(movie: Movie) -> None:
    submission = movie.submit("0-1")
    movie.write_record(submission, trying="0-1")
    log = movie.run.log(submission, 0)
    log.parent.mkdir()
    log.write_text("begin\nslurmstepd-n1: error: Exceeded job memory limit\n")
    status = movie.status(t5="FAILED")
    assert status.shards[0].reason == "out of memory (requested 8G)" and "memory limit" in text(status)
    assert f"log: {log}" in text(status)  # it died before it linked the logs of its shards


def test_a_failure_is_shown_with_host_reason_and_last_lines(movie: Movie) -> None:
    submission = movie.submit("0-3")
    movie.finish(0, 1, 3)
    failure = Failure(4, "n1", "killed by SIGSEGV", ["one", "two"])
    movie.write_record(submission, outcome="failed", ended=9.0, failed={"2": failure})
    movie.run.link_shard_logs([2], movie.run.log(submission, 0))
    movie.run.log(submission, 0).parent.mkdir()
    movie.run.log(submission, 0).touch()
    status = movie.status(t5="FAILED")
    shown = text(status)
    assert "shard 2 failed on n1, 4 times: killed by SIGSEGV\n      one\n      two\n      log: " in shown
    assert str(movie.run.shard_log(2)) in shown
    assert f"to continue: run the same make extract again (MOVIE={MOVIE} SHARDS=8)" in shown
    (failed,) = as_json(status)["failed"]
    assert (failed["shard"], failed["times"], failed["tail"], failed["task"]["host"]) == (
        2,
        4,
        ["one", "two"],
        "n1",
    )


def test_similar_failures_are_shown_once(movie: Movie) -> None:
    submission = movie.submit("0-7")
    failed = {str(shard): Failure(1, "n1", "exit status 1", ["no weights"]) for shard in (0, 1, 2, 5)}
    failed["7"] = Failure(1, "n1", "exit status 1", ["other"])
    movie.write_record(submission, outcome="failed", ended=9.0, failed=failed)
    shown = text(movie.status(t5="FAILED"))
    assert shown.count("no weights") == 1 and "shard 0-2,5 failed on n1: exit status 1" in shown
    failed = {str(shard): Failure(1, "n1", f"kind {shard}", []) for shard in range(8)}
    movie.write_record(submission, outcome="failed", ended=9.0, failed=failed)
    assert "… and 3 more kinds of failure" in text(movie.status(t5="FAILED"))


def test_a_retried_shard_is_running_and_one_given_up_is_failed(movie: Movie) -> None:
    submission = movie.submit("0-3", retry=1)
    failed = {"0": Failure(2, "n1", "x", []), "1": Failure(1, "n1", "x", [])}
    movie.write_record(submission, trying="1", failed=failed)
    status = movie.status(t5="RUNNING")
    assert (status.shards_in("failed"), status.shards_in("running"), status.shards_in("queued")) == (
        [0],
        [1],
        [2, 3],
    )
    movie.write_record(submission, outcome="requeued", ended=9.0, failed=failed)
    assert (
        movie.status(t5="PENDING").shards_in("failed"),
        movie.status(t5="PENDING").shards_in("queued"),
    ) == (
        [0],
        [1, 2, 3],
    )


def test_a_requeued_task_that_left_the_queue_is_cancelled_or_failed(movie: Movie) -> None:
    submission = movie.submit("0-3")
    movie.write_record(submission, outcome="requeued", ended=9.0)
    assert movie.status().shards_in("cancelled") == [0, 1, 2, 3]
    assert movie.status(t5="CANCELLED").shards[0].state == "cancelled"
    assert movie.status(t5="FAILED").shards_in("failed") == [0, 1, 2, 3]


def test_the_newest_submission_counts_unless_an_older_task_is_active(movie: Movie) -> None:
    old, new = movie.submit("0-7", submitted=1.0), movie.submit("0-3", job="6", submitted=2.0)
    movie.write_record(old, outcome="failed", ended=9.0, failed={"0": Failure(1, "n1", "old", [])})
    movie.write_record(new, outcome="failed", ended=9.0, failed={"0": Failure(1, "n1", "new", [])})
    assert movie.status(t5="FAILED", t6="FAILED").shards[0].reason == "new"
    movie.write_record(old, trying="0-7")
    status = movie.status(t5="RUNNING", t6="FAILED")
    assert status.shards_in("running") == [0] and len(status.shards_in("queued")) == 7


def test_submissions_with_another_number_of_shards_are_ignored(movie: Movie) -> None:
    submission = movie.submit("0-7")
    submission.n = 9
    movie.run.save(submission)
    movie.finish(0)
    assert movie.status(t5="CANCELLED").shards_in("missing") == [1, 2, 3, 4, 5, 6, 7]


def test_without_slurm_the_last_known_state_is_shown(movie: Movie) -> None:
    submission = movie.submit("0-1", "2-3", "4-5", "6-7")
    movie.write_record(submission, 0, trying="0-1")
    movie.write_record(submission, 1, outcome="failed", ended=9.0, failed={"2": Failure(1, "n1", "x", [])})
    movie.status(t5_0="RUNNING", t5_1="FAILED", t5_2="CANCELLED", t5_3="PENDING")
    status = read_status(movie.run, None)
    assert (status.shards_in("running"), status.shards_in("failed")) == ([0], [2])
    assert (status.shards_in("cancelled"), status.shards_in("queued")) == ([4, 5], [1, 6, 7])


def test_stages_are_listed_after_the_shards(movie: Movie) -> None:
    movie.finish(*range(8))
    merge = movie.submit("", stage="merge", job="6")
    cluster = movie.submit("", stage="cluster", job="7", parents=[merge.key])
    movie.submit("", stage="classify", job="8", parents=[cluster.key])
    movie.write_record(
        merge, outcome="failed", ended=9.0, failed={"": Failure(1, "n1", "exit status 1", ["no coverage"])}
    )
    status = movie.status(t6="FAILED", t7="CANCELLED", t8="PENDING")
    shown = text(status)
    assert (
        re.search(r"merge +failed +job 6 on n1\n", shown)
        and "merge failed on n1: exit status 1\n      no coverage" in shown
    )
    assert re.search(r"cluster +cancelled +job 7 on n1 \(an earlier stage failed or was cancelled\)", shown)
    assert re.search(r"classify +queued +job 8", shown)
    assert as_json(status)["stages"]["merge"]["state"] == "failed"
    movie.write_record(merge)
    assert "killed" not in text(movie.status(t6="RUNNING", t7="PENDING", t8="PENDING"))


def test_throughput_is_that_of_the_running_tasks(movie: Movie) -> None:
    submission = movie.submit("0-3", "4-7")
    movie.finish(0, 1, 4)  # 20 frames in 2 s each: 10 frames/s
    movie.write_record(submission, 0, trying="0-3")
    movie.write_record(submission, 1, trying="4-7")
    status = movie.status(t5_0="RUNNING", t5_1="RUNNING")
    assert throughput(status) == (20.0, 5 * 20 / 20.0)
    assert re.search(r"20.0 frames/s, done about \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", text(status))
    assert throughput(movie.status(t5_0="PENDING", t5_1="PENDING")) == (None, None)


def test_the_tasks_of_a_local_pool_are_active_while_it_holds_its_lock(movie: Movie) -> None:
    submission = movie.submit("0-3", "4-7", job=None, local=True)
    movie.write_record(submission, 0, trying="0-3")
    with movie.run.pool_lock(submission):
        status = read_status(movie.run, None)
        assert (status.shards_in("running"), status.shards_in("queued")) == ([0], [1, 2, 3, 4, 5, 6, 7])
    status = read_status(movie.run, {})
    assert (status.shards_in("failed"), status.shards_in("cancelled")) == (
        [0],
        [4, 5, 6, 7],
    ) and not status.active
    movie.write_record(submission, 0, outcome="interrupted", ended=9.0)
    assert read_status(movie.run, {}).shards_in("cancelled") == list(range(8))


def test_the_status_needs_no_write_permission(movie: Movie, monkeypatch: pytest.MonkeyPatch) -> None:
    movie.submit("0-7")

    def denied(*_: object) -> None:
        raise PermissionError("read only")

    monkeypatch.setattr(RunFolder, "save", denied)
    assert movie.status(t5="CANCELLED").shards_in("cancelled") == list(range(8))


def test_long_lists_of_shards_are_shortened_in_text_only(movie: Movie) -> None:
    movie.plan = Plan(MOVIE, {}, {}, 4000, 2000, {}, {}, ())
    movie.finish()
    submission = movie.submit(*(str(shard) for shard in range(0, 2000, 2)))
    submission.n = 2000
    movie.run.save(submission)
    queued = {f"5_{index}": QueuedTask("PENDING", "", "", "") for index in range(1000)}
    status = read_status(movie.run, queued)
    assert (
        all(len(line) < 110 for line in status_lines(status))
        and as_json(status)["shards"]["queued"].count(",") == 999
    )


def test_a_stage_with_removed_results_is_missing(movie: Movie) -> None:
    """`cluster.py --overwrite`, run by hand, removes the names of the old clusters."""
    movie.finish(*range(N))
    folder = movie.run.movie_folder
    folder.clusters.write_text("x")
    for stage in ("cluster", "classify"):
        movie.write_record(movie.submit("", stage=stage, job=None, local=True), outcome="done", ended=9.0)
    status = read_status(movie.run, {})
    assert {stage: task and task.state for stage, task in status.stages.items()} == {
        "merge": None,
        "cluster": "done",
        "classify": "missing",
        "report": None,
    }
    assert "classify    missing  on this machine (its results were removed; run the stage again)" in text(
        status
    )


def test_a_shard_that_can_never_start_is_shown_with_slurms_reason(movie: Movie) -> None:
    movie.submit("0-3", "4-7")
    status = movie.status("PartitionTimeLimit", t5_0="PENDING", t5_1="PENDING")
    assert "shards 0-7: PartitionTimeLimit (more time than the partition allows" in text(status)
    assert as_json(status)["waiting"] == [{"reason": "PartitionTimeLimit", "shards": "0-7"}]
    running = movie.status(t5_0="RUNNING", t5_1="PENDING")
    assert as_json(running)["waiting"] == [] and "None" not in text(running)


def test_a_task_that_squeue_may_hide_is_not_lost(movie: Movie, monkeypatch: pytest.MonkeyPatch) -> None:
    movie.submit("0-3", "4-7", user="anna")
    monkeypatch.setattr(os, "getuid", lambda: 1234)
    monkeypatch.setattr(queue, "keeps_jobs_private", lambda: True)
    status = movie.status()
    assert status.shards_in("queued") == list(range(8))
    assert "last known state; SLURM hides the jobs of anna" in text(status)
    monkeypatch.setattr(queue, "keeps_jobs_private", lambda: False)
    assert movie.status().shards_in("cancelled") == list(range(8))  # squeue --all would show them


def test_a_submission_of_an_earlier_release_is_read(movie: Movie) -> None:
    submission = movie.submit("0-7")
    path = movie.run.submissions_dir / f"{submission.key}.json"
    content = orjson.loads(path.read_bytes())
    del content["user"]
    path.write_bytes(orjson.dumps(content))
    assert movie.run.submission(submission.key).user == "" and counts(movie.status(t5="RUNNING")) == {
        "running": 1,
        "queued": 7,
    }
