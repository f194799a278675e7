"""A task on a node: preempted, out of time, cancelled, killed. What it records and what it asks of SLURM."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from slurm import queue, tasks
from slurm.launch import launch
from slurm.records import RunFolder
from slurm.shards import shards_to_do
from slurm.submission import Submission, TaskRecord
from slurm.work import Task
from tests.slurm_fakes import MOVIE, MockSlurm, make_film, make_options, use_fake_stages


class Node:
    """A submission with one task over shards with given behaviour, and the node that runs it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.mock = MockSlurm(folder / "mock", monkeypatch)
        self.run = RunFolder(folder / "out", MOVIE)
        use_fake_stages(monkeypatch)

    def submit(
        self, *settings: str, n: int = 4, stages: tuple[str, ...] = ("extract",), **behaviour: object
    ) -> Submission:
        make_film(self.folder / "films", **behaviour)
        options = make_options(self.folder, "tasks=1", *settings, shards=n)
        self.submission = launch(options, MOVIE, stages, lambda line: None)[-1]
        return self.submission

    def run_task(self) -> bool:
        return self.mock.run(self.submission.task_id(0), self.run.path / self.submission.stage)

    def record(self) -> TaskRecord:
        state = self.run.task(self.submission.key, 0)
        assert state is not None
        return state

    def to_do(self) -> list[int]:
        return shards_to_do(self.run.movie_folder, self.submission.n, range(self.submission.n))

    def when_started(self, do: Callable[[], None]) -> None:
        """Call `do` once the first shard is done."""

        def wait() -> None:
            while len(self.to_do()) == self.submission.n:
                time.sleep(0.05)
            do()

        threading.Thread(target=wait, daemon=True).start()


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    return Node(tmp_path, monkeypatch)


def me(number: signal.Signals) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGTERM])
def test_a_preempted_task_is_requeued_and_continues_with_its_next_shard(
    node: Node, number: signal.Signals
) -> None:
    submission = node.submit(seconds=0.4)
    node.when_started(me(number))
    assert not node.run_task() and node.mock.requeued() == [submission.task_id(0)]
    assert node.record().outcome == "requeued" and 0 < len(node.to_do()) < 4
    assert node.run_task() and node.record().attempt == 2 and node.to_do() == []


def test_a_cancelled_task_is_not_requeued(node: Node) -> None:
    submission = node.submit(seconds=0.4)

    def scancel() -> None:
        node.mock.set(submission.task_id(0), "CANCELLED")
        os.kill(os.getpid(), signal.SIGTERM)

    node.when_started(scancel)
    assert not node.run_task() and node.mock.requeued() == [] and node.record().outcome == "cancelled"


def test_a_failed_shard_is_retried_by_requeueing(node: Node) -> None:
    submission = node.submit("retry=2", shards={"1": "refuse"})
    for attempt in (1, 2):
        assert not node.run_task() and node.mock.requeued() == [submission.task_id(0)] * attempt
        assert node.to_do() == [1]
    assert not node.run_task() and len(node.mock.requeued()) == 2
    record = node.record()
    assert (record.outcome, record.attempt, record.failed["1"].times) == ("failed", 3, 3)
    assert node.mock.states()[submission.task_id(0)] == "FAILED"


def test_without_requeue_the_task_fails(node: Node) -> None:
    node.submit("retry=2", shards={"1": "refuse"})
    (node.mock.folder / "no_requeue").touch()
    assert not node.run_task() and node.record().outcome == "failed"


