"""How a movie stands, told without accounting: from markers, squeue, and what the tasks wrote themselves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from facerec.folder.plan import Plan, shard_range, write_plan
from facerec.folder.shards import marker_bytes
from slurm.queue import QueuedTask
from slurm.records import Failure, RunFolder, Submission, TaskState
from slurm.report import as_json, table
from slurm.status import Survey, speed, survey
from tests.slurm_fakes import MOVIE

N, FRAMES = 8, 160


class Movie:
    """A movie's folders, filled by hand."""

    def __init__(self, folder: Path) -> None:
        self.run = RunFolder(folder / "out", MOVIE)
        self.run.create()
        self.plan = Plan(MOVIE, {}, {}, FRAMES, N, {}, {}, ())

    def finish(self, *shards: int) -> None:
        """Make these shards done, in 2 s each."""
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
        one = Submission(self.run.new_key(stage), stage, list(packs), N, job=job, **made)  # type: ignore[arg-type]
        self.run.save(one)
        return one

    def wrote(self, one: Submission, index: int = 0, **fields: object) -> TaskState:
        """A task's own account."""
        state = TaskState(**{"host": "n1", **fields})  # type: ignore[arg-type]
        self.run.save_task(one.key, index, state)
        return state

    def see(self, **states: str) -> Survey:
        """Survey, with squeue saying `states`: `t5_0="RUNNING"`."""
        queued = {
            name[1:]: QueuedTask(state, "n1" if state != "PENDING" else "", "None", "")
            for name, state in states.items()
        }
        return survey(self.run, queued)


@pytest.fixture
def movie(tmp_path: Path) -> Movie:
    return Movie(tmp_path)


def counts(seen: Survey) -> dict[str, int]:
    return {state: count for state, count in as_json(seen)["counts"].items() if count}


def text(seen: Survey) -> str:
    return "\n".join(table(seen))


def test_nothing_submitted_is_said(movie: Movie) -> None:
    assert text(movie.see()) == f"movie {MOVIE}: nothing was submitted yet"


def test_a_task_runs_one_shard_while_its_others_wait(movie: Movie) -> None:
    one = movie.submit("0-3", "4-7")
    movie.finish(0)
    movie.wrote(one, trying="0-3")
    seen = movie.see(t5_0="RUNNING", t5_1="PENDING")
    assert (
        counts(seen) == {"done": 1, "running": 1, "queued": 6}
        and seen.having("running") == [1]
        and seen.active
    )


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("OUT_OF_MEMORY", "out of memory (asked for 8G)"),
        ("TIMEOUT", "stopped at the time limit of 60 min"),
        ("NODE_FAIL", "its node n1 went down"),
        ("FAILED", "SLURM says FAILED"),
    ],
)
def test_a_task_that_died_is_told_by_slurm_s_word_and_remembered_when_slurm_forgets(
    movie: Movie, state: str, reason: str
) -> None:
    one = movie.submit("0-3", "4-7")
    movie.wrote(one, 1, trying="4-7")
    for seen in (movie.see(t5_1=state, t5_0="RUNNING"), movie.see(t5_0="RUNNING")):
        assert seen.having("failed") == [4] and seen.shards[4].reason == reason
        assert seen.having("missing") == [5, 6, 7]  # they were never tried
    assert movie.run.submission(one.key).last == {"1": state}


def test_a_task_that_died_without_a_word_is_told_apart(movie: Movie) -> None:
    one = movie.submit("0-3", "4-7")
    movie.wrote(one, 0, trying="0-3")
    seen = movie.see()  # SLURM knows neither any more
    assert seen.shards[0].reason == "died without a word on n1" and seen.having("failed") == [0]
    assert seen.having("cancelled") == [4, 5, 6, 7]  # never began, and left the queue: scancel
    assert seen.having("missing") == [1, 2, 3] and not seen.active


def test_memory_that_ran_out_is_told_from_the_log_where_slurm_only_says_failed(movie: Movie) -> None:
    one = movie.submit("0-1")
    movie.wrote(one, trying="0-1")
    log = movie.run.log(one, 0)
    log.parent.mkdir()
    log.write_text("begin\nslurmstepd-n1: error: Exceeded job memory limit\n")
    seen = movie.see(t5="FAILED")
    assert seen.shards[0].reason == "out of memory (asked for 8G)" and "memory limit" in text(seen)
    assert f"log: {log}" in text(seen)  # it died before it could say which shards it takes


