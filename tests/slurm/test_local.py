"""Runs without SLURM: number of workers, clean stop, continuation, status from another shell."""

from __future__ import annotations

import io
import logging
import os
import re
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
from slurm.local import run_local, visible_gpus, worker_environments
from slurm.records import RunFolder
from slurm.shards import shards_to_do
from slurm.status import read_status
from tests.slurm_fakes import MOVIE, STAGES, make_film, make_options, use_fake_stages


class Laptop:
    """A folder of films on a machine without SLURM."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run = RunFolder(folder / "out", MOVIE)
        self.lines: list[str] = []

    def run_stages(self, *settings: str, stages: tuple[str, ...] = ("extract",), n: int = 6) -> int:
        self.lines.clear()
        options = make_options(self.folder, *settings, shards=n)
        return run_local(options, MOVIE, stages, self.lines.append)

    def to_do(self, n: int = 6) -> list[int]:
        return shards_to_do(self.run.movie_folder, n, range(n))

    def log(self) -> str:
        return "".join(path.read_text() for path in sorted((self.run.path / "extract").glob("*.log")))

    def when_started(self, do: Callable[[], None]) -> threading.Thread:
        def wait() -> None:
            while len(self.to_do()) == 6:
                time.sleep(0.05)
            do()

        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        return thread


@pytest.fixture
def laptop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Laptop:
    use_fake_stages(monkeypatch)
    monkeypatch.setattr(local, "_POLL_S", 0.1)
    monkeypatch.setattr("slurm.queue.available", lambda: False)
    monkeypatch.setattr(local, "visible_gpus", lambda: [])
    return Laptop(tmp_path)


def test_all_stages_run_and_later_only_missing_shards(laptop: Laptop) -> None:
    make_film(laptop.folder / "films")
    assert laptop.run_stages("local.workers=2", "tasks=2", stages=STAGES) == 0
    assert laptop.run.movie_folder.predictions.exists() and laptop.to_do() == []
    assert laptop.log().count("begins") == 6 and (laptop.run.path / "merge").is_dir()
    assert laptop.run.shard_log(5).read_text().count("shard 5 begins") == 1
    laptop.run.movie_folder.shard(0, 26).marker.unlink()
    assert laptop.run_stages("local.workers=2") == 0 and laptop.log().count("begins") == 7
    assert laptop.lines[0].endswith("1 of 6 shards to do (5 done)")
    assert laptop.run_stages() == 0 and laptop.lines == [laptop.lines[0]]


def test_the_progress_inside_a_shard_is_shown(
    laptop: Laptop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A film in one shard may take hours; a shard that begins again does not count backwards."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("facerec.support.cli.LOG_SECONDS", 0.0)
    monkeypatch.setattr("slurm.pool_progress._LOG_SHARE", 0.0)  # a line at every look, the last included
    make_film(laptop.folder / "films", seconds=0.6, progress=[40, 10], shards={"0": "once"})
    assert laptop.run_stages("retry=1", n=1) == 0
    begin, *lines = [message for message in caplog.messages if message.startswith("movie 77 extract: ")]
    assert begin == "movie 77 extract: the workers load the models and read the film"
    shape = re.compile(r"movie 77 extract: \d+ of 160 frames, .* frames/s, .*left.*")
    assert all(map(shape.fullmatch, lines))
    done = [int(line.split()[3]) for line in lines]
    assert done == sorted(done) and {*done} <= {0, 10, 40, 160} and {10, 40} & {*done} and done[-1] == 160


def test_a_terminal_shows_one_bar_over_the_frames_of_all_shards(
    laptop: Laptop, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr", terminal)
    make_film(laptop.folder / "films", seconds=0.3, progress=[13])
    assert laptop.run_stages("local.workers=2", "tasks=6") == 0
    assert "movie 77 extract: 100%" in terminal.getvalue() and "160/160" in terminal.getvalue()


def test_no_more_workers_run_than_requested(laptop: Laptop, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert laptop.run_stages("local.workers=2", "tasks=4") == 0 and most == 2


def test_a_failed_shard_is_retried_and_reported_while_the_others_run(laptop: Laptop) -> None:
    make_film(laptop.folder / "films", shards={"1": "refuse", "4": "once"})
    assert laptop.run_stages("local.workers=1", "tasks=1", "retry=1") == 1
    assert laptop.to_do() == [1] and laptop.log().count("shard 1 begins") == 2
    assert laptop.lines[2].startswith("  shard 1 failed on ") and "2 times: exit status 1" in laptop.lines[2]
    assert laptop.lines[-2].endswith("shard 1 cannot be extracted") and laptop.lines[-1].endswith("00001.log")


def test_a_failed_report_does_not_fail_the_movie(laptop: Laptop, caplog: pytest.LogCaptureFixture) -> None:
    make_film(laptop.folder / "films", fail=["report"])
    assert laptop.run_stages("tasks=1", stages=STAGES) == 0
    assert laptop.run.movie_folder.predictions.exists() and not laptop.run.movie_folder.report.exists()
    assert "report failed, but all results are there" in caplog.text
    assert laptop.run_stages("tasks=1", stages=("report",)) == 1  # here it is all that was asked for


def test_a_failed_stage_ends_the_chain(laptop: Laptop) -> None:
    make_film(laptop.folder / "films", fail=["cluster"])
    assert laptop.run_stages("tasks=1", stages=STAGES) == 1
    assert laptop.run.movie_folder.trajectories.exists() and not laptop.run.movie_folder.predictions.exists()
    assert [submission.stage for submission in laptop.run.submissions()] == ["extract", "merge", "cluster"]


def test_ctrl_c_stops_cleanly_and_the_same_command_continues(laptop: Laptop) -> None:
    make_film(laptop.folder / "films", seconds=0.4)
    laptop.when_started(lambda: os.kill(os.getpid(), signal.SIGINT))
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match="the same command continues"):
        laptop.run_stages("local.workers=1", "tasks=1")
    assert signal.getsignal(signal.SIGINT) is before
    assert 0 < len(laptop.to_do()) < 6
    assert read_status(laptop.run, None).shards_in("cancelled") == laptop.to_do()


def test_after_an_interrupted_fresh_run_the_advice_leaves_out_fresh(laptop: Laptop) -> None:
    """The same command with FRESH=1 would delete the finished shards."""
    make_film(laptop.folder / "films", seconds=0.4)
    laptop.when_started(lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(Interrupted, match="the same command without FRESH=1 continues"):
        options = make_options(laptop.folder, "local.workers=1", "tasks=1", shards=6)
        run_local(replace(options, fresh=True), MOVIE, ("extract",), laptop.lines.append)
    assert laptop.run_stages("local.workers=1", "tasks=1") == 0 and laptop.to_do() == []


def test_a_second_ctrl_c_stops_at_once(laptop: Laptop, monkeypatch: pytest.MonkeyPatch) -> None:
    make_film(laptop.folder / "films", seconds=30.0)
    monkeypatch.setattr(
        local.StopRequest, "request", lambda self, number: setattr(self, "received", number)
    )  # workers ignore the first signal

    def twice() -> None:
        while not (laptop.run.path / "extract").is_dir() or "begins" not in laptop.log():
            time.sleep(0.05)
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)

    threading.Thread(target=twice, daemon=True).start()
    with pytest.raises(Interrupted):
        laptop.run_stages("local.workers=1", "tasks=1")
    assert len(laptop.to_do()) == 6


def test_another_shell_sees_the_run_and_cannot_start_it_twice(laptop: Laptop) -> None:
    make_film(laptop.folder / "films", seconds=0.4)
    observed: list[object] = []

    def observe() -> None:
        submission = read_status(laptop.run, None)
        observed.extend([submission.active, len(submission.shards_in("running"))])
        try:
            with laptop.run.lock():
                pass
        except FacerecError as error:
            observed.append(str(error))

    watcher = laptop.when_started(observe)
    assert laptop.run_stages("local.workers=1", "tasks=1") == 0
    watcher.join()
    assert observed[:2] == [True, 1] and "another launcher" in str(observed[2])


def test_each_gpu_gets_one_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "visible_gpus", lambda: ["0", "3"])
    workers = worker_environments(make_options(tmp_path), 10)
    assert [worker["CUDA_VISIBLE_DEVICES"] for worker in workers] == ["0", "3"]
    workers = worker_environments(make_options(tmp_path, "local.workers=4"), 10)
    assert [worker["CUDA_VISIBLE_DEVICES"] for worker in workers] == ["0", "3", "0", "3"]
    assert "CUDA_VISIBLE_DEVICES" not in worker_environments(make_options(tmp_path, device="cpu"), 10)[0]


def test_workers_fit_into_cores_and_memory_and_share_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "visible_gpus", lambda: [])
    monkeypatch.setattr(local, "usable_cpus", lambda: 8)
    monkeypatch.setattr(local, "available_memory", lambda: 13 << 30)
    options = make_options(tmp_path, "local.memory=3G")
    assert worker_environments(options, 100) == [{"OMP_NUM_THREADS": "2"}] * 4
    assert worker_environments(options, 1) == [{"OMP_NUM_THREADS": "8"}]
    monkeypatch.setattr(local, "available_memory", lambda: 1 << 30)
    assert len(worker_environments(options, 100)) == 1


def test_gpus_are_found_without_torch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
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
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-7,MIG-8")
    assert visible_gpus() == ["MIG-7", "MIG-8"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "NoDevFiles")  # SLURM's, without a GPU
    assert visible_gpus() == []


MIG = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5c89)
  MIG 3g.20gb     Device  0: (UUID: MIG-c738)
  MIG 1g.5gb      Device  1: (UUID: MIG-a28a)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-d13a)
"""


