"""The state of each task of a submission, from squeue and the task's own record.

squeue forgets an ended task after some minutes, so its final state is saved in the run folder when it is
first seen.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from facerec.folder.plan import parse_ranges
from slurm import queue
from slurm.process import ran_out_of_memory
from slurm.queue import QueuedTask
from slurm.records import RunRecords
from slurm.submission import Submission, TaskRecord, user_name

STATES = ("done", "running", "queued", "failed", "cancelled", "missing")
ACTIVE = ("running", "queued")
_FINAL_STATES = {
    "COMPLETED": "done",
    "CANCELLED": "cancelled",
    "PREEMPTED": "cancelled",
    "REVOKED": "cancelled",
}


@dataclass
class TaskStatus:
    """State of a task.

    Attributes:
        record: what the task wrote itself; None if it has not started.
        state: one of STATES.
        reason: why it is in that state; may be empty.
        node: empty if unknown.
    """

    run: RunRecords
    submission: Submission
    index: int
    record: TaskRecord | None
    state: str
    reason: str = ""
    node: str = ""

    @property
    def job(self) -> str:
        submission = self.submission
        return f"local on {submission.host}" if submission.local else submission.task_id(self.index)

    def has_failed(self, shard: int) -> bool:
        """Return whether `shard` failed in this task, or may be the one that ended it."""
        recorded = self.record.failed if self.record else {}
        if recorded or self.state != "failed":
            return str(shard) in recorded
        return shard in parse_ranges(self.submission.packs[self.index], self.submission.n)

    def tail(self) -> list[str]:
        return queue.last_lines(self.run.log(self.submission, self.index))


def tasks_of_submission(
    run: RunRecords, submission: Submission, queued: Mapping[str, QueuedTask] | None
) -> list[TaskStatus]:
    """Return the state of each task of a submission; save what SLURM says of the tasks that ended."""
    job_recorded = submission.job is not None
    if not job_recorded and not submission.local:  # the launcher was killed, or waits for sbatch
        comments = {task.comment: task_id for task_id, task in (queued or {}).items()}
        if submission.key not in comments:
            return []
        submission.set_job(comments[submission.key])
    pool_runs = submission.local and run.pool_runs(submission)
    hidden = queued is not None and _may_be_hidden(submission)
    before = dict(submission.last)
    tasks = []
    for index in range(len(submission.packs)):
        record = run.task(submission.key, index)
        task = TaskStatus(run, submission, index, record, "", node=record.host if record else "")
        if submission.local:
            _set_local_state(task, pool_runs)
        else:
            _set_slurm_state(task, queued, hidden)
        tasks.append(task)
    if job_recorded and submission.last != before:
        with suppress(OSError):  # users without write permission see the same status
            run.save(submission)
    return tasks


def _set_local_state(task: TaskStatus, pool_runs: bool) -> None:
    if pool_runs and (task.record is None or task.record.ended is None):
        task.state = "running" if task.record else "queued"
    else:
        _set_state_from_record(task)


def _may_be_hidden(submission: Submission) -> bool:
    """Return whether a task that squeue does not list may be there all the same."""
    others = not submission.local and submission.user not in ("", user_name())
    return others and os.getuid() != 0 and queue.keeps_jobs_private()


def _set_slurm_state(task: TaskStatus, queued: Mapping[str, QueuedTask] | None, hidden: bool) -> None:
    final_states, record, index = task.submission.last, task.record, str(task.index)
    in_queue = queued.get(task.submission.task_id(task.index)) if queued is not None else None
    if in_queue:
        task.node, task.reason = in_queue.node or task.node, in_queue.reason.replace("None", "")
        if in_queue.state in queue.ACTIVE:
            task.state = "queued" if in_queue.state in queue.WAITING else "running"
            final_states.pop(index, None)
            return
        final_states[index] = in_queue.state
    final = final_states.get(index)
    ended = record is not None and record.outcome in ("done", "failed", "cancelled")
    if (queued is None or hidden) and not ended and not final:
        task.state = "running" if record and record.ended is None else "queued"
        task.reason = "last known state" + (f"; SLURM hides the jobs of {task.submission.user}" * hidden)
    elif final is None or ended:
        _set_state_from_record(task)
    else:
        _set_final_state(task, final)


def _set_state_from_record(task: TaskStatus) -> None:
    """Set the state of a task that no longer runs, from its record or the lack of one."""
    record = task.record
    if record is None:
        task.state, task.reason = "cancelled", "removed from the queue before it started"
    elif record.ended is None:
        task.state, task.reason = "failed", f"died without an error message on {record.host}"
    elif record.outcome in ("done", "failed"):
        task.state = record.outcome
    else:
        task.state, task.reason = "cancelled", "stopped before it was finished"


def _set_final_state(task: TaskStatus, final: str) -> None:
    """Set the state of a task from SLURM's final job state, as in `NODE_FAIL`."""
    submission = task.submission
    task.state = _FINAL_STATES.get(final, "failed")
    task.reason = {
        "OUT_OF_MEMORY": ran_out_of_memory(submission.memory),
        "TIMEOUT": "stopped at the time limit"
        + (f" of {submission.minutes} min" if submission.minutes else ""),
        "NODE_FAIL": f"node {task.node} failed",
        "CANCELLED": "cancelled",
    }.get(final, f"SLURM reports {final}")
    if task.state == "failed" and queue.out_of_memory(task.tail()):
        task.reason = ran_out_of_memory(submission.memory)
