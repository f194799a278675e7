"""How often a movie has failed. One that fails again and again is set aside, until it is taken back.

The number follows from the records of the run folder: each submission in which the same shard, or the same
stage, failed counts once. `take_back` writes the time from which failures count.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import orjson

from facerec.support.atomic import write_bytes
from facerec.support.jsonl import is_float, read_json, require, require_keys
from slurm.records import RunRecords
from slurm.status import MovieStatus
from slurm.task_status import TaskStatus


@dataclass(frozen=True)
class Failures:
    """The failures of a movie that are not repaired.

    Attributes:
        times: number of submissions in which the stage, or one of its shards, failed.
        stage: the stage that failed most often; empty if none has failed.
        reason: of its last failure.
    """

    times: int = 0
    stage: str = ""
    reason: str = ""


def failures_of(movie: MovieStatus) -> Failures:
    """Count the failures since the movie was taken back, of shards and stages that are still failed."""
    since = _taken_back(movie.run)
    tasks = [task for task in movie.tasks if task.submission.submitted > since]
    found = [
        _failures_of_shards(
            movie, [task for task in tasks if task.submission.stage == movie.run.sharded_stage]
        )
    ]
    for stage, last in movie.stages.items():
        if last and last.state == "failed":
            of_stage = [task for task in tasks if task.submission.stage == stage]
            done = [index for index, task in enumerate(of_stage) if task.state == "done"]
            failed = [task for task in of_stage[done[-1] + 1 if done else 0 :] if task.state == "failed"]
            found.append(Failures(len(failed), stage, _reason(last)))
    return max(found, key=lambda failures: failures.times)


def _failures_of_shards(movie: MovieStatus, tasks: list[TaskStatus]) -> Failures:
    """Return the failures of the shard that failed most often."""
    worst = Failures()
    for number in movie.shards_in("failed"):
        shard = movie.shards[number]
        keys = {
            task.submission.key for task in tasks if task.submission.n == movie.n and task.has_failed(number)
        }
        if len(keys) > worst.times or not worst.stage:
            worst = Failures(len(keys), movie.run.sharded_stage, f"shard {number}: {shard.reason}")
    return worst


def _reason(task: TaskStatus) -> str:
    failure = task.record.failed.get("") if task.record else None
    return f"{task.submission.stage}: {failure.reason if failure else task.reason}"


def take_back(run: RunRecords) -> None:
    """Count only failures from now on."""
    run.create()
    write_bytes(run.taken_back, orjson.dumps({"time": time.time()}))


def _taken_back(run: RunRecords) -> float:
    """Return the time from which failures count."""
    if not run.taken_back.exists():
        return 0.0

    def parse(value: object) -> float:
        record = require_keys(value, {"time"})
        require(is_float(record["time"]), "time must be a number")
        return float(record["time"])

    return read_json(run.taken_back, parse)
