"""How a movie stands, as a table for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from facerec.folder.plan import format_ranges
from facerec.support.shell import launcher_command
from slurm.status import STATES, Survey, TaskView, ends_at, speed

_SHOWN = 5  # failures that are shown with their log's last lines
_INDENT = "      "


def table(seen: Survey) -> Iterator[str]:
    """The lines of `make status`."""
    title = f"movie {seen.run.movie_id}"
    if not seen.n:
        yield f"{title}: nothing was submitted yet"
        return
    frames = f", {seen.frame_count} frames" if seen.frame_count is not None else ""
    yield f"{title}: {seen.n} shards{frames}"
    for state in STATES:
        shards = seen.having(state)
        if shards or state in ("done", "running", "queued"):
            yield f"  {state:<10}{len(shards):>6}  {_shortened(format_ranges(shards))}".rstrip()
    rate, left = speed(seen)
    if rate:
        yield f"  {rate:.1f} frames/s, done about {ends_at(left)}"
    for stage, task in seen.stages.items():
        if task:
            yield f"  {stage:<10}{task.state:>9}  {_where(task)}".rstrip()
    yield from failures(seen)
    stopped = seen.having("cancelled", "missing")
    if not seen.active and (stopped or seen.having("failed")):
        again = launcher_command("extract")
        yield f"  to go on: the same {again} again (MOVIE={seen.run.movie_id} SHARDS={seen.n})"


def failures(seen: Survey) -> Iterator[str]:
    """What failed, where, why, and what it said last."""
    alike: dict[tuple[str, str], list[int]] = {}  # by reason and last line
    for shard in seen.having("failed"):
        view = seen.shards[shard]
        alike.setdefault((view.reason, view.tail[-1] if view.tail else ""), []).append(shard)
    for (reason, _), shards in list(alike.items())[:_SHOWN]:
        view = seen.shards[shards[0]]
        times = f", {view.times} times" if view.times > 1 else ""
        host = view.task.node if view.task and view.task.node else "no node"
        yield f"  shard {format_ranges(shards)} failed on {host}{times}: {reason}"
        yield from (_INDENT + line for line in view.tail)
        yield f"{_INDENT}log: {_log(seen, shards[0])}"
    if len(alike) > _SHOWN:
        yield f"  … and in {len(alike) - _SHOWN} more ways; all of them with --json (JSON=1)"
    for stage, task in seen.stages.items():
        if task and task.state == "failed":
            failure = task.own.failed.get("") if task.own else None
            reason, said = (failure.reason, failure.tail) if failure else (task.reason, task.tail())
            yield f"  {stage} failed on {task.node or 'no node'}: {reason}"
            yield from (_INDENT + line for line in said)
            yield f"{_INDENT}log: {seen.run.log(task.submission, task.index)}"


def _where(task: TaskView) -> str:
    job = "here" if task.submission.local else f"job {task.job}"
    node = f" on {task.node}" if task.node and not task.submission.local else ""
    reason = f" ({task.reason})" if task.reason and task.state != "failed" else ""
    return f"{job}{node}{reason}"


def _shortened(ranges: str, most: int = 60) -> str:
    return ranges if len(ranges) <= most else f"{ranges[:most].rpartition(',')[0]},…"


def as_json(seen: Survey) -> dict[str, Any]:
    """The same for programs; shards as range lists, times in seconds."""
    rate, left = speed(seen)
    return {
        "movie_id": seen.run.movie_id,
        "n": seen.n,
        "frame_count": seen.frame_count,
        "active": seen.active,
        "counts": {state: len(seen.having(state)) for state in STATES},
        "shards": {state: format_ranges(seen.having(state)) for state in STATES},
        "frames_per_s": rate and round(rate, 2),
        "seconds_left": left and round(left, 1),
        "ends_at": ends_at(left),
        "failed": [_failure(seen, shard) for shard in seen.having("failed")],
        "stages": {stage: task and _task(task) for stage, task in seen.stages.items()},
    }


def _failure(seen: Survey, shard: int) -> dict[str, Any]:
    view = seen.shards[shard]
    return {
        "shard": shard,
        "times": view.times,
        "reason": view.reason,
        "tail": view.tail,
        "log": str(_log(seen, shard)),
        "task": view.task and _task(view.task),
    }


def _log(seen: Survey, shard: int) -> Path:
    """The shard's log; the task's own where it ended before it could say which shards it takes."""
    task, link = seen.shards[shard].task, seen.run.shard_log(shard)
    return link if link.exists() or task is None else seen.run.log(task.submission, task.index)


def _task(task: TaskView) -> dict[str, Any]:
    return {
        "state": task.state,
        "job": task.job,
        "host": task.node,
        "reason": task.reason,
        "attempt": task.own.attempt if task.own else 0,
        "log": str(task.run.log(task.submission, task.index)),
    }
