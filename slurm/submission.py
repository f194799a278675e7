"""What was submitted and how each task ended, as JSON files in the run folder (`slurm.records`)."""

from __future__ import annotations

import getpass
import os
import time
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import orjson

from facerec.support.atomic import host
from facerec.support.jsonl import RuleViolation, read_json, require_keys


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


def to_json(record: Submission | TaskRecord) -> bytes:
    """Return the contents of the file of a record."""
    return orjson.dumps(asdict(record), option=orjson.OPT_INDENT_2)


def read_record(path: Path, kind: type[Record]) -> Record:
    """Read the file of a record.

    Raises:
        ContractError: it is missing or is not such a record.
    """

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
