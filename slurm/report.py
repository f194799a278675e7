"""The status of a movie as lines of text, in colour on a terminal, and as JSON."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from facerec.folder.plan import format_ranges
from facerec.support.shell import command_line, launcher_command
from facerec.support.text import counted
from slurm.status import MovieStatus, local_time_in, throughput
from slurm.task_status import STATES, TaskStatus

_MAX_FAILURES = 5  # kinds of failures shown with their last log lines
_INDENT = "      "
# SLURM's reasons for which a task does not start by itself, and what the user can do; the first that is
# contained in the reason
_REMEDIES = {
    "PartitionTimeLimit": "more time than the partition allows: cancel, and give a smaller WALLTIME",
    "PartitionNodeLimit": "the partition has too few nodes: cancel, and give another PARTITION",
    "PartitionDown": "the partition is down: wait, or cancel and give another PARTITION",
    "PartitionInactive": "the partition is inactive: wait, or cancel and give another PARTITION",
    "WallDuration": "more time than the QOS allows: cancel, and give a smaller WALLTIME",
    "BadConstraints": "no node has what was requested: cancel, and change constraint, gres or PARTITION",
    "MaxMemPerLimit": "more memory than allowed per node or CPU: cancel, and give a smaller MEMORY",
    "MaxCpuPerNode": "more CPUs than the partition allows: cancel, and give fewer CPUS",
    "ReqNodeNotAvail": "a node is down or reserved: wait, or cancel and change what is requested",
    "JobHeldUser": "held; release it with scontrol release",
    "JobHeldAdmin": "held by an administrator of the cluster",
    "DependencyNeverSatisfied": "an earlier job failed; run the same command again",
    "launch failed requeued held": "held after failures; see the node's log, then scontrol release",
}
_COLORS = {
    "done": "green",
    "running": "cyan",
    "failed": "bold red",
    "cancelled": "yellow",
    "missing": "yellow",
}
_STATE = re.compile(rf"\b({'|'.join(_COLORS)})\b(?! about)")  # not the estimate "done about 14:05"


def show(lines: Sequence[str], *, clear: bool = False, plain: bool = False) -> None:
    """Print status lines: states in colour on a terminal, plain text in a pipe or a file.

    Args:
        clear: clear the terminal first.
        plain: never in colour.
    """
    if plain or not sys.stdout.isatty():
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)  # obeys NO_COLOR and TERM
    if clear:
        console.clear()
    for line in lines:
        text = Text(line)
        state = None if line.startswith(_INDENT) else _STATE.search(line)  # log lines stay as they are
        if state:
            text.stylize(_COLORS[state[1]], *state.span())
        console.print(text)


def status_lines(movie: MovieStatus) -> Iterator[str]:
    """Yield the lines of `make status`."""
    title = movie.run.title
    if not movie.n:
        yield f"{title}: nothing submitted yet"
        return
    frames = f", {counted(movie.frame_count, 'frame')}" if movie.frame_count is not None else ""
    yield f"{title}: {counted(movie.n, 'shard')}{frames}"
    yield f"  {'shards':<10}{'number':>6}  which"
    for state in STATES:
        shards = movie.shards_in(state)
        if shards or state in ("done", "running", "queued"):
            yield f"  {state:<10}{len(shards):>6}  {_shortened(format_ranges(shards))}".rstrip()
        if state == "queued":
            for reason, numbers in movie.waiting_shards().items():
                what = f"shard{'s' * (len(numbers) > 1)} {_shortened(format_ranges(numbers))}"
                yield f"{_INDENT}{what}: {_explained(reason)}"
    frames_per_s, seconds = throughput(movie)
    if frames_per_s:
        yield f"  {frames_per_s:.1f} frames/s, done about {local_time_in(seconds)}"
    if any(movie.stages.values()):
        yield f"  {'stage':<10}{'state':>9}  where"
    for stage, task in movie.stages.items():
        if task:
            yield f"  {stage:<10}{task.state:>9}  {_where(task)}".rstrip()
    yield from failure_lines(movie)
    if not movie.active and movie.shards_in("cancelled", "missing", "failed"):
        same = command_line(*movie.run.variables(), f"SHARDS={movie.n}")
        yield f"  to continue: run the same {launcher_command(movie.run.sharded_stage)} again ({same})"


def failure_lines(movie: MovieStatus) -> Iterator[str]:
    """Yield for each failure: shards, host, reason, last log lines. Similar failures are shown once."""
    similar: dict[tuple[str, str], list[int]] = {}  # by reason and last line
    for number in movie.shards_in("failed"):
        shard = movie.shards[number]
        similar.setdefault((shard.reason, shard.tail[-1] if shard.tail else ""), []).append(number)
    for (reason, _), numbers in list(similar.items())[:_MAX_FAILURES]:
        shard = movie.shards[numbers[0]]
        times = f", {shard.times} times" if shard.times > 1 else ""
        node = shard.task.node if shard.task and shard.task.node else "no node"
        yield f"  shard {format_ranges(numbers)} failed on {node}{times}: {reason}"
        yield from (_INDENT + line for line in shard.tail)
        yield f"{_INDENT}log: {_log(movie, numbers[0])}"
    if len(similar) > _MAX_FAILURES:
        yield f"  … and {len(similar) - _MAX_FAILURES} more kinds of failure; JSON=1 (--json) lists all"
    for stage, task in movie.stages.items():
        if task and task.state == "failed":
            failure = task.record.failed.get("") if task.record else None
            reason, tail = (failure.reason, failure.tail) if failure else (task.reason, task.tail())
            yield f"  {stage} failed on {task.node or 'no node'}: {reason}"
            yield from (_INDENT + line for line in tail)
            yield f"{_INDENT}log: {movie.run.log(task.submission, task.index)}"


def never_starts(reason: str) -> bool:
    """Return whether SLURM's reason for waiting needs the user."""
    return any(name in reason for name in _REMEDIES)


