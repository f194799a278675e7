"""Entry points on a node: functions with plain arguments that submitit calls in the job.

Their pickles contain a function name and strings, but no code of the project. A task that should run again
(after preemption, at the time limit, to retry a shard) asks SLURM for a requeue. It exits with a status
other than 0 if the stages that depend on it must not start.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from facerec.support.cli import configure_logging
from slurm import queue
from slurm.feature_run import open_run
from slurm.process import StopRequest, failure_reason, write_to
from slurm.work import Task, wait_until

log = logging.getLogger(__name__)
_RECORD_TIMEOUT_S = 60.0  # until the launcher's record is visible on this node
_EARLY_SIGNAL_S = 60.0  # SLURM may signal a task this much earlier than requested


def run_shards(out: str, run: int | str, key: str, index: int, command: list[str]) -> None:
    """Run the shards of task `index` of a submission that are not done.

    Args:
        run: name of the run folder; of a movie, its id.
    """
    task, stop = _start(out, run, key, index)
    _finish(task, task.run_shards(command, stop, write_to(sys.stdout.buffer)))


def run_stage(out: str, run: int | str, key: str, index: int, command: list[str]) -> None:
    """Run a stage that is not sharded."""
    task, stop = _start(out, run, key, index)
    _finish(task, task.run_stage(command, stop, write_to(sys.stdout.buffer)))


def record_killed_task(out: str, name: int | str, key: str, index: int, status: int) -> None:
    """Record the end of a task that was killed; its batch script calls this with the exit status.

    A task that ends by itself records its end, and nothing is done here. If all its processes were killed, as
    by a memory limit, the shard in progress has failed, and SLURM is asked to run the others again.
    """
    run = open_run(Path(out), str(name))
    submission, record = run.submission(key), run.task(key, index)
    if record is None or record.ended is not None or queue.job_state(_own_job()) != "RUNNING":
        return
    submission.set_job(_own_job())
    task = Task(run, submission, index, record)
    tail = queue.last_lines(task.log)
    in_progress = task.to_do(task.parse(record.trying))[:1]
    task.fail(in_progress, failure_reason(status, tail, submission.memory), tail)
    _end(task, "failed", bool(task.to_try()))


def _start(out: str, name: int | str, key: str, index: int) -> tuple[Task, StopRequest]:
    configure_logging()
    submissions = Path(out, "logs", str(name), "submissions")
    wait_until((submissions / f"{key}.json").exists, _RECORD_TIMEOUT_S)
    run = open_run(Path(out), str(name))
    submission = run.submission(key)
    # These replace submitit's handlers, which exit at once: the stage first finishes its batch of frames.
    # Half of the warning time is left for the requeue.
    stop = StopRequest(grace=submission.warn / 2)
    for number in (signal.SIGUSR2, signal.SIGTERM):
        signal.signal(number, stop.request)
    submission.set_job(_own_job())  # the task may start before the launcher has recorded the job
    task = Task.start(run, submission, index)
    what = f"{submission.stage} {submission.packs[index]}".strip()
    where = f"job {_own_job()} on {task.record.host}, attempt {task.record.attempt}"
    log.info("%s, %s: %s", run.title, what, where)
    return task, stop


def _own_job() -> str:
    """Return the id of the job that this process is part of, as squeue shows it."""
    array, index = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{index}" if array else os.environ["SLURM_JOB_ID"]


def _finish(task: Task, outcome: str) -> None:
    """End a task with `outcome`, and have SLURM run it again if shards can still be tried."""
    again = False
    if outcome != "done":
        state = queue.job_state(_own_job())
        if outcome == "interrupted" and state == "RUNNING":
            _record_timeout(task)
            again = not task.shards or bool(task.to_try())
            outcome = outcome if again else "failed"
        elif outcome == "interrupted" and state:
            outcome = "cancelled"  # by scancel, or past the time limit: do not requeue
        elif state == "RUNNING":
            again = bool(task.to_try())
    _end(task, outcome, again)


def _end(task: Task, outcome: str, again: bool) -> None:
    if again:
        task.end("requeued")
        log.info("%s: asking SLURM to run this task again", outcome)
        try:
            queue.requeue(_own_job())
        except queue.SlurmError as error:
            log.error("%s", error)
            task.end(outcome)
    else:
        task.end(outcome)
    sys.stdout.flush()
    if outcome != "done":
        raise SystemExit(1)


def _record_timeout(task: Task) -> None:
    """Record a failure of the shard that used the whole time limit, if no shard was finished within it."""
    trying = task.parse(task.record.trying)
    minutes = task.submission.minutes or queue.time_limit(_own_job())
    if minutes is None:
        return
    whole_limit = time.time() - task.record.since >= _usable_seconds(minutes, task.submission.warn)
    if whole_limit and trying and task.to_do(trying) == trying:
        limit = f"the time limit of {minutes} min"
        reason = f"did not finish within {limit}: request more time or more shards"
        task.fail(trying[:1], reason, queue.last_lines(task.log))


def _usable_seconds(minutes: int, warn: int) -> float:
    """Return how long a task can work, at least, until SLURM signals it `warn` seconds before its limit."""
    limit = minutes * 60
    return max(limit - warn - _EARLY_SIGNAL_S, limit / 2)


def main(argv: Sequence[str]) -> None:
    """Run `record_killed_task` for a batch script: `python -m slurm.tasks OUT MOVIE KEY TASK STATUS`."""
    configure_logging()
    out, name, key, index, status = argv
    record_killed_task(out, name, key, int(index), int(status))


if __name__ == "__main__":
    main(sys.argv[1:])
