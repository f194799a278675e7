"""Without SLURM: so many workers at a time, stopped cleanly, gone on with, and seen from another shell."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from facerec.errors import FacerecError, Interrupted
from slurm import local
from slurm.local import available_memory, run_local, visible_gpus, worker_slots
from slurm.records import RunFolder
from slurm.site import STAGES
from slurm.status import survey
from slurm.work import undone
from tests.slurm_fakes import MOVIE, make_film, make_order, use_fake_stages


class Laptop:
    """A films' folder on a machine without SLURM."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run = RunFolder(folder / "out", MOVIE)
        self.said: list[str] = []

    def go(self, *settings: str, stages: tuple[str, ...] = ("extract",), n: int = 6) -> int:
        self.said.clear()
        order = make_order(self.folder, *settings, shards=n)
        return run_local(order, MOVIE, stages, self.said.append)

    def left(self, n: int = 6) -> list[int]:
        return undone(self.run.movie_folder, n, range(n))

    def log(self) -> str:
        return "".join(path.read_text() for path in sorted((self.run.path / "extract").glob("*.log")))

    def when_begun(self, do: Callable[[], None]) -> threading.Thread:
        def wait() -> None:
            while len(self.left()) == 6:
                time.sleep(0.05)
            do()

        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        return thread


@pytest.fixture
def laptop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Laptop:
    use_fake_stages(monkeypatch)
    monkeypatch.setattr(local, "_LOOK_S", 0.1)
    monkeypatch.setattr("slurm.queue.available", lambda: False)
    monkeypatch.setattr(local, "visible_gpus", lambda: [])
    return Laptop(tmp_path)


def test_all_stages_run_here_and_a_second_time_only_what_is_missing(laptop: Laptop) -> None:
    make_film(laptop.folder / "films")
    assert laptop.go("local.workers=2", "tasks=2", stages=STAGES) == 0
    assert laptop.run.movie_folder.predictions.exists() and laptop.left() == []
    assert laptop.log().count("begins") == 6 and (laptop.run.path / "merge").is_dir()
    assert laptop.run.shard_log(5).read_text().count("shard 5 begins") == 1
    laptop.run.movie_folder.shard(0, 26).marker.unlink()
    assert laptop.go("local.workers=2") == 0 and laptop.log().count("begins") == 7
    assert laptop.said[0].endswith("1 of 6 shards to do (5 done)")
    assert laptop.go() == 0 and laptop.said == [laptop.said[0]]


def test_no_more_workers_at_a_time_than_asked(laptop: Laptop, monkeypatch: pytest.MonkeyPatch) -> None:
    make_film(laptop.folder / "films")
    now, most, lock = 0, 0, threading.Lock()
    real = local.Task.run_shards

    def counted(*args: object) -> str:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        try:
            return real(*args)  # type: ignore[arg-type]
        finally:
            with lock:
                now -= 1

    monkeypatch.setattr(local.Task, "run_shards", counted)
    assert laptop.go("local.workers=2", "tasks=4") == 0 and most == 2


def test_a_shard_that_fails_is_retried_reported_and_does_not_stop_the_others(laptop: Laptop) -> None:
    make_film(laptop.folder / "films", shards={"1": "refuse", "4": "once"})
    assert laptop.go("local.workers=1", "tasks=1", "retry=1") == 1
    assert laptop.left() == [1] and laptop.log().count("shard 1 begins") == 2
    assert laptop.said[2].startswith("  shard 1 failed on ") and "2 times: exit status 1" in laptop.said[2]
    assert laptop.said[-2].endswith("shard 1 is not to be had") and laptop.said[-1].endswith("00001.log")


def test_a_stage_that_fails_ends_the_chain(laptop: Laptop) -> None:
    make_film(laptop.folder / "films", fail=["cluster"])
    assert laptop.go("tasks=1", stages=STAGES) == 1
    assert laptop.run.movie_folder.trajectories.exists() and not laptop.run.movie_folder.predictions.exists()
    assert [one.stage for one in laptop.run.submissions()] == ["extract", "merge", "cluster"]


def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(laptop: Laptop) -> None:
    make_film(laptop.folder / "films", seconds=0.4)
    laptop.when_begun(lambda: os.kill(os.getpid(), signal.SIGINT))
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match="the same command goes on"):
        laptop.go("local.workers=1", "tasks=1")
    assert signal.getsignal(signal.SIGINT) is before
    assert 0 < len(laptop.left()) < 6
    assert survey(laptop.run, None).having("cancelled") == laptop.left()


