"""The launcher on a real SLURM of four nodes: what clusters do, done for real, with stand-in stages.

Each test prints what the user sees; `pytest -s` shows it. There is no accounting on this cluster.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from slurm import queue
from slurm.launch import launch
from slurm.records import RunFolder, Submission
from slurm.report import as_json, table
from slurm.site import STAGES
from slurm.status import Survey, survey
from tests.slurm.lab.conftest import Lab
from tests.slurm_fakes import MOVIE, make_film, make_order, use_fake_stages

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(900)]


class Movie:
    """A film whose shards behave as told, launched on the cluster."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder = lab, folder
        self.run = RunFolder(folder / "out", MOVIE)

    def launch(self, *settings: str, n: int = 16, stages: tuple[str, ...] = ("extract",)) -> list[Submission]:
        order = make_order(self.folder, "memory=200M", "cpus=1", "extract.time=60", *settings, shards=n)
        return launch(order, MOVIE, stages, self.say)

    def say(self, text: str) -> None:
        sys.stdout.write(f"{text}\n")

    def see(self) -> Survey:
        return survey(self.run, queue.tasks_of(MOVIE))

    def show(self, title: str) -> Survey:
        seen = self.see()
        self.say("\n".join([f"--- {title}", *table(seen)]))
        return seen

    def until(self, check: Callable[[Survey], bool], seconds: float = 150.0) -> Survey:
        self.lab.until(lambda: check(self.see()), seconds)
        return self.see()

    def wait(self, seconds: float = 150.0) -> Survey:
        """Until nothing is queued or running."""
        return self.until(lambda seen: not seen.active, seconds)

    def logs(self) -> str:
        return "".join(path.read_text() for path in sorted((self.run.path / "extract").glob("*_log.out")))


