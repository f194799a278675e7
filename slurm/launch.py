"""Submit a movie's stages to SLURM: arrays through submitit, only what is missing, each after the last."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from facerec.errors import FacerecError, InputError, PlanError
from facerec.folder.plan import format_ranges, parse_ranges
from facerec.stages import PIPELINE
from facerec.support.place import home
from facerec.support.shell import launcher_command
from slurm import queue, tasks
from slurm.films import find_film
from slurm.packing import Pack, chunk, pack
from slurm.records import RunFolder, Submission
from slurm.site import Resources
from slurm.stages import DEFAULT_SHARDS, Order
from slurm.status import ACTIVE, Survey, survey
from slurm.work import wait_until

Say = Callable[[str], None]


@dataclass
class Extraction:
    """What is to be done of a movie's extraction."""

    film: Path
    n: int
    missing: list[int]
    suspects: list[int]
    argv: list[str] = field(default_factory=list)


def check(order: Order, run: RunFolder, stages: Sequence[str]) -> None:
    """Refuse, before anything is made, what cannot be begun: no film, or nothing to go on from."""
    if "extract" in stages:
        find_film(order.films, run.movie_id)
    elif not run.movie_folder.path.is_dir() and not run.submissions():
        first = launcher_command("extract", f"MOVIE={run.movie_id}")
        raise InputError(f"{run.movie_folder.path}: nothing was extracted yet; first: {first}")


def plan_extraction(order: Order, run: RunFolder, seen: Survey, say: Say) -> Extraction:
    """Find the film and what of it is neither done nor on its way.

    Raises:
        InputError: no film, or several.
        PlanError: what is done, or on its way, was begun with other options.
    """
    film = find_film(order.films, run.movie_id)
    n = order.shards or seen.n or DEFAULT_SHARDS
    begun = {task.submission.n for task in seen.extracting() if task.state in ACTIVE}
    other = next((have for have in {seen.n or n, *begun} if have != n), None)
    if other and not order.fresh:
        raise PlanError(
            f"movie {run.movie_id} was begun with SHARDS={other}: go on with that, or drop it with FRESH=1"
        )
    if order.fresh:
        if seen.active:
            raise PlanError(f"movie {run.movie_id} has tasks queued or running: cancel them before FRESH=1")
        from facerec.folder.shards import discard_run

        discard_run(run.movie_folder)
        missing, done, busy, failed = list(range(n)), [], [], []
    else:
        done, busy = seen.having("done"), seen.having(*ACTIVE)
        missing = [shard for shard in range(n) if shard not in {*done, *busy}]
        failed = [shard for shard in missing if shard in seen.shards and seen.shards[shard].times]
    argv = order.extract_argv(film, n)
    if done:
        _same_options([*argv, "--shard", str(done[0])])
    parts = [f"{len(part)} {word}" for word, part in (("done", done), ("queued or running", busy)) if part]
    state = f" ({', '.join(parts)})" if parts else ""
    say(f"movie {run.movie_id}: {film.name}: {len(missing)} of {n} shards to do{state}")
    return Extraction(film, n, missing, failed, argv)


