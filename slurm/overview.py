"""The status of several movies: one line a movie, problems first, and totals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from facerec.stages import PIPELINE
from facerec.support.shell import launcher_command
from facerec.support.text import counted
from slurm.report import never_starts
from slurm.setting_aside import Failures, failures_of
from slurm.status import MovieStatus, local_time_in, throughput
from slurm.task_status import ACTIVE, TaskStatus

CONDITIONS = ("set aside", "failed", "stopped", "running", "queued", "not started", "finished")
_MEANINGS = {
    "stopped": "cancelled, or in part not submitted; the same command continues",
    "not started": "nothing was submitted",
}
_HEADINGS = ("movie", "condition", "done", "running", "queued", "failed", "stage", "frames/s", "ends")


@dataclass(frozen=True)
class Row:
    """A movie in the table.

    Attributes:
        condition: one of CONDITIONS.
        stage: the stage that failed, runs or comes next; empty for a finished movie.
        note: why it failed, or does not start.
    """

    movie: MovieStatus
    condition: str
    stage: str
    note: str
    failures: Failures

    @property
    def is_problem(self) -> bool:
        return self.condition in ("set aside", "failed")

    def as_json(self) -> dict[str, Any]:
        return {
            "condition": self.condition,
            "stage": self.stage,
            "note": self.note,
            "failures": self.failures.times,
        }


def row_of(movie: MovieStatus, give_up: int) -> Row:
    """Summarize the state of a movie.

    Args:
        give_up: number of failures after which a movie is set aside; 0 for never.
    """
    failures = failures_of(movie)
    last = {stage: task for stage, task in movie.stages.items() if task and not PIPELINE[stage].optional}
    failed = next((stage for stage, task in last.items() if task.state == "failed"), "")
    count = movie.shard_counts()
    open_shards = bool(movie.n) and count["done"] < movie.n
    stage, note = _current_stage(movie, open_shards), ""
    if count["failed"] or failed:
        aside = bool(give_up) and failures.times >= give_up and not movie.active
        condition, note = "set aside" if aside else "failed", failures.reason
        stage = failures.stage or failed or movie.run.sharded_stage
    elif any(task.state == "running" for task in movie.tasks):
        condition = "running"
    elif movie.active:
        condition = "queued"
        waiting = [
            task.reason for task in movie.tasks if task.state == "queued" and never_starts(task.reason)
        ]
        note = waiting[0] if waiting else ""
    elif not movie.n:
        condition = "not started"
    elif stage:
        condition = "stopped"
    else:
        condition = "finished"
        optional = next((task for task in movie.stages.values() if task and task.state == "failed"), None)
        note = (
            f"{optional.submission.stage} failed; all results are there"
            if optional
            else _pages_to_make(movie)
        )
    return Row(movie, condition, stage, note, failures)


def _pages_to_make(movie: MovieStatus) -> str:
    """Return which optional stages have no results of the latest files, and the commands that make them."""
    commands = {stage: launcher_command(stage, *movie.run.variables()) for stage in movie.to_make}
    return "; ".join(f"{stage} missing or out of date: {command}" for stage, command in commands.items())


def _current_stage(movie: MovieStatus, open_shards: bool) -> str:
    """Return the first stage that is not done; empty if all are."""
    if open_shards or not movie.n:
        return movie.run.sharded_stage if movie.n else ""
    if not movie.stages:  # of features
        return ""
    later = (task for task in movie.tasks if task.submission.stage != movie.run.sharded_stage)
    active = (task for task in later if task.state in ACTIVE)
    first: TaskStatus | None = next(active, None)
    if first:
        return first.submission.stage
    for stage in PIPELINE.recorded:
        task = movie.stages.get(stage.short_name)
        if not movie.finished and (task is None or task.state != "done"):
            return stage.short_name
    return ""


def overview_lines(rows: Sequence[Row], only_failed: bool = False, unreadable: int = 0) -> Iterator[str]:
    """Yield the totals, and a line for each movie: problems first, then by condition and movie id.

    Args:
        only_failed: leave out movies that have not failed.
        unreadable: number of movies with damaged records.
    """
    count = Counter(row.condition for row in rows)
    totals = [f"{count[condition]} {condition}" for condition in CONDITIONS if count[condition]]
    totals += [f"{unreadable} not readable"] if unreadable else []
    movies = len(rows) + unreadable
    yield f"{counted(movies, 'movie')}: {', '.join(totals)}"
    yield _shard_totals(rows)
    ordered = sorted(rows, key=lambda row: (CONDITIONS.index(row.condition), *_order(row)))
    shown = [row for row in ordered if row.is_problem or not only_failed]
    if shown:
        table = [_HEADINGS, *map(_cells, shown)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        for cells, row in zip(table, [None, *shown], strict=True):
            line = "  ".join(_aligned(cell, widths[i], i) for i, cell in enumerate(cells))
            yield f"  {line}{f'  {row.note}' if row and row.note else ''}".rstrip()
    elif only_failed:
        yield "  no movie has failed"
    for condition, meaning in _MEANINGS.items():
        if count[condition] and not only_failed:
            yield f"  {condition}: {meaning}"
    if count["set aside"]:
        yield (
            "  set aside: failed again and again, and left out of commands for several movies; to try again: "
            f"{launcher_command('retry', 'MOVIE=ID')}"
        )
    if shown:
        yield f"  details: {launcher_command('status', 'MOVIE=ID')}"


def _order(row: Row) -> tuple[int, str]:
    head, _, _ = row.movie.run.name.partition("-")
    return int(head) if head.isascii() and head.isdigit() else 0, row.movie.run.name


def _shard_totals(rows: Sequence[Row]) -> str:
    states: Counter[str] = Counter()
    for row in rows:
        states += row.movie.shard_counts()
    rate = sum(throughput(row.movie)[0] or 0.0 for row in rows)
    speed = f", {rate:.1f} frames/s" if rate else ""
    parts = ", ".join(f"{states[state]} {state}" for state in ("done", "running", "queued", "failed"))
    return f"  shards: {parts} of {sum(row.movie.n for row in rows)}{speed}"


def _cells(row: Row) -> tuple[str, ...]:
    movie = row.movie
    frames_per_s, seconds = throughput(movie)
    count = movie.shard_counts()
    return (
        movie.run.name,
        row.condition,
        f"{count['done']}/{movie.n}",
        *(str(count[state]) for state in ("running", "queued", "failed")),
        row.stage,
        f"{frames_per_s:.1f}" if frames_per_s else "",
        local_time_in(seconds) or "",
    )


def _aligned(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if _HEADINGS[column] in ("condition", "stage", "ends") else cell.rjust(width)
