"""A task on its node: preempted, out of time, cancelled, killed whole; what SLURM is told, what written."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from slurm import queue, tasks
from slurm.launch import launch
from slurm.records import RunFolder, Submission, TaskState
from slurm.work import Task, undone
from tests.slurm_fakes import MOVIE, MockSlurm, make_film, make_order, use_fake_stages


class Node:
    """A submission of one task over shards that behave as told, and the node it runs on."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.mock = MockSlurm(folder / "mock", monkeypatch)
        self.run = RunFolder(folder / "out", MOVIE)
        use_fake_stages(monkeypatch)

    def submit(
        self, *settings: str, n: int = 4, stages: tuple[str, ...] = ("extract",), **orders: object
    ) -> Submission:
        make_film(self.folder / "films", **orders)
        order = make_order(self.folder, "tasks=1", *settings, shards=n)
        self.one = launch(order, MOVIE, stages, lambda line: None)[-1]
        return self.one

    def go(self) -> bool:
        return self.mock.run(self.one.task_id(0), self.run.path / self.one.stage)

    def state(self) -> TaskState:
        state = self.run.task(self.one.key, 0)
        assert state is not None
        return state

    def left(self) -> list[int]:
        return undone(self.run.movie_folder, self.one.n, range(self.one.n))

    def when_begun(self, do: Callable[[], None]) -> None:
        """Do something once the first shard is done."""

        def wait() -> None:
            while len(self.left()) == self.one.n:
                time.sleep(0.05)
            do()

        threading.Thread(target=wait, daemon=True).start()


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    return Node(tmp_path, monkeypatch)


def me(number: signal.Signals) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGTERM])
def test_a_preempted_task_is_requeued_and_goes_on_with_its_next_shard(
    node: Node, number: signal.Signals
) -> None:
    one = node.submit(seconds=0.4)
    node.when_begun(me(number))
    assert not node.go() and node.mock.requeued() == [one.task_id(0)]
    assert node.state().outcome == "requeued" and 0 < len(node.left()) < 4
    assert node.go() and node.state().attempt == 2 and node.left() == []


def test_a_cancelled_task_says_so_and_does_not_come_back(node: Node) -> None:
    one = node.submit(seconds=0.4)

    def scancel() -> None:
        node.mock.set(one.task_id(0), "CANCELLED")
        os.kill(os.getpid(), signal.SIGTERM)

    node.when_begun(scancel)
    assert not node.go() and node.mock.requeued() == [] and node.state().outcome == "cancelled"


def test_a_failed_shard_is_retried_by_requeueing_as_often_as_asked(node: Node) -> None:
    one = node.submit("retry=2", shards={"1": "refuse"})
    for attempt in (1, 2):
        assert not node.go() and node.mock.requeued() == [one.task_id(0)] * attempt
        assert node.left() == [1]
    assert not node.go() and len(node.mock.requeued()) == 2
    state = node.state()
    assert (state.outcome, state.attempt, state.failed["1"].times) == ("failed", 3, 3)
    assert node.mock.states()[one.task_id(0)] == "FAILED"


def test_a_site_that_does_not_requeue_leaves_a_failure_and_no_traceback(node: Node) -> None:
    node.submit("retry=2", shards={"1": "refuse"})
    (node.mock.folder / "no_requeue").touch()
    assert not node.go() and node.state().outcome == "failed"


def test_a_time_limit_that_finishes_shards_blames_none(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    node.submit(seconds=0.4)
    monkeypatch.setattr(tasks, "_usable_seconds", lambda submission: 0.1)
    node.when_begun(me(signal.SIGUSR2))
    assert not node.go() and node.state().failed == {} and len(node.mock.requeued()) == 1


def test_a_shard_that_fills_the_time_limit_alone_is_reported_and_the_others_go_on(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = node.submit("extract.time=1", seconds=2.0, n=3)
    assert [tasks._usable_seconds(replace(one, minutes=limit, warn=90)) for limit in (1, 60)] == [30, 3450]
    monkeypatch.setattr(tasks, "_usable_seconds", lambda submission: 0.1)
    threading.Timer(1.0, me(signal.SIGUSR2)).start()
    assert not node.go() and node.mock.requeued() == [one.task_id(0)]
    assert "did not end within the time limit of 1 min" in node.state().failed["0"].reason
    threading.Timer(1.0, me(signal.SIGUSR2)).start()
    assert not node.go() and sorted(node.state().failed) == ["0", "1"]
    threading.Timer(1.0, me(signal.SIGUSR2)).start()
    assert not node.go() and node.state().outcome == "failed" and len(node.mock.requeued()) == 2


def test_a_task_killed_whole_is_told_by_its_batch_script(node: Node) -> None:
    one = node.submit("extract.memory=900M")
    with node.mock.inside(one.task_id(0)):
        submission = node.run.submission(one.key)
        task = Task.begin(node.run, submission, 0)
        task.state.trying = "0-3"
        task.save()
        node.run.log(submission, 0).write_text(
            "shard 0 begins\nslurmstepd: error: Exceeded job memory limit\n"
        )
        arguments = [str(node.run.out), str(MOVIE), one.key, "0", "137"]
        with pytest.raises(SystemExit):
            tasks.main(arguments)
    failure = node.state().failed["0"]
    assert failure.reason == "out of memory (asked for 900M)" and "memory limit" in failure.tail[-1]
    assert node.mock.requeued() == [one.task_id(0)]  # for the other three
    assert not node.go() and node.left() == [0] and node.state().outcome == "failed"
    with node.mock.inside(one.task_id(0)):
        tasks.main(arguments)  # it has said itself how it ended
    assert len(node.mock.requeued()) == 1


def test_a_stage_killed_whole_is_told_too(node: Node) -> None:
    merge = node.submit(stages=("extract", "merge"))
    with node.mock.inside(str(merge.job)):
        Task.begin(node.run, node.run.submission(merge.key), 0)
        with pytest.raises(SystemExit):
            tasks.after(str(node.run.out), MOVIE, merge.key, 0, 137)
    assert node.state().failed[""].reason == "killed, most likely out of memory (asked for 4G)"
    assert node.state().outcome == "failed" and node.mock.requeued() == []


def test_a_stage_that_fails_says_why_and_ends_badly(node: Node) -> None:
    node.submit(stages=("extract", "merge"), fail=["merge"])
    extract = node.run.submissions("extract")[0]
    assert node.mock.run(extract.task_id(0), node.run.path / "extract")
    assert not node.go() and node.state().failed[""].tail[-1].endswith("merge cannot")


def test_a_task_begins_before_its_launcher_has_written_down_the_job(node: Node) -> None:
    one = node.submit()
    one.job = None
    node.run.save(one)
    assert node.mock.run("100", node.run.path / "extract")
    assert node.run.shard_log(3).readlink().name == "100_0_log.out"


def test_without_an_answer_from_slurm_nothing_is_requeued_and_nothing_called_cancelled(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.submit(seconds=0.4)
    monkeypatch.setattr(queue, "job_state", lambda job: "")
    node.when_begun(me(signal.SIGTERM))
    assert not node.go() and node.mock.requeued() == [] and node.state().outcome == "interrupted"