def test_parts_of_a_gpu_are_named_by_their_uuids_and_get_a_worker_each(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    smi = tmp_path / "nvidia-smi"
    smi.write_text(f"#!/bin/sh\nprintf '{MIG}'\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible_gpus() == ["MIG-c738", "MIG-a28a", "GPU-d13a"]
    workers = worker_environments(make_options(tmp_path, "local.workers=6"), 10)
    used = [worker["CUDA_VISIBLE_DEVICES"] for worker in workers]
    assert used == ["MIG-c738", "MIG-a28a", "GPU-d13a"] * 2  # two tasks share each


def test_a_killed_launcher_leaves_no_workers_and_no_lock(laptop: Laptop, tmp_path: Path) -> None:
    make_film(laptop.folder / "films", seconds=0.5)
    code = (
        "import sys; from pathlib import Path; from tests.slurm_fakes import *;"
        "from slurm.local import run_local;"
        "from facerec.stages import Stage; Stage.script = FAKE_STAGE;"
        "run_local(make_options(Path(sys.argv[1]), 'tasks=1', shards=6), MOVIE, ('extract',), print)"
    )
    launcher = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=local.__file__.rpartition("/slurm/")[0]
    )
    while len(laptop.to_do()) == 6:
        time.sleep(0.05)
    launcher.kill()
    launcher.wait()
    assert not read_status(laptop.run, None).active
    assert laptop.run_stages("tasks=1") == 0 and laptop.to_do() == []
