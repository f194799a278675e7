"""The run folder `<out>/logs/<movie_id>/`: records of what was submitted and how each task ended.

Any shell on any node can read the state of a movie from here, without SLURM accounting. Tasks write their own
record, the launcher writes the submissions; no file has two writers. Features have a folder of their own
(slurm.features).

    submissions/<key>.json          a submission: stage, job, shards of each task
    tasks/<key>_<task>.json         a task: host, attempt, outcome, failed shards
    extract/ merge/ ...             submitit's folder of each stage: logs, batch scripts, pickled arguments
    shards/00017.log                link to the log of the last task that took shard 17
    taken_back.json                 time since which failures count (slurm.setting_aside)
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from facerec.errors import FacerecError
from facerec.folder.layout import MovieFolder
from facerec.stages import PIPELINE
from facerec.support.atomic import temporary_name, write_bytes
from facerec.support.locks import locked, try_lock, unlock
from slurm.shards import shards_to_do
from slurm.submission import Submission, TaskRecord, read_record, to_json


class RunRecords:
    """Paths and records of runs that share a state: those of a movie's stages, or of some features.

    Attributes:
        name: of the folder in `<out>/logs`, and part of the names of SLURM jobs.
        title: what the runs work on, for messages.
        sharded_stage: short name of the stage that takes shards.
        stages: short names of all stages.
        shares_work: a process may leave parts of its shards to others, which have claimed them.
    """

    sharded_stage: str
    stages: tuple[str, ...]
    shares_work = False
    planned_shards = 0  # if nothing was submitted

    def __init__(self, out: Path, name: str, title: str) -> None:
        self.name, self.title = name, title
        self.out = out.absolute()
        self.path = self.out / "logs" / name
        self.submissions_dir = self.path / "submissions"
        self.tasks_dir = self.path / "tasks"
        self.shards_dir = self.path / "shards"
        self.taken_back = self.path / "taken_back.json"

    def shards_to_do(self, n: int, shards: Collection[int], contents: bool = False) -> list[int]:
        """Return those of `shards`, of `n`, that are not done.

        Args:
            contents: look at the files themselves, not only at what is recorded of them.
        """
        raise NotImplementedError

    def failures(self, n: int, shards: Collection[int]) -> dict[int, str]:
        """Return why shards failed, of those for which their program has recorded it."""
        return {}

    def variables(self) -> list[str]:
        """Return the variables of make that name this work, as `MOVIE=12345`."""
        raise NotImplementedError

    def identity(self) -> dict[str, Any]:
        """Return what names this work in the status for programs."""
        raise NotImplementedError

    def create(self) -> None:
        for folder in (self.submissions_dir, self.tasks_dir, self.shards_dir):
            folder.mkdir(parents=True, exist_ok=True)

    def stage_dir(self, stage: str) -> Path:
        """Return submitit's folder of a stage.

        Raises:
            FacerecError: SLURM would misread the path, which is written into batch scripts.
        """
        path = str(self.path)
        if "%" in path or "\\" in path or not path.isprintable():
            raise FacerecError(
                f"{path!r}: SLURM misreads %, \\ and line breaks in the path of a log; choose another OUT"
            )
        return self.path / stage

    def log(self, submission: Submission, task: int) -> Path:
        """Return the path of a task's log."""
        folder = self.path / submission.stage
        if submission.local:
            return folder / f"{submission.key}_{task}.log"
        return folder / f"{submission.task_id(task)}_0_log.out"

    def shard_log(self, shard: int) -> Path:
        return self.shards_dir / f"{shard:05d}.log"

    def link_shard_logs(self, shards: list[int], log: Path) -> None:
        """Link the log of each shard to the log of the task that extracts it."""
        target = os.path.relpath(log, self.shards_dir)
        for shard in shards:
            link = self.shards_dir / temporary_name(f"{shard}")
            link.symlink_to(target)
            link.replace(self.shard_log(shard))

    def new_key(self, stage: str) -> str:
        """Return a unique key for a submission; keys sort by time."""
        return f"{_key_time(time.time())}-{stage}-{secrets.token_hex(3)}"

    def save(self, submission: Submission) -> None:
        write_bytes(self.submissions_dir / f"{submission.key}.json", to_json(submission))

    def delete(self, submission: Submission) -> None:
        (self.submissions_dir / f"{submission.key}.json").unlink(missing_ok=True)

    def submission(self, key: str) -> Submission:
        return read_record(self.submissions_dir / f"{key}.json", Submission)

    def submissions(self, stage: str | None = None) -> list[Submission]:
        """Read all submissions, oldest first; only those of `stage` if it is given."""
        found = [self.submission(path.stem) for path in sorted(self.submissions_dir.glob("[!.]*.json"))]
        wanted = [submission for submission in found if stage in (None, submission.stage)]
        return sorted(wanted, key=lambda submission: (submission.submitted, submission.key))

    def submitted_after(self, seconds: float) -> bool:
        """Return whether there is a submission after a time, in seconds since the epoch."""
        first = _key_time(seconds)
        if not self.submissions_dir.is_dir():
            return False
        keys = [path.stem for path in self.submissions_dir.iterdir() if path.name >= first]
        return any(self.submission(key).submitted > seconds for key in keys)

    def local_pool_runs(self) -> bool:
        """Return whether a local pool works on this run."""
        alive = list(self.submissions_dir.glob(".*.alive"))
        return any(self.pool_runs(self.submission(path.name[1:].removesuffix(".alive"))) for path in alive)

    def task_path(self, key: str, task: int) -> Path:
        return self.tasks_dir / f"{key}_{task}.json"

    def task(self, key: str, task: int) -> TaskRecord | None:
        """Read the record of a task; None if the task has not started."""
        path = self.task_path(key, task)
        return read_record(path, TaskRecord) if path.exists() else None

    def save_task(self, key: str, task: int, record: TaskRecord) -> None:
        write_bytes(self.task_path(key, task), to_json(record))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the launcher's lock of this movie.

        Raises:
            FacerecError: another launcher holds it.
        """
        self.create()
        with (self.path / ".lock").open("w") as file:
            if not try_lock(file.fileno()):
                raise FacerecError(
                    f"{self.path}: another launcher is working on {self.title}; try again later"
                )
            try:
                yield
            finally:
                unlock(file.fileno())

    @contextmanager
    def pool_lock(self, submission: Submission) -> Iterator[None]:
        """Hold the lock that shows other processes that this local pool runs."""
        path = self._pool_lock_path(submission)
        with locked(path):
            yield
            path.unlink()

    def pool_runs(self, submission: Submission) -> bool:
        """Return whether a local pool runs. Its lock ends with its process; a process id could be reused."""
        try:
            file = self._pool_lock_path(submission).open("rb")  # "rb" also works without write permission
        except FileNotFoundError:
            return False
        with file:
            return not try_lock(file.fileno(), shared=True)

    def _pool_lock_path(self, submission: Submission) -> Path:
        return self.submissions_dir / f".{submission.key}.alive"


class RunFolder(RunRecords):
    """Paths and records of the runs of a movie's stages."""

    sharded_stage = "extract"
    stages = PIPELINE.short_names

    def __init__(self, out: Path, movie_id: int) -> None:
        super().__init__(out, str(movie_id), f"movie {movie_id}")
        self.movie_id = movie_id
        self.movie_folder = MovieFolder(out / f"{movie_id}-data")

    def shards_to_do(self, n: int, shards: Collection[int], contents: bool = False) -> list[int]:
        """Return those of `shards`, of `n`, that are not extracted, see `slurm.shards.shards_to_do`."""
        return shards_to_do(self.movie_folder, n, shards, contents)

    def variables(self) -> list[str]:
        """Return the variables of make that name this work."""
        return [f"MOVIE={self.movie_id}"]

    def identity(self) -> dict[str, Any]:
        """Return what names this work in the status for programs."""
        return {"movie_id": self.movie_id}


def _key_time(seconds: float) -> str:
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime(seconds))
