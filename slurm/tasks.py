"""What runs on a node: module-level functions with plain arguments, submitted through submitit.

Their pickles hold a name and a few texts, none of the project's code. How a task ends is told to SLURM here:
`scontrol requeue` where it is to be run again (preemption, time limit, a shard that may be retried), and an
exit status other than 0 where the stages that wait for it must not begin.
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
from slurm.records import RunFolder, Submission
from slurm.work import StopRequest, Task, reason_of, wait_until, writer

log = logging.getLogger(__name__)
_SEEN_S = 60.0  # how long the launcher's record may take to be seen here
_EARLY_S = 60.0  # SLURM's warning may come that much sooner than asked


def run_shards(out: str, movie_id: int, key: str, index: int, argv: list[str]) -> None:
    """The task `index` of the submission `key`: those shards of its pack that are not done."""
    task, stop = _begin(out, movie_id, key, index)
    _leave(task, task.run_shards(argv, stop, writer(sys.stdout.buffer)))


def run_stage(out: str, movie_id: int, key: str, index: int, argv: list[str]) -> None:
    """The job of a stage that is not sharded."""
    task, stop = _begin(out, movie_id, key, index)
    _leave(task, task.run_stage(argv, stop, writer(sys.stdout.buffer)))


def after(out: str, movie_id: int, key: str, index: int, status: int) -> None:
    """What the batch script runs when the task's processes ended badly and the script is still there.

    A task that ended by itself has said so. One that was killed whole (a memory limit does that) has not:
    then the shard it was at has failed, and the others are for SLURM to run again.
    """
    run = RunFolder(Path(out), movie_id)
    submission, state = run.submission(key), run.task(key, index)
    if state is None or state.ended is not None or queue.job_state(_own_id()) != "RUNNING":
        return
    submission.know(_own_id())
    task = Task(run, submission, index, run.movie_folder, state)
    said = queue.tail(task.log)
    at = task.undone(task.ranges(state.trying))[:1]
    task.fail(at, reason_of(status, said, submission.memory), said)
    _end(task, "failed", bool(task.left()))


def _begin(out: str, movie_id: int, key: str, index: int) -> tuple[Task, StopRequest]:
    configure_logging()
    run = RunFolder(Path(out), movie_id)
    wait_until((run.submissions_dir / f"{key}.json").exists, _SEEN_S)
    submission = run.submission(key)
    # In place of submitit's own handlers, which leave in the middle of whatever runs: here the stage ends
    # its frame batch first. Half of the warning time is left for requeueing.
    stop = StopRequest(grace=submission.warn / 2)
    for number in (signal.SIGUSR2, signal.SIGTERM):
        signal.signal(number, stop.ask)
    submission.know(_own_id())  # this may begin before the launcher has written it down
    task = Task.begin(run, submission, index)
    what = f"{submission.stage} {submission.packs[index]}".strip()
    where = f"job {_own_id()} on {task.state.host}, attempt {task.state.attempt}"
    log.info("movie %d, %s: %s", movie_id, what, where)
    return task, stop


def _own_id() -> str:
    """The id of the job this is part of, as squeue shows it."""
    array, index = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{index}" if array else os.environ["SLURM_JOB_ID"]


def _leave(task: Task, outcome: str) -> None:
    """End the task as it came out, or have it run again where that helps."""
    again = False
    if outcome != "done":
        state = queue.job_state(_own_id())
        if outcome == "interrupted" and state == "RUNNING":
            _blame_the_time_limit(task)
            again = not task.shards or bool(task.left())
            outcome = outcome if again else "failed"
        elif outcome == "interrupted" and state:
            outcome = "cancelled"  # by scancel, or at the time limit's end: not ours to take back
        elif state == "RUNNING":
            again = bool(task.left())
    _end(task, outcome, again)


def _end(task: Task, outcome: str, again: bool) -> None:
    if again:
        task.end("requeued")
        log.info("%s: SLURM is asked to run this task again", outcome)
        try:
            queue.requeue(_own_id())
        except queue.SlurmError as error:
            log.error("%s", error)
            task.end(outcome)
    else:
        task.end(outcome)
    sys.stdout.flush()
    if outcome != "done":
        raise SystemExit(1)


def _blame_the_time_limit(task: Task) -> None:
    """A whole time limit in which no shard was finished is a failure of the one that filled it."""
    trying = task.ranges(task.state.trying)
    full = time.time() - task.state.since >= _usable_seconds(task.submission)
    if full and trying and task.undone(trying) == trying:
        limit = f"the time limit of {task.submission.minutes} min"
        task.fail(
            trying[:1], f"did not end within {limit}: ask for more time or more shards", queue.tail(task.log)
        )


def _usable_seconds(one: Submission) -> float:
    """How long a task may work before it is told to stop, at least."""
    limit = one.minutes * 60
    return max(limit - one.warn - _EARLY_S, limit / 2)


def main(argv: Sequence[str]) -> None:
    """`python -m slurm.tasks OUT MOVIE KEY TASK STATUS`: `after`, for the batch script."""
    configure_logging()
    out, movie_id, key, index, status = argv
    after(out, int(movie_id), key, int(index), int(status))


if __name__ == "__main__":
    main(sys.argv[1:])
