"""The run's folder, `<out>/logs/<movie_id>/`: what was submitted and what became of it.

Every shell can tell from here how a movie stands, with no accounting database and long after the shell that
submitted is gone. Tasks write their own state, the launcher writes what it submitted; nobody writes both.

    submissions/<key>.json          what was submitted: stage, job, the shards of each task
    tasks/<key>_<task>.json         a task's own account: where, since when, which shards failed and why
    extract/ merge/ …               submitit's folder for the stage: logs, batch scripts, pickled arguments
    shards/00017.log                the log of the task that last took shard 17 (a link)
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

import orjson

from facerec.errors import FacerecError
from facerec.folder.layout import MovieFolder
from facerec.support.atomic import host, temporary_name, write_bytes
from facerec.support.jsonl import RuleViolation, read_json, require_keys
from facerec.support.locks import locked, try_lock, unlock

Record = TypeVar("Record", "Submission", "TaskState")


@dataclass
class Submission:
    """One array (or one local pool): what was asked of the cluster.

    Attributes:
        key: its name in the run's folder; also the job's comment in SLURM, by which it is found again.
        job: SLURM's job id; None while sbatch has not answered, and for a local pool.
        packs: the shards of each task, as range lists; a stage that is not sharded has one empty one.
        array: whether SLURM's ids of its tasks have an index.
        n: number of shards of the film.
        memory, minutes: what a task asked for; `warn`: seconds before the end at which it is told.
        retry: how many times a failed shard is tried again.
        settle: seconds a file may take to be seen on another node.
        parents: keys of the submissions whose results it reads.
        host: of the launcher; of the pool where there is no SLURM.
        last: SLURM's last word on each task (by its index, as text) that has ended.
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
    last: dict[str, str] = field(default_factory=dict)

    def know(self, task_id: str) -> None:
        """Learn the job from the id of one of its tasks."""
        self.job, _, index = task_id.partition("_")
        self.array = bool(index)

    def task_id(self, task: int) -> str:
        """SLURM's id of the task: `4242_3`, or `4242` where it was submitted alone."""
        return f"{self.job}_{task}" if self.array else f"{self.job}"


@dataclass
class Failure:
    """A shard that failed: how often, where last, why, and the last lines it said."""

    times: int
    host: str
    reason: str
    tail: list[str]


@dataclass
class TaskState:
    """A task's own account, rewritten at every turn.

    Attributes:
        outcome: `running` until it ends; then `done`, `failed`, `interrupted`, `cancelled`, or
            `requeued` where SLURM was asked to run it again.
        trying: the shards its present process was given, as a range list; `since`: when.
        failed: by shard number (as text); a stage that is not sharded uses `""`.
        files: the movie folder's top-level files as they were when it ended: size, time in ns.
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


class RunFolder:
    """The paths and records of one movie's run."""

    def __init__(self, out: Path, movie_id: int) -> None:
        self.movie_id = movie_id
        self.movie_folder = MovieFolder(out / f"{movie_id}-data")
        self.out = out.absolute()
        self.path = self.out / "logs" / str(movie_id)
        self.submissions_dir = self.path / "submissions"
        self.tasks_dir = self.path / "tasks"
        self.shards_dir = self.path / "shards"

    def create(self) -> None:
        for folder in (self.submissions_dir, self.tasks_dir, self.shards_dir):
            folder.mkdir(parents=True, exist_ok=True)

    def stage_dir(self, stage: str) -> Path:
        """submitit's folder for the stage, whose path stands in batch scripts."""
        path = str(self.path)
        if "%" in path or "\\" in path or not path.isprintable():
            raise FacerecError(
                f"{path!r}: SLURM misreads %, \\ and line breaks in a log's path; choose another OUT"
            )
        return self.path / stage

    def log(self, submission: Submission, task: int) -> Path:
        """The log of a task."""
        folder = self.path / submission.stage
        if submission.local:
            return folder / f"{submission.key}_{task}.log"
        return folder / f"{submission.task_id(task)}_0_log.out"

    def shard_log(self, shard: int) -> Path:
        return self.shards_dir / f"{shard:05d}.log"

    def link_log(self, shards: list[int], log: Path) -> None:
        """Make the shards' logs findable by number: a link to the log of the task that takes them."""
        target = os.path.relpath(log, self.shards_dir)
        for shard in shards:
            part = self.shards_dir / temporary_name(f"{shard}")
            part.symlink_to(target)
            part.replace(self.shard_log(shard))

    def new_key(self, stage: str) -> str:
        """A name for a submission; names sort by time."""
        return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{stage}-{secrets.token_hex(3)}"

    def save(self, submission: Submission) -> None:
        write_bytes(self.submissions_dir / f"{submission.key}.json", _dumps(submission))

    def forget(self, submission: Submission) -> None:
        (self.submissions_dir / f"{submission.key}.json").unlink(missing_ok=True)

    def submission(self, key: str) -> Submission:
        return _read(self.submissions_dir / f"{key}.json", Submission)

    def submissions(self, stage: str | None = None) -> list[Submission]:
        """All submissions, oldest first."""
        found = [self.submission(path.stem) for path in sorted(self.submissions_dir.glob("[!.]*.json"))]
        return sorted(
            (one for one in found if stage in (None, one.stage)), key=lambda one: (one.submitted, one.key)
        )

    def task_path(self, key: str, task: int) -> Path:
        return self.tasks_dir / f"{key}_{task}.json"

    def task(self, key: str, task: int) -> TaskState | None:
        """A task's account, None where it has not begun."""
        path = self.task_path(key, task)
        return _read(path, TaskState) if path.exists() else None

    def save_task(self, key: str, task: int, state: TaskState) -> None:
        write_bytes(self.task_path(key, task), _dumps(state))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep a second launcher from submitting the same movie meanwhile."""
        self.create()
        with (self.path / ".lock").open("w") as file:
            if not try_lock(file.fileno()):
                raise FacerecError(f"{self.path}: another launcher is at this movie right now; try again")
            try:
                yield
            finally:
                unlock(file.fileno())

    @contextmanager
    def living(self, submission: Submission) -> Iterator[None]:
        """Show for the length of the block that the local pool of this submission is alive."""
        life = self._life(submission)
        with locked(life):
            yield
            life.unlink()

    def alive(self, submission: Submission) -> bool:
        """Whether a local pool is still there; a lock, unlike a pid, cannot outlive its process."""
        try:
            life = self._life(submission).open("rb")  # whoever asks may be let read only
        except FileNotFoundError:
            return False
        with life:
            return not try_lock(life.fileno(), shared=True)

    def _life(self, submission: Submission) -> Path:
        return self.submissions_dir / f".{submission.key}.alive"


def _dumps(record: Submission | TaskState) -> bytes:
    return orjson.dumps(asdict(record), option=orjson.OPT_INDENT_2)


def _read(path: Path, kind: type[Record]) -> Record:
    def parse(value: object) -> Record:
        record: dict[str, Any] = require_keys(value, {item.name for item in fields(kind)})
        made = kind(**record)
        if isinstance(made, TaskState):
            try:
                made.failed = {shard: Failure(**failure) for shard, failure in record["failed"].items()}
            except (TypeError, AttributeError):
                raise RuleViolation("failed must tell of each shard times, host, reason and tail") from None
        return made

    return read_json(path, parse)
