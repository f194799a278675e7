"""A task: a crash costs one shard, a signal loses nothing, and what is done is not done again."""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from facerec.folder.layout import MovieFolder
from facerec.folder.plan import format_ranges
from slurm.records import RunFolder, Submission
from slurm.work import StopRequest, Task, reason_of, run_child, undone, wait_until, writer
from tests.slurm_fakes import FAKE_STAGE, MOVIE, make_film

N = 8


class Case:
    """A task over shards of a film that behaves as told."""

    def __init__(self, folder: Path, pack: str = "0-7", retry: int = 0, **orders: object) -> None:
        film = make_film(folder / "films", **orders)
        self.argv = [sys.executable, str(FAKE_STAGE), "--n", str(N), "--out", str(folder / "out"), str(film)]
        self.run = RunFolder(folder / "out", MOVIE)
        self.run.create()
        self.one = Submission("key", "extract", [pack], N, memory="8G", retry=retry, job="5")
        self.run.save(self.one)
        self.said: list[bytes] = []

    def work(self, stop: StopRequest | None = None) -> tuple[str, Task]:
        task = Task.begin(self.run, self.one, 0)
        outcome = task.run_shards(self.argv, stop or StopRequest(), self.said.append)
        task.end(outcome)
        return outcome, task

    def begun(self) -> list[int]:
        """The shards that were begun, in order."""
        lines = b"".join(self.said).decode().splitlines()
        return [int(line.split()[1]) for line in lines if " begins" in line]

    def missing(self) -> str:
        return format_ranges(undone(self.run.movie_folder, N, range(N)))


def test_a_pack_is_one_process_and_a_second_run_does_nothing(tmp_path: Path) -> None:
    case = Case(tmp_path, "2-4")
    assert case.work()[0] == "done" and case.begun() == [2, 3, 4] and case.missing() == "0-1,5-7"
    assert case.work()[0] == "done" and case.begun() == [2, 3, 4]


def test_a_shard_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    case = Case(tmp_path, shards={"2": "refuse", "5": "kill"})
    outcome, task = case.work()
    assert outcome == "failed" and case.missing() == "2,5"
    assert case.begun() == [0, 1, 2, 3, 4, 5, 6, 7]  # each once
    failed = task.state.failed
    assert failed["2"].tail[-1] == "fake_stage.py: error: shard 2 is not to be had"
    assert failed["2"].reason == "exit status 1"
    assert failed["5"].reason == "killed, most likely out of memory (asked for 8G)"


def test_a_retry_tries_what_failed_alone_and_last_and_only_so_often(tmp_path: Path) -> None:
    case = Case(tmp_path, retry=1, shards={"2": "once", "5": "refuse"})
    outcome, task = case.work()
    assert outcome == "failed" and task.left() == [2, 5]
    outcome, task = case.work()
    assert outcome == "failed" and case.missing() == "5" and case.begun()[8:] == [2, 5]
    assert task.state.attempt == 2 and task.state.failed["5"].times == 2 and task.left() == []
    case.work()
    assert len(case.begun()) == 10


def test_what_is_refused_twice_in_the_same_words_is_not_tried_for_every_shard(tmp_path: Path) -> None:
    case = Case(tmp_path, shards={str(shard): "same" for shard in range(N)})
    outcome, task = case.work()
    assert outcome == "failed" and case.begun() == [0, 1] and len(task.state.failed) == N


def test_wrong_usage_is_not_tried_twice_and_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    case = Case(tmp_path, shards={"0": "usage"})
    outcome, task = case.work()
    assert outcome == "failed" and case.begun() == [0] and len(task.state.failed) == N
    assert [line.partition(" failed")[0] for line in caplog.messages] == [f"shards 0-{N - 1}"]


def test_a_program_that_ends_well_without_a_result_has_failed(tmp_path: Path) -> None:
    case = Case(tmp_path, "0-1", shards={"0": "quiet"})
    outcome, task = case.work()
    assert (
        outcome == "failed"
        and case.missing().startswith("0,")
        and task.state.failed["0"].reason == "exit status 0"
    )


def test_a_task_that_died_without_a_word_begins_with_another_shard(tmp_path: Path) -> None:
    case = Case(tmp_path, "0-3")
    dead = Task.begin(case.run, case.one, 0)
    dead.state.trying = "1-3"
    dead.save()
    assert case.work()[0] == "done" and case.begun() == [0, 2, 3, 1]


def test_a_signal_ends_the_shard_in_work_and_keeps_what_is_done(tmp_path: Path) -> None:
    case, stop = Case(tmp_path, seconds=0.4), StopRequest()
    timer = threading.Timer(1.3, stop.ask, [signal.SIGUSR2])
    timer.start()
    outcome, _ = case.work(stop)
    done = N - len(undone(case.run.movie_folder, N, range(N)))
    assert outcome == "interrupted" and 0 < done < N
    assert case.work()[0] == "done" and case.missing() == ""


