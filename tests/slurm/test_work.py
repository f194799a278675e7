"""A task: a crash costs one shard, a signal keeps finished shards, and no shard is extracted twice."""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from facerec.folder.layout import MovieFolder
from facerec.folder.plan import format_ranges
from slurm.process import StopRequest, failure_reason, run_process, write_to
from slurm.records import RunFolder
from slurm.shards import shards_to_do
from slurm.submission import Submission
from slurm.work import Task, wait_until
from tests.slurm_fakes import FAKE_STAGE, MOVIE, make_film

N = 8


class Case:
    """A task over the shards of a film with given behaviour."""

    def __init__(self, folder: Path, pack: str = "0-7", retry: int = 0, **behaviour: object) -> None:
        film = make_film(folder / "films", **behaviour)
        self.command = [
            sys.executable,
            str(FAKE_STAGE),
            "--n",
            str(N),
            "--out",
            str(folder / "out"),
            str(film),
        ]
        self.run = RunFolder(folder / "out", MOVIE)
        self.run.create()
        self.submission = Submission("key", "extract", [pack], N, memory="8G", retry=retry, job="5")
        self.run.save(self.submission)
        self.output: list[bytes] = []

    def run_task(self, stop: StopRequest | None = None) -> tuple[str, Task]:
        task = Task.start(self.run, self.submission, 0)
        outcome = task.run_shards(self.command, stop or StopRequest(), self.output.append)
        task.end(outcome)
        return outcome, task

    def started(self) -> list[int]:
        """Return the shards that were started, in order."""
        lines = b"".join(self.output).decode().splitlines()
        return [int(line.split()[1]) for line in lines if " begins" in line]

    def missing(self) -> str:
        return format_ranges(shards_to_do(self.run.movie_folder, N, range(N)))


def test_a_pack_is_one_process_and_a_second_run_does_nothing(tmp_path: Path) -> None:
    case = Case(tmp_path, "2-4")
    assert case.run_task()[0] == "done" and case.started() == [2, 3, 4] and case.missing() == "0-1,5-7"
    assert case.run_task()[0] == "done" and case.started() == [2, 3, 4]


def test_a_failed_shard_does_not_stop_the_others(tmp_path: Path) -> None:
    case = Case(tmp_path, shards={"2": "refuse", "5": "kill"})
    outcome, task = case.run_task()
    assert outcome == "failed" and case.missing() == "2,5"
    assert case.started() == [0, 1, 2, 3, 4, 5, 6, 7]  # each once
    failed = task.record.failed
    assert failed["2"].tail[-1] == "fake_stage.py: error: shard 2 cannot be extracted"
    assert failed["2"].reason == "exit status 1"
    assert failed["5"].reason == "killed, most likely out of memory (requested 8G)"


def test_failed_shards_are_retried_alone_and_last(tmp_path: Path) -> None:
    case = Case(tmp_path, retry=1, shards={"2": "once", "5": "refuse"})
    outcome, task = case.run_task()
    assert outcome == "failed" and task.to_try() == [2, 5]
    outcome, task = case.run_task()
    assert outcome == "failed" and case.missing() == "5" and case.started()[8:] == [2, 5]
    assert task.record.attempt == 2 and task.record.failed["5"].times == 2 and task.to_try() == []
    case.run_task()
    assert len(case.started()) == 10


def test_an_error_common_to_two_shards_fails_all(tmp_path: Path) -> None:
    case = Case(tmp_path, shards={str(shard): "same" for shard in range(N)})
    outcome, task = case.run_task()
    assert outcome == "failed" and case.started() == [0, 1] and len(task.record.failed) == N


def test_a_usage_error_fails_all_shards_and_is_reported_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    case = Case(tmp_path, shards={"0": "usage"})
    outcome, task = case.run_task()
    assert outcome == "failed" and case.started() == [0] and len(task.record.failed) == N
    assert [line.partition(" failed")[0] for line in caplog.messages] == [f"shards 0-{N - 1}"]


def test_success_without_a_result_is_a_failure(tmp_path: Path) -> None:
    case = Case(tmp_path, "0-1", shards={"0": "quiet"})
    outcome, task = case.run_task()
    assert (
        outcome == "failed"
        and case.missing().startswith("0,")
        and task.record.failed["0"].reason == "exit status 0"
    )


def test_a_task_that_was_killed_continues_with_another_shard(tmp_path: Path) -> None:
    case = Case(tmp_path, "0-3")
    dead = Task.start(case.run, case.submission, 0)
    dead.record.trying = "1-3"
    dead.save()
    assert case.run_task()[0] == "done" and case.started() == [0, 2, 3, 1]


def test_a_signal_stops_the_task_and_keeps_finished_shards(tmp_path: Path) -> None:
    case, stop = Case(tmp_path, seconds=0.4), StopRequest()
    timer = threading.Timer(1.3, stop.request, [signal.SIGUSR2])
    timer.start()
    outcome, _ = case.run_task(stop)
    done = N - len(shards_to_do(case.run.movie_folder, N, range(N)))
    assert outcome == "interrupted" and 0 < done < N
    assert case.run_task()[0] == "done" and case.missing() == ""