@pytest.fixture
def movie(calm: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Movie:
    use_fake_stages(monkeypatch)
    folder = tmp_path / "a folder: ünd 'more'"
    folder.mkdir()
    return Movie(calm, folder)


def test_the_chain_runs_by_itself_over_the_nodes(movie: Movie) -> None:
    make_film(movie.folder / "films", seconds=0.5)
    started = time.monotonic()
    movie.launch("tasks=8", stages=STAGES)
    assert time.monotonic() - started < 30  # it submits and returns
    movie.show("submitted")
    movie.until(lambda seen: bool(seen.having("done")))
    movie.show("running")
    movie.wait()
    seen = movie.show("ended")
    assert len(seen.having("done")) == 16
    assert {stage: task and task.state for stage, task in seen.stages.items()} == dict.fromkeys(
        STAGES[1:], "done"
    )
    assert movie.run.movie_folder.predictions.read_bytes()
    hosts = {task.own.host for task in seen.tasks if task.own}
    assert hosts <= {"n1", "n2", "n3", "n4"} and "shard 13 begins" in movie.run.shard_log(13).read_text()
    assert movie.launch(stages=("extract",)) == []


def test_300_shards_where_arrays_end_at_101(movie: Movie) -> None:
    make_film(movie.folder / "films", frames=600)
    ones = movie.launch("extract.parallelism=6", n=300)
    assert [len(one.packs) for one in ones] == [101, 101, 98]
    running: list[int] = []

    def ended(seen: Survey) -> bool:
        running.append(sum(task.state == "RUNNING" for task in queue.tasks_of(MOVIE).values()))
        return not seen.active

    movie.until(ended, 800)
    seen = movie.show("ended")
    assert len(seen.having("done")) == 300 and max(running) <= 6
    assert movie.logs().count("begins") == 300


def test_a_packed_array_loads_its_program_once_a_task(movie: Movie) -> None:
    make_film(movie.folder / "films", frames=600)
    (one,) = movie.launch("tasks=4", n=300)
    seen = movie.wait()
    assert len(one.packs) == 4 and len(seen.having("done")) == 300
    assert all(movie.run.log(one, index).read_text().count("attempt 1") == 1 for index in range(4))


def test_a_dead_node_s_shards_run_elsewhere(movie: Movie) -> None:
    make_film(movie.folder / "films", seconds=2.0)
    movie.launch("tasks=4", "cpus=8")  # a task a node
    seen = movie.until(lambda seen: len(seen.having("done")) >= 4)
    victim = next(task.node for task in seen.tasks if task.state == "running")
    movie.lab.node("kill", victim)
    movie.show(f"{victim} was killed")
    movie.until(lambda seen: sum(task.state == "queued" for task in seen.tasks) > 0)
    movie.show("SLURM has noticed")
    movie.wait()
    seen = movie.show("ended")
    assert len(seen.having("done")) == 16
    assert max(task.own.attempt for task in seen.tasks if task.own) == 2


def test_a_preempted_task_goes_on_with_its_next_shard(movie: Movie) -> None:
    make_film(movie.folder / "films", seconds=1.5)
    movie.launch("tasks=4", "cpus=8", "partition=main")
    movie.until(lambda seen: len(seen.having("done")) >= 4)
    movie.lab.call(
        "sbatch", "-p", "high", "-N4", "-c8", "--mem=1G", "-t", "5", "-o", "/dev/null", "--wrap", "sleep 8"
    )
    movie.until(lambda seen: sum(task.state == "queued" for task in seen.tasks) >= 3)
    movie.show("preempted by the partition high")
    movie.wait()
    seen = movie.show("ended")
    assert len(seen.having("done")) == 16 and not seen.having("failed")
    assert sum(task.own.attempt for task in seen.tasks if task.own) >= 7
    text = movie.logs()
    assert all(text.count(f"shard {shard} begins") in (1, 2) for shard in range(16))


def test_a_task_out_of_time_is_requeued_and_goes_on(movie: Movie) -> None:
    make_film(movie.folder / "films", seconds=6.0)
    movie.launch("tasks=1", "extract.time=1", "extract.warn=45", n=8)  # a minute holds a few of the eight
    movie.until(lambda seen: seen.tasks[0].state == "queued" and bool(seen.having("done")))
    movie.show("out of time, requeued")
    seen = movie.wait(280)
    movie.show("ended")
    assert len(seen.having("done")) == 8 and seen.tasks[0].own and seen.tasks[0].own.attempt > 1


def test_half_an_array_cancelled_is_reported_and_resumed(movie: Movie) -> None:
    make_film(movie.folder / "films", seconds=1.0)
    (one,) = movie.launch("extract.parallelism=4")
    movie.until(lambda seen: bool(seen.having("done")))
    movie.lab.call("scancel", *(one.task_id(index) for index in range(8, 16)))
    seen = movie.show("scancel of half the array")
    assert set(seen.having("cancelled")) == set(range(8, 16))
    again = movie.launch()
    assert [pack for one in again for pack in one.packs] == [str(shard) for shard in range(8, 16)]
    movie.wait()
    assert len(movie.show("ended").having("done")) == 16


def test_running_tasks_cancelled_say_so_themselves(movie: Movie) -> None:
    make_film(movie.folder / "films", seconds=20.0)
    (one,) = movie.launch("tasks=2", n=4)
    movie.until(lambda seen: len(seen.having("running")) == 2)
    time.sleep(2)
    movie.lab.call("scancel", str(one.job))
    movie.wait()
    assert movie.show("cancelled while running").having("cancelled") == [0, 1, 2, 3]
    movie.lab.until(
        lambda: all(movie.run.task(one.key, index).outcome == "cancelled" for index in (0, 1)), 20
    )  # type: ignore[union-attr]
    assert survey(movie.run, {}).having("cancelled") == [0, 1, 2, 3]  # also when SLURM has forgotten


def test_a_shard_that_always_crashes_is_retried_and_reported(movie: Movie) -> None:
    make_film(movie.folder / "films", shards={"5": "refuse", "9": "once"})
    ones = movie.launch("tasks=4", "retry=2", stages=STAGES)
    movie.wait()
    seen = movie.show("a shard that always crashes")
    assert seen.having("failed") == [5] and len(seen.having("done")) == 15
    assert seen.shards[5].times == 3 and seen.shards[5].tail[-1].endswith("shard 5 is not to be had")
    # and the stages that waited for it are cancelled, not left hanging
    assert [task and task.state for task in seen.stages.values()] == ["cancelled"] * 3
    assert "what it waited for did not end well" in "\n".join(table(seen))
    assert movie.lab.call("squeue", "-h") == "" and len(ones) == 4


def test_a_stage_that_fails_cancels_those_that_wait_for_it(movie: Movie) -> None:
    make_film(movie.folder / "films", fail=["merge"])
    movie.launch("tasks=2", stages=STAGES)
    movie.wait()
    seen = movie.show("a merge that fails")
    assert [task and task.state for task in seen.stages.values()] == ["failed", "cancelled", "cancelled"]


def test_memory_that_runs_out_is_reported_with_what_was_asked_for(movie: Movie) -> None:
    make_film(movie.folder / "films", shards={"2": "hog"})
    movie.launch("tasks=1", n=6)
    movie.wait()
    seen = movie.show("out of memory")
    assert seen.having("failed") == [2] and seen.having("done") == [0, 1, 3, 4, 5]
    assert seen.shards[2].reason == "out of memory (asked for 200M)"
    assert as_json(seen)["failed"][0]["task"]["host"].startswith("n")


def test_a_task_killed_whole_takes_no_other_shard_with_it(movie: Movie) -> None:
    make_film(movie.folder / "films", shards={"2": "task"})
    movie.launch("tasks=1", "retry=1", n=6)
    movie.wait()
    seen = movie.show("a shard that kills its task")
    assert seen.having("failed") == [2] and len(seen.having("done")) == 5 and seen.shards[2].times == 2


def test_gpus_are_asked_for(movie: Movie) -> None:
    make_film(movie.folder / "films")
    (one,) = movie.launch("extract.gpus=1", "tasks=2", "setup=echo GPUS=$CUDA_VISIBLE_DEVICES", n=4)
    seen = movie.wait()
    assert len(seen.having("done")) == 4
    assert "GPUS=0" in "".join(path.read_text() for path in (movie.run.path / "extract").glob("*.out"))
    script = next((movie.run.path / "extract").glob("*_submission.sh")).read_text()
    assert "--gpus-per-node=1" in script and one.job


def test_a_partition_that_does_not_exist_is_one_clear_line(movie: Movie) -> None:
    make_film(movie.folder / "films")
    with pytest.raises(queue.SlurmError, match="nvalid partition") as caught:
        movie.launch("partition=nowhere")
    movie.say(str(caught.value))
    assert "\n" not in str(caught.value) and movie.run.submissions() == []