def test_whoever_began_afresh_is_not_told_to_begin_afresh_once_more(laptop: Laptop) -> None:
    """The same command again would drop what is done."""
    make_film(laptop.folder / "films", seconds=0.4)
    laptop.when_begun(lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(Interrupted, match="the same command without FRESH=1 goes on"):
        order = make_order(laptop.folder, "local.workers=1", "tasks=1", shards=6)
        run_local(replace(order, fresh=True), MOVIE, ("extract",), laptop.said.append)
    assert laptop.go("local.workers=1", "tasks=1") == 0 and laptop.left() == []


def test_a_second_ctrl_c_waits_no_longer(laptop: Laptop, monkeypatch: pytest.MonkeyPatch) -> None:
    make_film(laptop.folder / "films", seconds=30.0)
    monkeypatch.setattr(
        local.StopRequest, "ask", lambda self, number: setattr(self, "asked", number)
    )  # deaf workers

    def twice() -> None:
        while not (laptop.run.path / "extract").is_dir() or "begins" not in laptop.log():
            time.sleep(0.05)
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)

    threading.Thread(target=twice, daemon=True).start()
    with pytest.raises(Interrupted):
        laptop.go("local.workers=1", "tasks=1")
    assert len(laptop.left()) == 6


def test_another_shell_sees_it_run_and_may_not_start_it_twice(laptop: Laptop) -> None:
    make_film(laptop.folder / "films", seconds=0.4)
    seen: list[object] = []

    def look() -> None:
        one = survey(laptop.run, None)
        seen.extend([one.active, len(one.having("running"))])
        try:
            with laptop.run.lock():
                pass
        except FacerecError as error:
            seen.append(str(error))

    watcher = laptop.when_begun(look)
    assert laptop.go("local.workers=1", "tasks=1") == 0
    watcher.join()
    assert seen[:2] == [True, 1] and "another launcher" in str(seen[2])


def test_workers_are_one_for_each_gpu_each_with_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "visible_gpus", lambda: ["0", "3"])
    slots = worker_slots(make_order(tmp_path), 10)
    assert [slot["CUDA_VISIBLE_DEVICES"] for slot in slots] == ["0", "3"]
    slots = worker_slots(make_order(tmp_path, "local.workers=4"), 10)
    assert [slot["CUDA_VISIBLE_DEVICES"] for slot in slots] == ["0", "3", "0", "3"]
    assert "CUDA_VISIBLE_DEVICES" not in worker_slots(make_order(tmp_path, device="cpu"), 10)[0]


def test_workers_are_as_many_as_cores_and_memory_allow_and_share_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "visible_gpus", lambda: [])
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    monkeypatch.setattr(local, "available_memory", lambda: 13 << 30)
    order = make_order(tmp_path, "local.memory=3G")
    assert worker_slots(order, 100) == [{"OMP_NUM_THREADS": "2"}] * 4
    assert worker_slots(order, 1) == [{"OMP_NUM_THREADS": "8"}]
    monkeypatch.setattr(local, "available_memory", lambda: 1 << 30)
    assert len(worker_slots(order, 100)) == 1


def test_gpus_are_counted_without_torch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-5")
    assert visible_gpus() == ["2", "GPU-5"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert visible_gpus() == []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible_gpus() == []
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho 'GPU 0: A (UUID: x)'\necho 'GPU 1: B (UUID: y)'\n")
    smi.chmod(0o755)
    assert visible_gpus() == ["0", "1"]


def test_memory_is_what_is_free_within_the_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_CGROUP_LIMITS", ())
    free = available_memory()
    assert free > 1 << 20
    limit = tmp_path / "max"
    monkeypatch.setattr(local, "_CGROUP_LIMITS", (str(limit), str(tmp_path / "none")))
    limit.write_text("1048576\n")
    assert available_memory() == 1 << 20
    limit.write_text("max\n")
    assert available_memory() > 1 << 20


def test_a_killed_launcher_leaves_no_workers_and_no_lock(laptop: Laptop, tmp_path: Path) -> None:
    make_film(laptop.folder / "films", seconds=0.5)
    code = (
        "import sys; from pathlib import Path; from tests.slurm_fakes import *;"
        "from slurm.local import run_local;"
        "from facerec.stages import Stage; Stage.script = FAKE_STAGE;"
        "run_local(make_order(Path(sys.argv[1]), 'tasks=1', shards=6), MOVIE, ('extract',), print)"
    )
    launcher = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=local.__file__.rpartition("/slurm/")[0]
    )
    while len(laptop.left()) == 6:
        time.sleep(0.05)
    launcher.kill()
    launcher.wait()
    assert not survey(laptop.run, None).active
    assert laptop.go("tasks=1") == 0 and laptop.left() == []