def _same_options(argv: Sequence[str]) -> None:
    """Ask before submitting: a rerun of a done shard does nothing, and refuses where its options differ."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"{shlex.join(argv)} failed"]
        raise FacerecError(said[-1].partition("error: ")[2] or said[-1])


def settled(run: RunFolder, seen: Survey, settle: float) -> bool:
    """Wait, bounded, for the markers of shards whose tasks just said they are done; whether it waited."""
    just = time.time() - settle
    claimed = {
        shard
        for task in seen.extracting()
        if task.submission.n == seen.n
        and task.own
        and task.own.outcome == "done"
        and (task.own.ended or 0) > just
        for shard in parse_ranges(task.submission.packs[task.index], seen.n)
    }
    late = claimed & set(seen.having("missing"))
    if not late:
        return False
    wait_until(lambda: not late & set(survey(run, None).having("missing")), settle)
    return True


def launch(order: Order, movie_id: int, stages: Sequence[str], say: Say) -> list[Submission]:
    """Submit the stages, in their order, each waiting for those before it; returns what was submitted."""
    run = RunFolder(order.out, movie_id)
    check(order, run, stages)
    with run.lock():
        seen = look(order, run)
        submitted: list[Submission] = []
        for stage in stages:
            if PIPELINE[stage].sharded:
                submitted += _extract(order, run, seen, say)
            else:
                submitted += _stage(order, run, seen, stage, submitted, say)
        return submitted


def look(order: Order, run: RunFolder) -> Survey:
    """Survey the movie with all care: contents compared, late files waited for."""
    queued = queue.tasks_of(run.movie_id) if queue.available() else None
    seen = survey(run, queued, order.shards, contents=True)
    if settled(run, seen, order.site.settle):
        seen = survey(run, queued, order.shards, contents=True)
    return seen


def _extract(order: Order, run: RunFolder, seen: Survey, say: Say) -> list[Submission]:
    todo = plan_extraction(order, run, seen, say)
    if not todo.missing:
        return []
    wants = order.site.stages["extract"]
    packs = pack(todo.missing, wants.tasks, todo.suspects)
    submitted: list[Submission] = []
    for part in chunk(packs, queue.max_array_size(), wants.parallelism):
        after = [("afterany", [submitted[part.after]])] if part.after is not None else []
        one = _submission(order, run, "extract", part.packs, todo.n)
        _submit(run, one, wants, todo.argv, after, part.parallelism)
        submitted.append(one)
        say(
            f"  job {one.job}: shards {format_ranges(shard for shards in part.packs for shard in shards)} in "
            f"{len(part.packs)} task{'s' * (len(part.packs) > 1)}, at most {part.parallelism} at once"
        )
    return submitted


def _stage(
    order: Order, run: RunFolder, seen: Survey, stage: str, submitted: Sequence[Submission], say: Say
) -> list[Submission]:
    """Submit a stage that is not sharded, after the jobs of its predecessors that are queued or running."""
    before = {one.short_name for one in PIPELINE.predecessors(stage)}
    new = [one for one in submitted if one.stage in before]
    now = seen.stages[stage]
    after: list[tuple[str, list[Submission]]] = [("afterok", new)] if new else []
    if now and now.state in ACTIVE:
        if not new:
            say(f"movie {run.movie_id}: {stage} is {now.state} already, as job {now.job}")
            return []
        if now.state == "queued":  # it waits for less than it should
            queue.call("scancel", now.job)
            say(f"movie {run.movie_id}: {stage} job {now.job} cancelled: a new one waits for the new job too")
        else:
            after.append(("afterany", [now.submission]))
    replaced = {one.stage for one in new if not PIPELINE[one.stage].sharded}  # by the new job
    active = [
        task for task in seen.tasks if task.submission.stage in before - replaced and task.state in ACTIVE
    ]
    for key, one in {task.submission.key: task.submission for task in active}.items():
        states = {task.state for task in seen.tasks if task.submission.key == key}
        after.append(("afterok" if states <= {*ACTIVE, "done"} else "afterany", [one]))  # or it never holds
    one = _submission(order, run, stage, [()], seen.n or order.shards or DEFAULT_SHARDS)
    one.parents = [parent.key for _, parents in after for parent in parents]
    _submit(run, one, order.site.stages[stage], order.stage_argv(stage, run.movie_folder.path), after, 1)
    waits = ", ".join(f"job {parent.job}" for _, parents in after for parent in parents)
    say(f"movie {run.movie_id}: {stage}: job {one.job}{f', after {waits}' if waits else ''}")
    return [one]


def _submission(order: Order, run: RunFolder, stage: str, packs: Sequence[Pack], n: int) -> Submission:
    wants = order.site.stages[stage]
    return Submission(
        key=run.new_key(stage),
        stage=stage,
        packs=[format_ranges(shards) for shards in packs],
        n=n,
        memory=wants.memory,
        minutes=wants.minutes,
        warn=wants.warn,
        retry=wants.retry,
        settle=order.site.settle,
    )


def _submit(
    run: RunFolder,
    one: Submission,
    wants: Resources,
    argv: list[str],
    after: Sequence[tuple[str, Sequence[Submission]]],
    parallelism: int,
) -> None:
    """Hand a submission to sbatch; its record is written before, should this launcher die meanwhile."""
    import submitit
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    executor = submitit.AutoExecutor(folder=run.stage_dir(one.stage), cluster="slurm")
    executor.update_parameters(**_parameters(run, one, wants, after, parallelism))
    function = tasks.run_shards if PIPELINE[one.stage].sharded else tasks.run_stage
    arguments = [(str(run.out), run.movie_id, one.key, index, argv) for index in range(len(one.packs))]
    run.save(one)
    try:
        with redirect_stderr(StringIO()):  # submitit shows there what its error says again
            jobs = executor.map_array(function, *zip(*arguments, strict=True))
    except (FailedJobError, FailedSubmissionError) as error:
        run.forget(one)
        raise queue.SlurmError(f"sbatch: {queue.plain(str(error))}") from None
    one.know(str(jobs[0].job_id))
    run.save(one)


def _parameters(
    run: RunFolder,
    one: Submission,
    wants: Resources,
    after: Sequence[tuple[str, Sequence[Submission]]],
    parallelism: int,
) -> dict[str, Any]:
    """The submission's parameters as submitit spells them."""
    ids = [f"{how}:{':'.join(str(parent.job) for parent in parents)}" for how, parents in after]
    whose = shlex.join([sys.executable, "-m", "slurm.tasks", str(run.out), str(run.movie_id), one.key])
    named = {
        name: getattr(wants, name)
        for name in ("partition", "account", "qos", "constraint", "exclude", "gres")
        if getattr(wants, name)
    }
    if wants.gpus and not wants.gres:
        named["gpus_per_node"] = wants.gpus
    extra: dict[str, Any] = {"requeue": True, "chdir": str(home()), **wants.sbatch}
    if ids:
        extra |= {"dependency": ",".join(ids), "kill-on-invalid-dep": "yes"}
    return {
        "name": queue.job_name(run.movie_id, one.stage),
        "timeout_min": wants.minutes,
        "slurm_mem": f"{wants.megabytes}M",
        "cpus_per_task": wants.cpus,
        "slurm_array_parallelism": parallelism,
        "slurm_signal_delay_s": wants.warn,
        "slurm_comment": one.key,
        "slurm_stderr_to_stdout": True,
        "slurm_setup": [*(f"module load {shlex.quote(name)}" for name in wants.modules), *wants.setup],
        "slurm_teardown": [
            "status=$?",
            f'[ $status = 0 ] || {whose} "${{SLURM_ARRAY_TASK_ID:-0}}" $status',
            "exit $status",
        ],
        "slurm_additional_parameters": extra,
        **{f"slurm_{name}": value for name, value in named.items()},
    }