def test_after_a_signal_no_process_is_started(tmp_path: Path) -> None:
    case, stop = Case(tmp_path), StopRequest()
    stop.request(signal.SIGTERM)
    assert case.run_task(stop)[0] == "interrupted" and case.output == []


def test_a_process_that_ignores_the_signal_is_killed_after_a_while(tmp_path: Path) -> None:
    stubborn = (
        "import signal as s, time; s.signal(s.SIGTERM, s.SIG_IGN); print('stuck', flush=True); time.sleep(60)"
    )
    stop = StopRequest(grace=0.2)
    lines: list[bytes] = []

    def sink(line: bytes) -> None:
        lines.append(line)
        stop.request(signal.SIGTERM)

    assert run_process([sys.executable, "-c", stubborn], stop, sink) == (-signal.SIGKILL, ["stuck"])


def test_kill_ends_the_process_at_once(tmp_path: Path) -> None:
    stop = StopRequest()

    def sink(_line: bytes) -> None:
        stop.kill()

    status, _ = run_process(
        [sys.executable, "-c", "print(1, flush=True); import time; time.sleep(60)"], stop, sink
    )
    assert status == -signal.SIGKILL


def test_a_log_that_cannot_be_written_ends_the_process() -> None:
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(OSError, match="No space left"):
        run_process(
            [sys.executable, "-c", "print(1, flush=True); import time; time.sleep(60)"],
            StopRequest(),
            write_to(full),
        )


@pytest.mark.parametrize(
    ("status", "said", "reason"),
    [
        (1, ["MemoryError"], "out of memory (requested 8G)"),
        (137, ["slurmstepd: error: Exceeded job memory limit"], "out of memory (requested 8G)"),
        (1, ["slurmstepd: error: Detected 1 oom_kill event in StepId=1.0."], "out of memory (requested 8G)"),
        (-9, [], "killed, most likely out of memory (requested 8G)"),
        (-11, ["x"], "killed by SIGSEGV"),
        (3, ["x"], "exit status 3"),
    ],
)
def test_failure_reasons(status: int, said: list[str], reason: str) -> None:
    assert failure_reason(status, said, "8G") == reason


def test_waiting_ends_after_the_given_time(tmp_path: Path) -> None:
    late = tmp_path / "late"
    threading.Timer(0.3, late.touch).start()
    assert wait_until(late.exists, 10)
    assert not wait_until((tmp_path / "never").exists, 0.6)


def stage_task(case: Case, stage: str, parents: list[str]) -> Task:
    submission = Submission(f"{stage}-key", stage, [""], N, settle=3, parents=parents, job="6")
    case.run.save(submission)
    return Task.start(case.run, submission, 0)


def stage_command(stage: str, folder: MovieFolder) -> list[str]:
    return [sys.executable, str(FAKE_STAGE), "--stage", stage, "--path", str(folder.path)]


def test_a_stage_waits_for_late_files_of_another_node(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.run_task()
    folder = case.run.movie_folder
    marker = folder.shard(0, 20).marker
    hidden = marker.rename(tmp_path / "hidden")
    threading.Timer(1.0, hidden.rename, [marker]).start()
    merge = stage_task(case, "merge", ["key"])
    assert merge.run_stage(stage_command("merge", folder), StopRequest(), case.output.append) == "done"
    merge.end("done")
    assert merge.record.files["trajectories.jsonl"][0] == folder.trajectories.stat().st_size
    hidden = folder.trajectories.rename(tmp_path / "hidden")
    threading.Timer(1.0, hidden.rename, [folder.trajectories]).start()
    cluster = stage_task(case, "cluster", [merge.submission.key])
    assert cluster.run_stage(stage_command("cluster", folder), StopRequest(), case.output.append) == "done"


def test_a_stage_does_not_wait_for_failed_parents(tmp_path: Path) -> None:
    case = Case(tmp_path, shards={"3": "refuse"})
    case.run_task()
    begun = time.monotonic()
    merge = stage_task(case, "merge", ["key"])
    command = stage_command("merge", case.run.movie_folder)
    assert merge.run_stage(command, StopRequest(), case.output.append) == "failed"
    assert "shards 3 are missing" in merge.record.failed[""].tail[-1]
    assert time.monotonic() - begun < 3  # the parent recorded its failure
    lost = Task.start(case.run, case.submission, 0)
    assert lost.record.ended is None
    assert merge.run_stage(command, StopRequest(), case.output.append) == "failed"


def test_a_stopped_stage_is_interrupted(tmp_path: Path) -> None:
    case, stop = Case(tmp_path), StopRequest()
    merge = stage_task(case, "merge", [])
    stop.request(signal.SIGTERM)
    outcome = merge.run_stage([sys.executable, "-c", "import time; time.sleep(60)"], stop, case.output.append)
    assert outcome == "interrupted" and merge.record.failed == {}


def test_shards_of_a_plan_with_another_number_of_shards_are_not_done(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.run_task()
    assert shards_to_do(case.run.movie_folder, N + 1, [0, 1]) == [0, 1]
