"""The state of a movie from markers (done), squeue (queued, running) and task records (everything else).

SLURM accounting is not needed.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import outputs_of
from facerec.folder.plan import parse_ranges
from facerec.folder.shards import done_markers
from facerec.stages import PIPELINE
from slurm.queue import QueuedTask
from slurm.records import RunFolder, RunRecords
from slurm.shards import read_plan_or_none
from slurm.task_status import ACTIVE, TaskStatus, tasks_of_submission


@dataclass
class ShardStatus:
    """State of a shard.

    Attributes:
        state: one of STATES.
        task: the task that has the shard, or had it last; None if no task ever had it.
        reason, tail, times: of its failures: reason and last log lines of the last one, and their number.
    """

    state: str
    task: TaskStatus | None = None
    reason: str = ""
    tail: list[str] = field(default_factory=list)
    times: int = 0


@dataclass
class MovieStatus:
    """State of a movie, or of some features.

    Attributes:
        n: number of shards; 0 if nothing was submitted or done yet.
        shards: by number.
        stages: newest task of each stage that is not sharded, by short name; None if not submitted.
        tasks: of all submissions, oldest first.
        markers: markers of the shards that are done.
        frame_count: frames of the film; None before the first shard has written the plan.
        finished: the manifest has the results of all stages, see slurm.finished.
        to_make: of a finished movie, the optional stages without results of the latest files.
    """

    run: RunRecords
    n: int
    shards: dict[int, ShardStatus]
    stages: dict[str, TaskStatus | None]
    tasks: list[TaskStatus]
    markers: Mapping[int, Mapping[str, Any]]
    frame_count: int | None
    finished: bool = False
    to_make: Sequence[str] = ()

    def shard_tasks(self) -> list[TaskStatus]:
        """Return the tasks of the stage that takes shards, oldest first."""
        return [task for task in self.tasks if task.submission.stage == self.run.sharded_stage]

    def waiting_shards(self) -> dict[str, list[int]]:
        """Return the shards of tasks that wait in SLURM's queue, by SLURM's reason."""
        waiting: dict[str, list[int]] = {}
        for number in self.shards_in("queued"):
            task = self.shards[number].task
            if task and task.state == "queued" and task.reason:
                waiting.setdefault(task.reason, []).append(number)
        return waiting

    def shards_in(self, *states: str) -> list[int]:
        """Return the shards in one of the states."""
        return [number for number, shard in self.shards.items() if shard.state in states]

    def shard_counts(self) -> Counter[str]:
        """Return the number of shards in each state."""
        return Counter(shard.state for shard in self.shards.values())

    @property
    def active(self) -> bool:
        """Whether a task of any stage is queued or running."""
        return any(task.state in ACTIVE for task in self.tasks)


def read_status(
    run: RunRecords, queued: Mapping[str, QueuedTask] | None, n: int | None = None, contents: bool = False
) -> MovieStatus:
    """Read the state of a movie, or of some features.

    Args:
        queued: tasks that SLURM knows, by id; None if SLURM cannot be asked: then tasks keep their last known
            state.
        n: number of shards if there is no plan; default: that of the last submission.
        contents: compare the contents of shard files with their markers, not only their sizes.
    """
    tasks = [
        task for submission in run.submissions() for task in tasks_of_submission(run, submission, queued)
    ]
    plan = read_plan_or_none(run.movie_folder) if isinstance(run, RunFolder) else None
    shard_tasks = [task for task in tasks if task.submission.stage == run.sharded_stage]
    if plan:
        n = plan.n
    elif n is None:
        n = shard_tasks[-1].submission.n if shard_tasks else run.planned_shards
    if isinstance(run, RunFolder):
        markers = done_markers(run.movie_folder, plan, verify_hashes=contents) if plan else {}
        done = set(markers)
    else:
        markers, done = {}, set(range(n)).difference(run.shards_to_do(n, range(n), contents))
    shards = {number: ShardStatus("done" if number in done else "missing") for number in range(n)}
    for task in shard_tasks:  # oldest first: later tasks override, except that active tasks stay
        if task.submission.n == n:
            _update_shards(shards, task)
    stages = newest_of_stages(run, tasks) if isinstance(run, RunFolder) else {}
    return MovieStatus(run, n, shards, stages, tasks, markers, plan.frame_count if plan else None)


def newest_of_stages(
    run: RunFolder, tasks: Sequence[TaskStatus], finished: Collection[str] = ()
) -> dict[str, TaskStatus | None]:
    """Return the newest task of each stage that is not sharded; it is missing if its results were removed.

    Args:
        finished: stages of which the results are known to be there.
    """
    newest = {task.submission.stage: task for task in tasks}
    stages = {stage.short_name: newest.get(stage.short_name) for stage in PIPELINE if not stage.sharded}
    for stage, last in stages.items():
        there = stage in finished or _has_outputs(run.movie_folder, stage)
        if last and last.state == "done" and not there:
            last.state, last.reason = "missing", "its results were removed; run the stage again"
        if last and last.state == "cancelled" and last.record is None and not _parents_ok(last, tasks):
            last.reason = "an earlier stage failed or was cancelled"
    return stages


def _has_outputs(folder: MovieFolder, stage: str) -> bool:
    return all(path.exists() for path in outputs_of(folder, stage))


def _parents_ok(task: TaskStatus, tasks: Collection[TaskStatus]) -> bool:
    parents = [other.state for other in tasks if other.submission.key in task.submission.parents]
    return all(state in (*ACTIVE, "done") for state in parents)


def _update_shards(shards: dict[int, ShardStatus], task: TaskStatus) -> None:
    """Set the state of a task's shards that are neither done nor active in another task."""
    pack = parse_ranges(task.submission.packs[task.index], task.submission.n)
    open_shards = [number for number in pack if shards[number].state != "done"]
    record = task.record
    trying = (
        parse_ranges(record.trying, task.submission.n)
        if record and record.trying and record.ended is None
        else []
    )
    if task.state == "running" and not trying:  # the task is starting
        trying = pack
    in_progress = next((number for number in trying if number in open_shards), None)
    if in_progress is not None:  # if the task died, this shard failed
        suspects = {in_progress}
    else:
        suspects = set() if record and record.failed else set(open_shards)
    for number in open_shards:
        if shards[number].state in ACTIVE:
            continue
        shard = ShardStatus("missing", task)
        failure = record.failed.get(str(number)) if record else None
        if failure:
            shard.reason, shard.tail, shard.times = failure.reason, failure.tail, failure.times
        given_up = failure is not None and failure.times > task.submission.retry
        if task.state == "running":
            shard.state = "failed" if given_up else "running" if number == in_progress else "queued"
        elif task.state in ("queued", "cancelled"):
            shard.state = "failed" if given_up else task.state
        elif failure:
            shard.state = "failed"
        elif task.state == "failed" and number in suspects:
            shard.state, shard.reason, shard.tail, shard.times = "failed", task.reason, task.tail(), 1
        shards[number] = shard


def throughput(movie: MovieStatus) -> tuple[float | None, float | None]:
    """Estimate the frames per second of all running tasks, and the seconds until all shards are done.

    Each running task is assumed to be as fast as the average shard was. None if nothing runs or is done.
    """
    reports = [marker["report"] for marker in movie.markers.values()]
    seconds = sum(float(report["seconds"]) for report in reports)
    frames = sum(int(report["frames"]) for report in reports)
    running = len({id(shard.task) for shard in movie.shards.values() if shard.state == "running"})
    if not running or not seconds or not frames or movie.frame_count is None:
        return None, None
    frames_per_s = running * frames / seconds
    frames_left = movie.frame_count * len(movie.shards_in(*ACTIVE)) / movie.n
    return frames_per_s, frames_left / frames_per_s


def local_time_in(seconds: float | None) -> str | None:
    """Return the local date and time `seconds` from now."""
    if seconds is None:
        return None
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time.time() + seconds))