def test_a_signal_before_the_first_process_starts_none(tmp_path: Path) -> None:
    case, stop = Case(tmp_path), StopRequest()
    stop.ask(signal.SIGTERM)
    assert case.work(stop)[0] == "interrupted" and case.said == []


def test_a_process_that_will_not_stop_is_killed_after_its_grace(tmp_path: Path) -> None:
    deaf = (
        "import signal as s, time; s.signal(s.SIGTERM, s.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    stop = StopRequest(grace=0.2)
    heard: list[bytes] = []

    def sink(line: bytes) -> None:
        heard.append(line)
        stop.ask(signal.SIGTERM)

    assert run_child([sys.executable, "-c", deaf], stop, sink) == (-signal.SIGKILL, ["deaf"])


def test_impatience_kills_at_once(tmp_path: Path) -> None:
    stop = StopRequest()

    def sink(_line: bytes) -> None:
        stop.kill()

    status, _ = run_child(
        [sys.executable, "-c", "print(1, flush=True); import time; time.sleep(60)"], stop, sink
    )
    assert status == -signal.SIGKILL


def test_a_full_disk_under_the_log_ends_the_process_and_is_not_hidden() -> None:
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(OSError, match="No space left"):
        run_child(
            [sys.executable, "-c", "print(1, flush=True); import time; time.sleep(60)"],
            StopRequest(),
            writer(full),
        )


@pytest.mark.parametrize(
    ("status", "said", "reason"),
    [
        (1, ["MemoryError"], "out of memory (asked for 8G)"),
        (137, ["slurmstepd: error: Exceeded job memory limit"], "out of memory (asked for 8G)"),
        (1, ["slurmstepd: error: Detected 1 oom_kill event in StepId=1.0."], "out of memory (asked for 8G)"),
        (-9, [], "killed, most likely out of memory (asked for 8G)"),
        (-11, ["x"], "killed by SIGSEGV"),
        (3, ["x"], "exit status 3"),
    ],
)
def test_the_end_of_a_process_is_told_in_words(status: int, said: list[str], reason: str) -> None:
    assert reason_of(status, said, "8G") == reason


def test_waiting_for_a_late_file_is_bounded(tmp_path: Path) -> None:
    late = tmp_path / "late"
    threading.Timer(0.3, late.touch).start()
    assert wait_until(late.exists, 10)
    assert not wait_until((tmp_path / "never").exists, 0.6)


def stage_task(case: Case, stage: str, parents: list[str]) -> Task:
    one = Submission(f"{stage}-key", stage, [""], N, settle=3, parents=parents, job="6")
    case.run.save(one)
    return Task.begin(case.run, one, 0)


def stage_argv(stage: str, folder: MovieFolder) -> list[str]:
    return [sys.executable, str(FAKE_STAGE), "--stage", stage, "--path", str(folder.path)]


def test_a_stage_waits_for_files_that_another_node_shows_late(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.work()
    folder = case.run.movie_folder
    marker = folder.shard(0, 20).marker
    hidden = marker.rename(tmp_path / "hidden")
    threading.Timer(1.0, hidden.rename, [marker]).start()
    merge = stage_task(case, "merge", ["key"])
    assert merge.run_stage(stage_argv("merge", folder), StopRequest(), case.said.append) == "done"
    merge.end("done")
    assert merge.state.files["trajectories.jsonl"][0] == folder.trajectories.stat().st_size
    hidden = folder.trajectories.rename(tmp_path / "hidden")
    threading.Timer(1.0, hidden.rename, [folder.trajectories]).start()
    cluster = stage_task(case, "cluster", [merge.submission.key])
    assert cluster.run_stage(stage_argv("cluster", folder), StopRequest(), case.said.append) == "done"


def test_a_stage_does_not_wait_for_ever_nor_for_what_will_not_come(tmp_path: Path) -> None:
    case = Case(tmp_path, shards={"3": "refuse"})
    case.work()
    begun = time.monotonic()
    merge = stage_task(case, "merge", ["key"])
    argv = stage_argv("merge", case.run.movie_folder)
    assert merge.run_stage(argv, StopRequest(), case.said.append) == "failed"
    assert "shards 3 are missing" in merge.state.failed[""].tail[-1]
    assert time.monotonic() - begun < 3  # the parent said itself that it failed
    lost = Task.begin(case.run, case.one, 0)
    assert lost.state.ended is None
    assert merge.run_stage(argv, StopRequest(), case.said.append) == "failed"


def test_a_stage_that_is_stopped_is_neither_done_nor_failed(tmp_path: Path) -> None:
    case, stop = Case(tmp_path), StopRequest()
    merge = stage_task(case, "merge", [])
    stop.ask(signal.SIGTERM)
    outcome = merge.run_stage([sys.executable, "-c", "import time; time.sleep(60)"], stop, case.said.append)
    assert outcome == "interrupted" and merge.state.failed == {}


def test_a_plan_with_another_number_of_shards_counts_for_nothing(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.work()
    assert undone(case.run.movie_folder, N + 1, [0, 1]) == [0, 1]
