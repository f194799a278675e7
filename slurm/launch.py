"""Submit a movie's stages to SLURM with submitit: only missing shards, and each stage after its inputs."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr
from io import StringIO
from typing import Any

from facerec.folder.plan import format_ranges
from facerec.stages import LAUNCHED, PIPELINE
from facerec.support.installation import default_folder
from facerec.support.text import counted
from slurm import queue, tasks
from slurm.extraction import Echo, Extraction, plan_extraction, require_inputs, stages_to_do
from slurm.feature_run import FeatureRun
from slurm.features import find_source, plan_features
from slurm.options import RunOptions
from slurm.packing import Pack, pack, split_into_arrays
from slurm.records import RunFolder, RunRecords
from slurm.scheduler import AGAIN, LimitReached, Scheduler, is_submit_limit
from slurm.site import Resources
from slurm.status import MovieStatus
from slurm.submission import Submission
from slurm.task_status import ACTIVE

# A thread count of the submitting shell is not meant for the task; `setup` of the profile may set another.
_THREADS = (
    "unset OMP_NUM_THREADS",
    '[ -z "${SLURM_CPUS_PER_TASK:-}" ] || export OMP_NUM_THREADS="$SLURM_CPUS_PER_TASK"',
)
# srun runs the task inside the job. Since SLURM 22.05 it does not take --cpus-per-task from sbatch, and
# `sbatch --export=NONE` would also keep the job's environment from it.
_FOR_SRUN = (
    '[ -z "${SLURM_CPUS_PER_TASK:-}" ] || export SRUN_CPUS_PER_TASK="$SLURM_CPUS_PER_TASK"',
    "export SLURM_EXPORT_ENV=ALL",
)
Dependencies = Sequence[tuple[str, Sequence[Submission]]]  # SLURM's dependency type, and the jobs


def launch(
    options: RunOptions,
    movie_id: int,
    stages: Sequence[str],
    echo: Echo,
    scheduler: Scheduler | None = None,
) -> list[Submission]:
    """Submit stages, given in topological order, each to start after its predecessors.

    If SLURM does not take all tasks now, shards come first; `scheduler.full` then says why.

    Returns:
        The new submissions; none for a stage that has nothing to do or is queued already.
    """
    run = RunFolder(options.out, movie_id)
    scheduler = scheduler or Scheduler.connect(options.site)
    require_inputs(options, run, stages)
    with run.lock():
        todo, movie = stages_to_do(options, run, stages, scheduler, echo)
        submitted: list[Submission] = []
        for number, stage in enumerate(todo, 1):
            if PIPELINE[stage].sharded:
                extraction = plan_extraction(options, run, movie, echo)
                later = len(todo) - number
                submitted += _submit_shards(options, run, stage, extraction, echo, scheduler, later)
                if extraction.missing and scheduler.full:  # no other stage can do anything without all shards
                    break
            else:
                submitted += _submit_stage(options, run, movie, stage, submitted, echo, scheduler)
        if scheduler.full:
            echo(f"movie {movie_id}: not all tasks were submitted: {AGAIN} ({scheduler.full})")
        return submitted


def launch_features(
    options: RunOptions, run: FeatureRun, echo: Echo, scheduler: Scheduler | None = None
) -> list[Submission]:
    """Submit the shards of features that are not done; returns the new submissions."""
    scheduler = scheduler or Scheduler.connect(options.site)
    source = find_source(options, run, scheduler)
    with run.lock():
        extraction = plan_features(options, run, source, echo, scheduler)
        submitted = _submit_shards(options, run, run.sharded_stage, extraction, echo, scheduler)
        if scheduler.full:
            echo(f"{run.title}: not all tasks were submitted: {AGAIN} ({scheduler.full})")
        return submitted


def _submit_shards(
    options: RunOptions,
    run: RunRecords,
    stage: str,
    extraction: Extraction,
    echo: Echo,
    scheduler: Scheduler,
    later: int = 0,
) -> list[Submission]:
    """Submit the missing shards, or as many tasks as SLURM takes now.

    Args:
        later: number of jobs of later stages, for which places are kept.
    """
    if not extraction.missing:
        return []
    resources = options.site.stages[stage]
    packs = pack(extraction.missing, resources.tasks, extraction.failed)
    packs = packs[: scheduler.places(len(packs) + later)]
    submitted: list[Submission] = []
    last: list[Submission] = []  # of each array
    parallelism = resources.parallelism or len(packs)
    for array in split_into_arrays(packs, queue.max_array_size(), parallelism):
        after = [("afterany", [last[array.after]])] if array.after is not None else []
        waiting, size = list(array.packs), len(array.packs)
        while waiting:
            part = waiting[:size]
            submission = _new_submission(options, run, stage, part, extraction.n)
            try:
                _submit(run, submission, resources, extraction.command, after, array.parallelism)
            except LimitReached as error:
                size = len(part) // 2
                if not size:
                    scheduler.refuse(error)
                    return submitted
                continue
            scheduler.took(len(part))
            waiting = waiting[size:]
            submitted.append(submission)
            shards = format_ranges(shard for shards in part for shard in shards)
            tasks = f"{counted(len(part), 'task')}, at most {array.parallelism} at once"
            echo(f"  job {submission.job}: shards {shards} in {tasks}")
        last.append(submitted[-1])
    return submitted


def _submit_stage(
    options: RunOptions,
    run: RunFolder,
    movie: MovieStatus,
    stage: str,
    submitted: Sequence[Submission],
    echo: Echo,
    scheduler: Scheduler,
) -> list[Submission]:
    """Submit a stage that is not sharded, after the jobs of its predecessors that are queued or running."""
    predecessors = {predecessor.short_name for predecessor in PIPELINE.predecessors(stage)}
    new = [submission for submission in submitted if submission.stage in predecessors]
    after: list[tuple[str, list[Submission]]] = [("afterok", new)] if new else []
    existing = movie.stages[stage]
    if existing and existing.state in ACTIVE:
        if not new:
            echo(f"movie {run.movie_id}: {stage} is {existing.state} already, as job {existing.job}")
            return []
        if existing.state == "queued":  # it does not wait for the new jobs
            queue.call("scancel", existing.job)
            echo(
                f"movie {run.movie_id}: {stage} job {existing.job} cancelled; a new one waits for all inputs"
            )
        else:
            after.append(("afterany", [existing.submission]))
    # a new job of a stage that is not sharded has replaced the older one
    replaced = {submission.stage for submission in new if not PIPELINE[submission.stage].sharded}
    older = [
        task
        for task in movie.tasks
        if task.submission.stage in predecessors - replaced and task.state in ACTIVE
    ]
    for key, parent in {task.submission.key: task.submission for task in older}.items():
        states = {task.state for task in movie.tasks if task.submission.key == key}
        # after a failed task, afterok would never be satisfied; the merge verifies coverage itself
        after.append(("afterok" if states <= {*ACTIVE, "done"} else "afterany", [parent]))
    if not scheduler.places(1):
        return []
    n = movie.n or next((new.n for new in submitted), options.shards or 0)
    submission = _new_submission(options, run, stage, [()], n)
    submission.parents = [parent.key for _, parents in after for parent in parents]
    command = options.stage_command(stage, run.movie_folder.path)
    try:
        _submit(run, submission, options.site.stages[stage], command, after, 1)
    except LimitReached as error:
        scheduler.refuse(error)
        return []
    scheduler.took(1)
    jobs = ", ".join(f"job {parent.job}" for _, parents in after for parent in parents)
    echo(f"movie {run.movie_id}: {stage}: job {submission.job}{f', after {jobs}' if jobs else ''}")
    return [submission]


def _new_submission(
    options: RunOptions, run: RunRecords, stage: str, packs: Sequence[Pack], n: int
) -> Submission:
    resources = options.site.stages[stage]
    return Submission(
        key=run.new_key(stage),
        stage=stage,
        packs=[format_ranges(shards) for shards in packs],
        n=n,
        memory=resources.memory,
        minutes=resources.minutes,
        warn=resources.warn,
        retry=resources.retry,
        settle=options.site.settle,
        chosen=options.chosen(stage),
    )


def _submit(
    run: RunRecords,
    submission: Submission,
    resources: Resources,
    command: list[str],
    after: Dependencies,
    parallelism: int,
) -> None:
    """Submit to sbatch. The record is saved before, so that the job is found if this launcher is killed.

    Raises:
        LimitReached: too many tasks are submitted; the record is deleted.
        SlurmError: sbatch refuses for another reason; the record is deleted.
    """
    import submitit
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    executor = submitit.SlurmExecutor(folder=run.stage_dir(submission.stage))
    executor.update_parameters(**_parameters(run, submission, resources, after, parallelism))
    function = tasks.run_shards if LAUNCHED[submission.stage].sharded else tasks.run_stage
    indices = range(len(submission.packs))
    arguments = [(str(run.out), run.name, submission.key, index, command) for index in indices]
    run.save(submission)
    try:
        # submitit prints to stderr what its exception repeats
        with queue.cleaned_environment(), redirect_stderr(StringIO()):
            jobs = executor.map_array(function, *zip(*arguments, strict=True))
    except (FailedJobError, FailedSubmissionError) as error:
        run.delete(submission)
        message = f"sbatch: {queue.one_line(str(error))}"
        raise (LimitReached if is_submit_limit(message) else queue.SlurmError)(message) from None
    submission.set_job(str(jobs[0].job_id))
    run.save(submission)


def _parameters(
    run: RunRecords, submission: Submission, resources: Resources, after: Dependencies, parallelism: int
) -> dict[str, Any]:
    """Return the parameters of a submission under submitit's names."""
    extra: dict[str, Any] = {"requeue": True, "chdir": str(default_folder())}
    extra |= {name.replace("-", "_"): value for name, value in resources.requests().items()}
    if after:
        dependencies = [
            f"{kind}:{':'.join(str(parent.job) for parent in parents)}" for kind, parents in after
        ]
        extra |= {"dependency": ",".join(dependencies), "kill-on-invalid-dep": "yes"}
    record_killed = shlex.join([sys.executable, "-m", "slurm.tasks", str(run.out), run.name, submission.key])
    return {
        "job_name": queue.job_name(run.name, submission.stage),
        "time": resources.minutes or None,  # None: not submitit's default of 5 minutes, but SLURM's
        "wckey": None,  # submitit's default, "submitit", is refused where wckeys must be known
        "array_parallelism": parallelism,
        "signal_delay_s": resources.warn,
        "comment": submission.key,
        "stderr_to_stdout": True,
        "setup": [*_THREADS, *resources.preparation(), *_FOR_SRUN],
        "teardown": [
            "status=$?",
            f'[ $status = 0 ] || {record_killed} "${{SLURM_ARRAY_TASK_ID:-0}}" $status',
            "exit $status",
        ],
        "additional_parameters": extra,
    }
