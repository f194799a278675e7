"""The launcher on a real SLURM cluster of four nodes without accounting, with fake stages.

Each test prints what a user sees; `pytest -s` shows it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from slurm import queue
from slurm.launch import launch
from slurm.records import RunFolder
from slurm.report import as_json, status_lines
from slurm.status import MovieStatus, read_status
from slurm.submission import Submission
from tests.slurm.lab.conftest import Lab
from tests.slurm_fakes import MOVIE, STAGES, make_film, make_options, use_fake_stages

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(900)]


class Movie:
    """A film with given behaviour, launched on the cluster."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder = lab, folder
        self.run = RunFolder(folder / "out", MOVIE)

    def launch(self, *settings: str, n: int = 16, stages: tuple[str, ...] = ("extract",)) -> list[Submission]:
        options = make_options(self.folder, "memory=200M", "cpus=1", "extract.time=60", *settings, shards=n)
        return launch(options, MOVIE, stages, self.say)

    def say(self, text: str) -> None:
        sys.stdout.write(f"{text}\n")

    def status(self) -> MovieStatus:
        return read_status(self.run, queue.tasks_of(MOVIE))

    def show(self, title: str) -> MovieStatus:
        status = self.status()
        self.say("\n".join([f"--- {title}", *status_lines(status)]))
        return status

    def until(self, condition: Callable[[MovieStatus], bool], seconds: float = 150.0) -> MovieStatus:
        self.lab.until(lambda: condition(self.status()), seconds)
        return self.status()

    def wait(self, seconds: float = 150.0) -> MovieStatus:
        """Wait until nothing is queued or running."""
        return self.until(lambda status: not status.active, seconds)

    def logs(self) -> str:
        return "".join(path.read_text() for path in sorted((self.run.path / "extract").glob("*_log.out")))