def test_a_time_limit_after_a_finished_shard_is_no_failure(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.submit(seconds=0.4)
    monkeypatch.setattr(tasks, "_usable_seconds", lambda minutes, warn: 0.1)
    node.when_started(me(signal.SIGUSR2))
    assert not node.run_task() and node.record().failed == {} and len(node.mock.requeued()) == 1


def test_a_shard_that_uses_the_whole_time_limit_fails_and_the_others_run(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    submission = node.submit("extract.time=1", seconds=2.0, n=3)
    assert [tasks._usable_seconds(limit, warn=90) for limit in (1, 60)] == [30, 3450]
    monkeypatch.setattr(tasks, "_usable_seconds", lambda minutes, warn: 0.1)
    threading.Timer(1.0, me(signal.SIGUSR2)).start()
    assert not node.run_task() and node.mock.requeued() == [submission.task_id(0)]
    assert "did not finish within the time limit of 1 min" in node.record().failed["0"].reason
    threading.Timer(1.0, me(signal.SIGUSR2)).start()
    assert not node.run_task() and sorted(node.record().failed) == ["0", "1"]
    threading.Timer(1.0, me(signal.SIGUSR2)).start()
    assert not node.run_task() and node.record().outcome == "failed" and len(node.mock.requeued()) == 2


def test_the_batch_script_records_a_killed_task(node: Node) -> None:
    submission = node.submit("extract.memory=900M")
    with node.mock.environment_of(submission.task_id(0)):
        submission = node.run.submission(submission.key)
        task = Task.start(node.run, submission, 0)
        task.record.trying = "0-3"
        task.save()
        node.run.log(submission, 0).write_text(
            "shard 0 begins\nslurmstepd: error: Exceeded job memory limit\n"
        )
        arguments = [str(node.run.out), str(MOVIE), submission.key, "0", "137"]
        with pytest.raises(SystemExit):
            tasks.main(arguments)
    failure = node.record().failed["0"]
    assert failure.reason == "out of memory (requested 900M)" and "memory limit" in failure.tail[-1]
    assert node.mock.requeued() == [submission.task_id(0)]  # to extract the other three
    assert not node.run_task() and node.to_do() == [0] and node.record().outcome == "failed"
    with node.mock.environment_of(submission.task_id(0)):
        tasks.main(arguments)  # the task has recorded its end itself
    assert len(node.mock.requeued()) == 1


def test_the_batch_script_records_a_killed_stage(node: Node) -> None:
    merge = node.submit(stages=("extract", "merge"))
    with node.mock.environment_of(str(merge.job)):
        Task.start(node.run, node.run.submission(merge.key), 0)
        with pytest.raises(SystemExit):
            tasks.record_killed_task(str(node.run.out), MOVIE, merge.key, 0, 137)
    assert node.record().failed[""].reason == "killed, most likely out of memory (requested 4G)"
    assert node.record().outcome == "failed" and node.mock.requeued() == []


def test_a_failed_stage_records_why(node: Node) -> None:
    node.submit(stages=("extract", "merge"), fail=["merge"])
    extract = node.run.submissions("extract")[0]
    assert node.mock.run(extract.task_id(0), node.run.path / "extract")
    assert not node.run_task() and node.record().failed[""].tail[-1].endswith("merge cannot")


def test_a_task_may_start_before_the_launcher_has_recorded_the_job(node: Node) -> None:
    submission = node.submit()
    submission.job = None
    node.run.save(submission)
    assert node.mock.run("100", node.run.path / "extract")
    assert node.run.shard_log(3).readlink().name == "100_0_log.out"


def test_without_an_answer_of_slurm_a_stopped_task_is_interrupted(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.submit(seconds=0.4)
    monkeypatch.setattr(queue, "job_state", lambda job: "")
    node.when_started(me(signal.SIGTERM))
    assert not node.run_task() and node.mock.requeued() == [] and node.record().outcome == "interrupted"


def test_without_a_time_limit_of_ours_slurms_own_is_asked_for(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    submission = node.submit("extract.time=0", seconds=2.0, n=3)
    assert submission.minutes == 0
    (node.mock.folder / "limit").write_text("1:00:00\n")
    monkeypatch.setattr(tasks, "_usable_seconds", lambda minutes, warn: 0.1 if minutes == 60 else 1e9)
    threading.Timer(1.0, me(signal.SIGUSR2)).start()
    assert not node.run_task()
    assert "did not finish within the time limit of 60 min" in node.record().failed["0"].reason


def test_without_any_time_limit_an_interrupted_shard_has_not_failed(node: Node) -> None:
    node.submit("extract.time=0", seconds=2.0, n=3)
    (node.mock.folder / "limit").write_text("UNLIMITED\n")
    threading.Timer(1.0, me(signal.SIGUSR2)).start()
    assert not node.run_task() and node.record().failed == {} and len(node.mock.requeued()) == 1