def test_a_failure_is_shown_with_host_reason_and_last_lines(movie: Movie) -> None:
    one = movie.submit("0-3")
    movie.finish(0, 1, 3)
    failure = Failure(4, "n1", "killed by SIGSEGV", ["one", "two"])
    movie.wrote(one, outcome="failed", ended=9.0, failed={"2": failure})
    movie.run.link_log([2], movie.run.log(one, 0))
    movie.run.log(one, 0).parent.mkdir()
    movie.run.log(one, 0).touch()
    seen = movie.see(t5="FAILED")
    shown = text(seen)
    assert "shard 2 failed on n1, 4 times: killed by SIGSEGV\n      one\n      two\n      log: " in shown
    assert str(movie.run.shard_log(2)) in shown
    assert f"the same make extract again (MOVIE={MOVIE} SHARDS=8)" in shown
    (failed,) = as_json(seen)["failed"]
    assert (failed["shard"], failed["times"], failed["tail"], failed["task"]["host"]) == (
        2,
        4,
        ["one", "two"],
        "n1",
    )


def test_failures_alike_are_shown_once(movie: Movie) -> None:
    one = movie.submit("0-7")
    failed = {str(shard): Failure(1, "n1", "exit status 1", ["no weights"]) for shard in (0, 1, 2, 5)}
    failed["7"] = Failure(1, "n1", "exit status 1", ["other"])
    movie.wrote(one, outcome="failed", ended=9.0, failed=failed)
    shown = text(movie.see(t5="FAILED"))
    assert shown.count("no weights") == 1 and "shard 0-2,5 failed on n1: exit status 1" in shown
    failed = {str(shard): Failure(1, "n1", f"way {shard}", []) for shard in range(8)}
    movie.wrote(one, outcome="failed", ended=9.0, failed=failed)
    assert "… and in 3 more ways" in text(movie.see(t5="FAILED"))


def test_a_task_that_retries_counts_as_running_and_what_is_given_up_as_failed(movie: Movie) -> None:
    one = movie.submit("0-3", retry=1)
    failed = {"0": Failure(2, "n1", "x", []), "1": Failure(1, "n1", "x", [])}
    movie.wrote(one, trying="1", failed=failed)
    seen = movie.see(t5="RUNNING")
    assert (seen.having("failed"), seen.having("running"), seen.having("queued")) == ([0], [1], [2, 3])
    movie.wrote(one, outcome="requeued", ended=9.0, failed=failed)
    assert (movie.see(t5="PENDING").having("failed"), movie.see(t5="PENDING").having("queued")) == (
        [0],
        [1, 2, 3],
    )


def test_a_task_that_was_to_come_back_and_did_not_is_no_running_one(movie: Movie) -> None:
    one = movie.submit("0-3")
    movie.wrote(one, outcome="requeued", ended=9.0)
    assert movie.see().having("cancelled") == [0, 1, 2, 3]
    assert movie.see(t5="CANCELLED").shards[0].state == "cancelled"
    assert movie.see(t5="FAILED").having("failed") == [0, 1, 2, 3]


def test_the_newest_submission_counts_but_a_live_task_outweighs_it(movie: Movie) -> None:
    old, new = movie.submit("0-7", submitted=1.0), movie.submit("0-3", job="6", submitted=2.0)
    movie.wrote(old, outcome="failed", ended=9.0, failed={"0": Failure(1, "n1", "old", [])})
    movie.wrote(new, outcome="failed", ended=9.0, failed={"0": Failure(1, "n1", "new", [])})
    assert movie.see(t5="FAILED", t6="FAILED").shards[0].reason == "new"
    movie.wrote(old, trying="0-7")
    seen = movie.see(t5="RUNNING", t6="FAILED")
    assert seen.having("running") == [0] and len(seen.having("queued")) == 7


def test_submissions_of_another_number_of_shards_are_history(movie: Movie) -> None:
    one = movie.submit("0-7")
    one.n = 9
    movie.run.save(one)
    movie.finish(0)
    assert movie.see(t5="CANCELLED").having("missing") == [1, 2, 3, 4, 5, 6, 7]


def test_without_slurm_s_commands_it_shows_what_was_last_heard_of(movie: Movie) -> None:
    one = movie.submit("0-1", "2-3", "4-5", "6-7")
    movie.wrote(one, 0, trying="0-1")
    movie.wrote(one, 1, outcome="failed", ended=9.0, failed={"2": Failure(1, "n1", "x", [])})
    movie.see(t5_0="RUNNING", t5_1="FAILED", t5_2="CANCELLED", t5_3="PENDING")
    seen = survey(movie.run, None)
    assert (seen.having("running"), seen.having("failed")) == ([0], [2])
    assert (seen.having("cancelled"), seen.having("queued")) == ([4, 5], [1, 6, 7])


