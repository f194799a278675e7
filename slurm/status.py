"""How a movie stands: markers say what is done, squeue what is queued or runs, the tasks' accounts the rest.

Nothing here needs accounting: what SLURM has forgotten is told from the run's folder. What squeue says of an
ended task is written down when it is first seen, because squeue forgets it after some minutes.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import outputs_of
from facerec.folder.plan import parse_ranges
from facerec.folder.shards import done_markers
from facerec.stages import PIPELINE
from slurm import queue
from slurm.queue import QueuedTask
from slurm.records import RunFolder, Submission, TaskState
from slurm.work import read_plan_or_none

STATES = ("done", "running", "queued", "failed", "cancelled", "missing")
ACTIVE = ("running", "queued")
_STATE_OF = {"COMPLETED": "done", "CANCELLED": "cancelled", "PREEMPTED": "cancelled", "REVOKED": "cancelled"}


@dataclass
class TaskView:
    """A task as it stands: `state` of STATES, why, where, and the last lines of its log."""

    run: RunFolder
    submission: Submission
    index: int
    own: TaskState | None
    state: str
    reason: str = ""
    node: str = ""

    @property
    def job(self) -> str:
        one = self.submission
        return f"local on {one.host}" if one.local else one.task_id(self.index)

    def tail(self) -> list[str]:
        return queue.tail(self.run.log(self.submission, self.index))


@dataclass
class ShardView:
    """A shard as it stands; `task` is the one that has it or had it last, None where none ever had."""

    state: str
    task: TaskView | None = None
    reason: str = ""
    tail: list[str] = field(default_factory=list)
    times: int = 0


@dataclass
class Survey:
    """A movie as it stands.

    Attributes:
        n: number of shards, 0 where nothing was ever submitted or done.
        shards: by number.
        stages: newest task of each stage that is not sharded, by short name; None if not submitted.
        markers: of the shards that are done.
        frame_count: of the film, None while no shard has made the plan.
    """

    run: RunFolder
    n: int
    shards: dict[int, ShardView]
    stages: dict[str, TaskView | None]
    tasks: list[TaskView]
    markers: Mapping[int, Mapping[str, Any]]
    frame_count: int | None

    def extracting(self) -> list[TaskView]:
        """The tasks of extract, oldest first."""
        return [task for task in self.tasks if task.submission.stage == "extract"]

    def having(self, *states: str) -> list[int]:
        return [shard for shard, view in self.shards.items() if view.state in states]

    @property
    def active(self) -> bool:
        """Whether anything of the movie is still queued or running."""
        return any(task.state in ACTIVE for task in self.tasks)


def survey(
    run: RunFolder, queued: Mapping[str, QueuedTask] | None, n: int | None = None, contents: bool = False
) -> Survey:
    """See how a movie stands.

    Args:
        queued: what SLURM knows of it; None where it cannot be asked: then a task is taken to be what it
            was when last heard of.
        n: number of shards if there is no plan yet; default: that of the last submission.
        contents: compare what is done byte for byte.
    """
    submissions = run.submissions()
    tasks = [view for one in submissions for view in _views(run, one, queued)]
    plan = read_plan_or_none(run.movie_folder)
    extracts = [task for task in tasks if task.submission.stage == "extract"]
    if plan:
        n = plan.n
    elif n is None:
        n = extracts[-1].submission.n if extracts else 0
    markers = done_markers(run.movie_folder, plan, verify_hashes=contents) if plan else {}
    shards = {shard: ShardView("done" if shard in markers else "missing") for shard in range(n)}
    for task in extracts:  # oldest first: what is said last holds, but a live task outweighs a dead one
        if task.submission.n == n:
            _place(shards, task)
    newest = {task.submission.stage: task for task in tasks}
    stages = {stage.short_name: newest.get(stage.short_name) for stage in PIPELINE.recorded}
    for stage, last in stages.items():
        if last and last.state == "done" and not _has_outputs(run.movie_folder, stage):
            last.state, last.reason = "missing", "what it made was removed; run it again"
        if last and last.state == "cancelled" and last.own is None and not _parents_good(last, tasks):
            last.reason = "what it waited for did not end well"
    return Survey(run, n, shards, stages, tasks, markers, plan.frame_count if plan else None)


def _has_outputs(folder: MovieFolder, stage: str) -> bool:
    return all(path.exists() for path in outputs_of(folder, stage))


def _views(run: RunFolder, one: Submission, queued: Mapping[str, QueuedTask] | None) -> list[TaskView]:
    known = one.job is not None
    if not known and not one.local:  # its launcher died, or is still waiting for sbatch
        found = next((job for job, task in (queued or {}).items() if task.comment == one.key), None)
        if found is None:
            return []
        one.know(found)
    alive = one.local and run.alive(one)
    before = dict(one.last)
    views = []
    for index in range(len(one.packs)):
        own = run.task(one.key, index)
        view = TaskView(run, one, index, own, "", node=own.host if own else "")
        if one.local:
            _settle_local(view, alive)
        else:
            _settle_slurm(view, queued)
        views.append(view)
    if known and one.last != before:
        with suppress(OSError):  # a colleague who may only read sees it all the same
            run.save(one)
    return views


def _settle_local(view: TaskView, alive: bool) -> None:
    if alive and (view.own is None or view.own.ended is None):
        view.state = "running" if view.own else "queued"
    else:
        _from_own_account(view)


def _settle_slurm(view: TaskView, queued: Mapping[str, QueuedTask] | None) -> None:
    one, own = view.submission, view.own
    task = queued.get(one.task_id(view.index)) if queued is not None else None
    if task:
        view.node, view.reason = task.node or view.node, task.reason.replace("None", "")
        if task.state in queue.ACTIVE:
            view.state = "queued" if task.state in queue.WAITING else "running"
            one.last.pop(str(view.index), None)
            return
        one.last[str(view.index)] = task.state
    word = one.last.get(str(view.index))
    ended = own is not None and own.outcome in ("done", "failed", "cancelled")
    if queued is None and not ended and not word:
        view.state, view.reason = "running" if own and own.ended is None else "queued", "when last heard of"
    elif word is None or ended:
        _from_own_account(view)
    else:
        _from_last_word(view, word)


def _from_own_account(view: TaskView) -> None:
    """For a task that is not running any more: what it wrote itself, or failed to."""
    own = view.own
    if own is None:
        view.state, view.reason = "cancelled", "left the queue before it began"
    elif own.ended is None:
        view.state, view.reason = "failed", f"died without a word on {own.host}"
    elif own.outcome in ("done", "failed"):
        view.state = own.outcome
    else:
        view.state, view.reason = "cancelled", "stopped before it was finished"


def _from_last_word(view: TaskView, word: str) -> None:
    one = view.submission
    view.state = _STATE_OF.get(word, "failed")
    view.reason = {
        "OUT_OF_MEMORY": f"out of memory (asked for {one.memory})",
        "TIMEOUT": f"stopped at the time limit of {one.minutes} min",
        "NODE_FAIL": f"its node {view.node} went down",
        "CANCELLED": "cancelled",
    }.get(word, f"SLURM says {word}")
    if view.state == "failed" and queue.out_of_memory(view.tail()):
        view.reason = f"out of memory (asked for {one.memory})"


def _parents_good(task: TaskView, tasks: Collection[TaskView]) -> bool:
    parents = [one.state for one in tasks if one.submission.key in task.submission.parents]
    return all(state in (*ACTIVE, "done") for state in parents)


def _place(shards: dict[int, ShardView], task: TaskView) -> None:
    """Say of the task's shards how they stand."""
    pack = parse_ranges(task.submission.packs[task.index], task.submission.n)
    left = [shard for shard in pack if shards[shard].state != "done"]
    own = task.own
    trying = parse_ranges(own.trying, task.submission.n) if own and own.trying and own.ended is None else []
    if task.state == "running" and not trying:  # it is just starting
        trying = pack
    at = next((shard for shard in trying if shard in left), None)
    blamed = {at} if at is not None else set() if own and own.failed else set(left)
    for shard in left:
        if shards[shard].state in ACTIVE:  # another task has it already
            continue
        view = ShardView("missing", task)
        failure = own.failed.get(str(shard)) if own else None
        if failure:
            view.reason, view.tail, view.times = failure.reason, failure.tail, failure.times
        given_up = failure is not None and failure.times > task.submission.retry
        if task.state == "running":
            view.state = "failed" if given_up else "running" if shard == at else "queued"
        elif task.state in ("queued", "cancelled"):
            view.state = "failed" if given_up else task.state
        elif failure:
            view.state = "failed"
        elif task.state == "failed" and shard in blamed:
            view.state, view.reason, view.tail, view.times = "failed", task.reason, task.tail(), 1
        shards[shard] = view


def speed(seen: Survey, now: float | None = None) -> tuple[float | None, float | None]:
    """Frames a second of the whole movie at present, and the seconds until its shards are done.

    A running task is taken to be as fast as the shards were on average; None where nothing can be said.
    """
    reports = [marker["report"] for marker in seen.markers.values()]
    seconds = sum(float(report["seconds"]) for report in reports)
    frames = sum(int(report["frames"]) for report in reports)
    running = len({id(view.task) for view in seen.shards.values() if view.state == "running"})
    if not running or not seconds or not frames or seen.frame_count is None:
        return None, None
    rate = running * frames / seconds
    waiting: Collection[int] = seen.having("running", "queued")
    left = seen.frame_count * len(waiting) / seen.n
    return rate, left / rate


def ends_at(left: float | None) -> str | None:
    """The wall-clock time that is `left` seconds away."""
    return None if left is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time.time() + left))