@pytest.fixture
def movie(idle_lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Movie:
    use_fake_stages(monkeypatch)
    folder = tmp_path / "a folder: ünd 'more'"
    folder.mkdir()
    return Movie(idle_lab, folder)


def test_all_stages_run_over_the_nodes(movie: Movie) -> None:
    make_film(movie.folder / "films", seconds=0.5)
    started = time.monotonic()
    movie.launch("tasks=8", stages=STAGES)
    assert time.monotonic() - started < 30  # it does not wait for the jobs
    movie.show("submitted")
    movie.until(lambda status: bool(status.shards_in("done")))
    movie.show("running")
    movie.wait()
    status = movie.show("ended")
    assert len(status.shards_in("done")) == 16
    assert {stage: task and task.state for stage, task in status.stages.items()} == dict.fromkeys(
        STAGES[1:], "done"
    )
    assert movie.run.movie_folder.predictions.read_bytes()
    hosts = {task.record.host for task in status.tasks if task.record}
    assert hosts <= {"n1", "n2", "n3", "n4"} and "shard 13 begins" in movie.run.shard_log(13).read_text()
    assert movie.launch(stages=("extract",)) == []


def test_300_shards_with_an_array_limit_of_101(movie: Movie) -> None:
    make_film(movie.folder / "films", frames=600)
    submissions = movie.launch("extract.parallelism=6", n=300)
    assert [len(submission.packs) for submission in submissions] == [101, 101, 98]
    running: list[int] = []

    def ended(status: MovieStatus) -> bool:
        running.append(sum(task.state == "RUNNING" for task in queue.tasks_of(MOVIE).values()))
        return not status.active

    movie.until(ended, 800)
    status = movie.show("ended")
    assert len(status.shards_in("done")) == 300 and max(running) <= 6
    assert movie.logs().count("begins") == 300


def test_a_packed_task_runs_once(movie: Movie) -> None:
    make_film(movie.folder / "films", frames=600)
    (submission,) = movie.launch("tasks=4", n=300)
    status = movie.wait()
    assert len(submission.packs) == 4 and len(status.shards_in("done")) == 300
    assert all(movie.run.log(submission, index).read_text().count("attempt 1") == 1 for index in range(4))


def test_the_shards_of_a_dead_node_run_elsewhere(movie: Movie) -> None:
    make_film(movie.folder / "films", seconds=2.0)
    movie.launch("tasks=4", "cpus=8")  # one task per node
    status = movie.until(lambda status: len(status.shards_in("done")) >= 4)
    victim = next(task.node for task in status.tasks if task.state == "running")
    movie.lab.node("kill", victim)
    movie.show(f"{victim} was killed")
    movie.until(lambda status: sum(task.state == "queued" for task in status.tasks) > 0)
    movie.show("SLURM has noticed")
    movie.wait()
    status = movie.show("ended")
    assert len(status.shards_in("done")) == 16
    assert max(task.record.attempt for task in status.tasks if task.record) == 2


def test_a_preempted_task_continues_with_its_next_shard(movie: Movie) -> None:
    make_film(movie.folder / "films", seconds=1.5)
    movie.launch("tasks=4", "cpus=8", "partition=main")
    movie.until(lambda status: len(status.shards_in("done")) >= 4)
    movie.lab.call(
        "sbatch", "-p", "high", "-N4", "-c8", "--mem=1G", "-t", "5", "-o", "/dev/null", "--wrap", "sleep 8"
    )
    movie.until(lambda status: sum(task.state == "queued" for task in status.tasks) >= 3)
    movie.show("preempted by the partition high")
    movie.wait()
    status = movie.show("ended")
    assert len(status.shards_in("done")) == 16 and not status.shards_in("failed")
    assert sum(task.record.attempt for task in status.tasks if task.record) >= 7
    text = movie.logs()
    assert all(text.count(f"shard {shard} begins") in (1, 2) for shard in range(16))


def test_a_task_out_of_time_is_requeued_and_continues(movie: Movie) -> None:
    make_film(movie.folder / "films", seconds=6.0)
    movie.launch("tasks=1", "extract.time=1", "extract.warn=45", n=8)  # a minute suffices for some of them
    movie.until(lambda status: status.tasks[0].state == "queued" and bool(status.shards_in("done")))
    movie.show("out of time, requeued")
    status = movie.wait(280)
    movie.show("ended")
    assert (
        len(status.shards_in("done")) == 8 and status.tasks[0].record and status.tasks[0].record.attempt > 1
    )


def test_a_half_cancelled_array_is_reported_and_resumed(movie: Movie) -> None:
    make_film(movie.folder / "films", seconds=1.0)
    (submission,) = movie.launch("extract.parallelism=4")
    movie.until(lambda status: bool(status.shards_in("done")))
    movie.lab.call("scancel", *(submission.task_id(index) for index in range(8, 16)))
    status = movie.show("scancel of half the array")
    assert set(status.shards_in("cancelled")) == set(range(8, 16))
    again = movie.launch()
    assert [pack for submission in again for pack in submission.packs] == [
        str(shard) for shard in range(8, 16)
    ]
    movie.wait()
    assert len(movie.show("ended").shards_in("done")) == 16


def test_cancelled_running_tasks_record_it(movie: Movie) -> None:
    make_film(movie.folder / "films", seconds=20.0)
    (submission,) = movie.launch("tasks=2", n=4)
    movie.until(lambda status: len(status.shards_in("running")) == 2)
    time.sleep(2)
    movie.lab.call("scancel", str(submission.job))
    movie.wait()
    assert movie.show("cancelled while running").shards_in("cancelled") == [0, 1, 2, 3]
    movie.lab.until(
        lambda: all(movie.run.task(submission.key, index).outcome == "cancelled" for index in (0, 1)), 20
    )  # type: ignore[union-attr]
    forgotten = read_status(movie.run, {})  # as when squeue no longer lists the tasks
    assert forgotten.shards_in("cancelled") == [0, 1, 2, 3]


def test_a_shard_that_always_fails_is_retried_and_reported(movie: Movie) -> None:
    make_film(movie.folder / "films", shards={"5": "refuse", "9": "once"})
    submissions = movie.launch("tasks=4", "retry=2", stages=STAGES)
    movie.wait()
    status = movie.show("a shard that always crashes")
    assert status.shards_in("failed") == [5] and len(status.shards_in("done")) == 15
    assert status.shards[5].times == 3 and status.shards[5].tail[-1].endswith("shard 5 cannot be extracted")
    # the stages that depend on it are cancelled and leave the queue
    assert [task and task.state for task in status.stages.values()] == ["cancelled"] * 4
    assert "an earlier stage failed or was cancelled" in "\n".join(status_lines(status))
    assert movie.lab.call("squeue", "-h") == "" and len(submissions) == len(STAGES)


def test_a_failed_stage_cancels_its_downstream_stages(movie: Movie) -> None:
    make_film(movie.folder / "films", fail=["merge"])
    movie.launch("tasks=2", stages=STAGES)
    movie.wait()
    status = movie.show("a merge that fails")
    assert [task and task.state for task in status.stages.values()] == ["failed", *["cancelled"] * 3]


def test_out_of_memory_is_reported_with_the_requested_memory(movie: Movie) -> None:
    make_film(movie.folder / "films", shards={"2": "hog"})
    movie.launch("tasks=1", n=6)
    movie.wait()
    status = movie.show("out of memory")
    assert status.shards_in("failed") == [2] and status.shards_in("done") == [0, 1, 3, 4, 5]
    assert status.shards[2].reason == "out of memory (requested 200M)"
    assert as_json(status)["failed"][0]["task"]["host"].startswith("n")


def test_a_shard_that_kills_its_task_fails_alone(movie: Movie) -> None:
    make_film(movie.folder / "films", shards={"2": "task"})
    movie.launch("tasks=1", "retry=1", n=6)
    movie.wait()
    status = movie.show("a shard that kills its task")
    assert (
        status.shards_in("failed") == [2]
        and len(status.shards_in("done")) == 5
        and status.shards[2].times == 2
    )


def test_gpus_are_requested(movie: Movie) -> None:
    make_film(movie.folder / "films")
    (submission,) = movie.launch("extract.gpus=1", "tasks=2", "setup=echo GPUS=$CUDA_VISIBLE_DEVICES", n=4)
    status = movie.wait()
    assert len(status.shards_in("done")) == 4
    assert "GPUS=0" in "".join(path.read_text() for path in (movie.run.path / "extract").glob("*.out"))
    script = next((movie.run.path / "extract").glob("*_submission.sh")).read_text()
    assert "--gpus-per-node=1" in script and submission.job


def test_an_unknown_partition_is_reported_in_one_line(movie: Movie) -> None:
    make_film(movie.folder / "films")
    with pytest.raises(queue.SlurmError, match="nvalid partition") as caught:
        movie.launch("partition=nowhere")
    movie.say(str(caught.value))
    assert "\n" not in str(caught.value) and movie.run.submissions() == []