def test_stages_stand_beside_the_shards(movie: Movie) -> None:
    movie.finish(*range(8))
    merge = movie.submit("", stage="merge", job="6")
    cluster = movie.submit("", stage="cluster", job="7", parents=[merge.key])
    movie.submit("", stage="classify", job="8", parents=[cluster.key])
    movie.wrote(
        merge, outcome="failed", ended=9.0, failed={"": Failure(1, "n1", "exit status 1", ["no coverage"])}
    )
    seen = movie.see(t6="FAILED", t7="CANCELLED", t8="PENDING")
    shown = text(seen)
    assert (
        re.search(r"merge +failed +job 6 on n1\n", shown)
        and "merge failed on n1: exit status 1\n      no coverage" in shown
    )
    assert re.search(r"cluster +cancelled +job 7 on n1 \(what it waited for did not end well\)", shown)
    assert re.search(r"classify +queued +job 8", shown)
    assert as_json(seen)["stages"]["merge"]["state"] == "failed"
    movie.wrote(merge)
    assert "killed" not in text(movie.see(t6="RUNNING", t7="PENDING", t8="PENDING"))


def test_the_rate_is_that_of_the_tasks_that_run_now(movie: Movie) -> None:
    one = movie.submit("0-3", "4-7")
    movie.finish(0, 1, 4)  # 20 frames in 2 s each: 10 frames/s
    movie.wrote(one, 0, trying="0-3")
    movie.wrote(one, 1, trying="4-7")
    seen = movie.see(t5_0="RUNNING", t5_1="RUNNING")
    assert speed(seen) == (20.0, 5 * 20 / 20.0)
    assert re.search(r"20.0 frames/s, done about \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", text(seen))
    assert speed(movie.see(t5_0="PENDING", t5_1="PENDING")) == (None, None)


def test_a_local_pool_is_alive_while_it_holds_its_lock_and_its_dead_are_told(movie: Movie) -> None:
    one = movie.submit("0-3", "4-7", job=None, local=True)
    movie.wrote(one, 0, trying="0-3")
    with movie.run.living(one):
        seen = survey(movie.run, None)
        assert (seen.having("running"), seen.having("queued")) == ([0], [1, 2, 3, 4, 5, 6, 7])
    seen = survey(movie.run, {})
    assert (seen.having("failed"), seen.having("cancelled")) == ([0], [4, 5, 6, 7]) and not seen.active
    movie.wrote(one, 0, outcome="interrupted", ended=9.0)
    assert survey(movie.run, {}).having("cancelled") == list(range(8))


def test_a_colleague_who_may_only_read_sees_the_same(movie: Movie, monkeypatch: pytest.MonkeyPatch) -> None:
    movie.submit("0-7")

    def denied(*_: object) -> None:
        raise PermissionError("read only")

    monkeypatch.setattr(RunFolder, "save", denied)
    assert movie.see(t5="CANCELLED").having("cancelled") == list(range(8))


def test_long_lists_of_shards_are_shortened_for_people_only(movie: Movie) -> None:
    movie.plan = Plan(MOVIE, {}, {}, 4000, 2000, {}, {}, ())
    movie.finish()
    one = movie.submit(*(str(shard) for shard in range(0, 2000, 2)))
    one.n = 2000
    movie.run.save(one)
    queued = {f"5_{index}": QueuedTask("PENDING", "", "", "") for index in range(1000)}
    seen = survey(movie.run, queued)
    assert (
        all(len(line) < 110 for line in table(seen)) and as_json(seen)["shards"]["queued"].count(",") == 999
    )


def test_a_stage_whose_result_was_removed_since_is_not_done(movie: Movie) -> None:
    """`cluster.py --overwrite` by hand takes the names away that were made from the old clusters."""
    movie.finish(*range(N))
    folder = movie.run.movie_folder
    folder.clusters.write_text("x")
    for stage in ("cluster", "classify"):
        movie.wrote(movie.submit("", stage=stage, job=None, local=True), outcome="done", ended=9.0)
    seen = survey(movie.run, {})
    assert {stage: task and task.state for stage, task in seen.stages.items()} == {
        "merge": None,
        "cluster": "done",
        "classify": "missing",
    }
    assert "classify    missing  here (what it made was removed; run it again)" in text(seen)