def _explained(reason: str) -> str:
    """Return SLURM's reason for waiting, with the remedy if the task cannot start by itself."""
    hint = next((hint for name, hint in _REMEDIES.items() if name in reason), "")
    return f"{reason} ({hint})" if hint else reason


def _where(task: TaskStatus) -> str:
    job = "on this machine" if task.submission.local else f"job {task.job}"
    node = f" on {task.node}" if task.node and not task.submission.local else ""
    reason = f" ({_explained(task.reason)})" if task.reason and task.state != "failed" else ""
    return f"{job}{node}{reason}"


def _shortened(ranges: str, limit: int = 60) -> str:
    return ranges if len(ranges) <= limit else f"{ranges[:limit].rpartition(',')[0]},…"


def as_json(movie: MovieStatus) -> dict[str, Any]:
    """Return the status for programs: shards as range lists, times in seconds."""
    frames_per_s, seconds = throughput(movie)
    return {
        **movie.run.identity(),
        "n": movie.n,
        "frame_count": movie.frame_count,
        "active": movie.active,
        "counts": {state: len(movie.shards_in(state)) for state in STATES},
        "shards": {state: format_ranges(movie.shards_in(state)) for state in STATES},
        "frames_per_s": frames_per_s and round(frames_per_s, 2),
        "seconds_left": seconds and round(seconds, 1),
        "ends_at": local_time_in(seconds),
        "waiting": [
            {"reason": reason, "shards": format_ranges(numbers)}
            for reason, numbers in movie.waiting_shards().items()
        ],
        "failed": [_failure(movie, number) for number in movie.shards_in("failed")],
        "stages": {stage: task and _task(task) for stage, task in movie.stages.items()},
    }


def _failure(movie: MovieStatus, number: int) -> dict[str, Any]:
    shard = movie.shards[number]
    return {
        "shard": number,
        "times": shard.times,
        "reason": shard.reason,
        "tail": shard.tail,
        "log": str(_log(movie, number)),
        "task": shard.task and _task(shard.task),
    }


def _log(movie: MovieStatus, number: int) -> Path:
    """Return a shard's log, or the log of its task if the task ended before it linked the shard's log."""
    task, link = movie.shards[number].task, movie.run.shard_log(number)
    return link if link.exists() or task is None else movie.run.log(task.submission, task.index)


def _task(task: TaskStatus) -> dict[str, Any]:
    return {
        "state": task.state,
        "job": task.job,
        "host": task.node,
        "reason": task.reason,
        "attempt": task.record.attempt if task.record else 0,
        "log": str(task.run.log(task.submission, task.index)),
    }
