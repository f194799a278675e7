"""Submit a movie's stages to SLURM with submitit: only missing shards, and each stage after its inputs."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr
from io import StringIO
from typing import Any

from facerec.folder.plan import format_ranges
from facerec.stages import LAUNCHED, PIPELINE
from facerec.support.installation import default_folder
from slurm import queue, tasks
from slurm.extraction import Echo, Extraction, plan_extraction, read_verified_status, require_inputs
from slurm.feature_run import FeatureRun
from slurm.features import find_source, plan_features
from slurm.options import RunOptions
from slurm.packing import Pack, pack, split_into_arrays
from slurm.records import RunFolder, RunRecords, Submission
from slurm.site import Resources
from slurm.status import ACTIVE, MovieStatus

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


def launch(options: RunOptions, movie_id: int, stages: Sequence[str], echo: Echo) -> list[Submission]:
    """Submit stages, given in topological order, each to start after its predecessors.

    Returns:
        The new submissions; none for a stage that has nothing to do or is queued already.
    """
    run = RunFolder(options.out, movie_id)
    require_inputs(options, run, stages)
    with run.lock():
        movie = read_verified_status(options, run)
        submitted: list[Submission] = []
        for stage in stages:
            if PIPELINE[stage].sharded:
                extraction = plan_extraction(options, run, movie, echo)
                submitted += _submit_shards(options, run, stage, extraction, echo)
            else:
                submitted += _submit_stage(options, run, movie, stage, submitted, echo)
        return submitted


def launch_features(options: RunOptions, run: FeatureRun, echo: Echo) -> list[Submission]:
    """Submit the shards of features that are not done; returns the new submissions."""
    source = find_source(options, run)
    with run.lock():
        extraction = plan_features(options, run, source, echo)
        return _submit_shards(options, run, run.sharded_stage, extraction, echo)


def _submit_shards(
    options: RunOptions, run: RunRecords, stage: str, extraction: Extraction, echo: Echo
) -> list[Submission]:
    if not extraction.missing:
        return []
    resources = options.site.stages[stage]
    packs = pack(extraction.missing, resources.tasks, extraction.failed)
    submitted: list[Submission] = []
    parallelism = resources.parallelism or len(packs)
    for array in split_into_arrays(packs, queue.max_array_size(), parallelism):
        after = [("afterany", [submitted[array.after]])] if array.after is not None else []
        submission = _new_submission(options, run, stage, array.packs, extraction.n)
        _submit(run, submission, resources, extraction.command, after, array.parallelism)
        submitted.append(submission)
        shards = format_ranges(shard for shards in array.packs for shard in shards)
        echo(
            f"  job {submission.job}: shards {shards} in {len(array.packs)} "
            f"task{'s' * (len(array.packs) > 1)}, at most {array.parallelism} at once"
        )
    return submitted


def _submit_stage(
    options: RunOptions,
    run: RunFolder,
    movie: MovieStatus,
    stage: str,
    submitted: Sequence[Submission],
    echo: Echo,
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
    n = movie.n or next((new.n for new in submitted), options.shards or 0)
    submission = _new_submission(options, run, stage, [()], n)
    submission.parents = [parent.key for _, parents in after for parent in parents]
    command = options.stage_command(stage, run.movie_folder.path)
    _submit(run, submission, options.site.stages[stage], command, after, 1)
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
        SlurmError: sbatch refuses; the record is deleted.
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
        message = queue.one_line(str(error))
        if len(indices) > 1 and re.search(r"QOS|policy|limit", message, re.IGNORECASE):
            message += (
                f"; if the site limits the number of submitted tasks, give fewer: TASKS={len(indices) // 2}"
            )
        raise queue.SlurmError(f"sbatch: {message}") from None
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
