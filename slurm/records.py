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

import getpass
import os
import secrets
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import orjson

from facerec.errors import FacerecError
from facerec.folder.layout import MovieFolder
from facerec.stages import PIPELINE
from facerec.support.atomic import host, temporary_name, write_bytes
from facerec.support.jsonl import RuleViolation, read_json, require_keys
from facerec.support.locks import locked, try_lock, unlock
from slurm.shards import shards_to_do


@cache  # the password database may be on another machine
def user_name() -> str:
    """Return the login name of this process's user, or its number if it has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without an entry in /etc/passwd
        return str(os.getuid())


Record = TypeVar("Record", "Submission", "TaskRecord")


@dataclass
class Submission:
    """One array of SLURM or one local pool.

    Attributes:
        key: name of the submission in the run folder; also the comment of its SLURM job, to find the job by.
        job: SLURM's job id; None until sbatch has answered, and for a local pool.
        packs: shards of each task as range lists; one empty list for a stage that is not sharded.
        array: task ids in SLURM have an index.
        n: number of shards of the film.
        memory, minutes: requested per task.
        warn: seconds before the time limit at which a task is signalled.
        retry: number of times a failed shard is tried again.
        settle: seconds until a file is visible on other nodes, at most.
        parents: keys of the submissions that produce its inputs.
        host: host of the launcher; of the pool if `local`.
        user: login name of who submitted it; empty if unknown.
        chosen: what the user has chosen of the stage, see `RunOptions.chosen`; None if unknown.
        last: SLURM's final state of each task that ended, by task index as text.
    """

    key: str
    stage: str
    packs: list[str]
    n: int
    memory: str = ""
    minutes: int = 0
    warn: int = 0
    retry: int = 0
    settle: float = 0.0
    parents: list[str] = field(default_factory=list)
    local: bool = False
    array: bool = False
    job: str | None = None
    submitted: float = field(default_factory=time.time)
    host: str = field(default_factory=host)
    user: str = field(default_factory=user_name)
    chosen: list[str] | None = None
    last: dict[str, str] = field(default_factory=dict)

    def set_job(self, task_id: str) -> None:
        """Set the job from the id of one of its tasks."""
        self.job, _, index = task_id.partition("_")
        self.array = bool(index)

    def task_id(self, task: int) -> str:
        """Return SLURM's id of a task: `4242_3` in an array, else `4242`."""
        return f"{self.job}_{task}" if self.array else f"{self.job}"


@dataclass
class Failure:
    """Failures of a shard: their number, and host, reason and last log lines of the last one."""

    times: int
    host: str
    reason: str
    tail: list[str]


@dataclass
class TaskRecord:
    """State of a task, written by the task itself whenever it changes.

    Attributes:
        attempt: 1, and one more for each time SLURM ran the task again.
        ended: seconds since the epoch; None while the task runs, or if it was killed.
        outcome: `running`, `done`, `failed`, `interrupted`, `cancelled`, or `requeued` after a request to
            SLURM to run the task again.
        trying: shards of the process that runs now, as a range list.
        since: time at which that process was started.
        failed: failures by shard number as text; by `""` for a stage that is not sharded.
        files: size and modification time in ns of the movie folder's top-level files at the end of a stage.
    """

    host: str = field(default_factory=host)
    attempt: int = 1
    began: float = field(default_factory=time.time)
    ended: float | None = None
    outcome: str = "running"
    trying: str = ""
    since: float = 0.0
    failed: dict[str, Failure] = field(default_factory=dict)
    files: dict[str, list[int]] = field(default_factory=dict)


_NAMES = {kind.__name__: frozenset(item.name for item in fields(kind)) for kind in (Submission, TaskRecord)}


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
        write_bytes(self.submissions_dir / f"{submission.key}.json", _to_json(submission))

    def delete(self, submission: Submission) -> None:
        (self.submissions_dir / f"{submission.key}.json").unlink(missing_ok=True)

    def submission(self, key: str) -> Submission:
        return _read(self.submissions_dir / f"{key}.json", Submission)

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
        return _read(path, TaskRecord) if path.exists() else None

    def save_task(self, key: str, task: int, record: TaskRecord) -> None:
        write_bytes(self.task_path(key, task), _to_json(record))

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


def _to_json(record: Submission | TaskRecord) -> bytes:
    return orjson.dumps(asdict(record), option=orjson.OPT_INDENT_2)


def _read(path: Path, kind: type[Record]) -> Record:
    def parse(value: object) -> Record:
        names = _NAMES[kind.__name__]
        if isinstance(value, dict) and "user" in names:  # an earlier release did not record these
            value = {"user": "", "chosen": None, **value}
        content: dict[str, Any] = require_keys(value, names)
        record = kind(**content)
        if isinstance(record, TaskRecord):
            try:
                record.failed = {shard: Failure(**failure) for shard, failure in content["failed"].items()}
            except (TypeError, AttributeError):
                raise RuleViolation("failed must give times, host, reason and tail of each shard") from None
        return record

    return read_json(path, parse)
