"""Decide from plan and manifest what of a movie is finished, without starting a process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from facerec.errors import FacerecError
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import outputs_of, read_manifest, recorded_missing
from facerec.folder.plan import Plan, read_plan
from facerec.stages import PIPELINE
from facerec.support.atomic import sha256_of
from slurm.options import RunOptions
from slurm.queue import ACTIVE, QueuedTask
from slurm.records import RunFolder
from slurm.status import MovieStatus, ShardStatus, newest_of_stages
from slurm.submission import Submission
from slurm.task_status import TaskStatus, tasks_of_submission

_CLOCKS_NS = 2_000_000_000  # by which the clocks of two nodes may differ


class _Times(dict[Path, int | None]):
    """Modification times of files in ns, each asked for once; None for a missing file."""

    def __missing__(self, path: Path) -> int | None:
        try:
            self[path] = path.stat().st_mtime_ns
        except OSError:
            self[path] = None
        return self[path]


def finished_stages(folder: MovieFolder, plan: Plan) -> list[str]:
    """Return the short names of the stages with results made from this plan and from each other.

    A file that was written after the manifest is compared with the hash in it. The stages after the first
    one that is not finished are left out.

    Raises:
        FacerecError: the manifest is damaged.
    """
    manifest = read_manifest(folder)
    if recorded_missing(manifest, plan):
        return []
    known = {folder.relative(folder.plan): plan.fingerprint}
    times = _Times()
    finished: list[str] = []
    for stage in PIPELINE:
        if stage.optional:
            inputs = [path for name in stage.inputs for path in outputs_of(folder, name)]
            if not _newest(outputs_of(folder, stage.name), inputs, times):
                break
        elif not stage.sharded:
            entry = manifest["stages"].get(stage.name)
            if entry is None or not _holds(folder, stage.name, entry, known, times):
                break
            known |= entry["outputs"]
        finished.append(stage.short_name)
    return finished if len(finished) > 1 else []  # the merge proves the shards


def finished_of_chain(
    options: RunOptions, run: RunFolder, stages: Sequence[str], film: Path | None
) -> list[str]:
    """Return those of `stages`, from the first on, that would do nothing if they ran again.

    The film and the number of shards are those of the plan, the results hold, and the stage was run with what
    the user chooses now. A stage that is given alone is never left out, except extract.

    Args:
        film: film of the movie; None if there is not just one.
    """
    alone = len(stages) == 1 and not PIPELINE[stages[0]].sharded
    if options.fresh or options.overwrite or alone or film is None:
        return []
    try:
        plan = read_plan(run.movie_folder)
        if plan is None or options.shards not in (None, plan.n) or not _is_film_of(plan, film):
            return []
        finished = finished_stages(run.movie_folder, plan)
        submissions = run.submissions() if finished else []
    except (FacerecError, OSError):  # the stages say what is wrong
        return []
    kept: list[str] = []
    for stage in stages:
        before = _chosen_before(run, [one for one in submissions if one.stage == stage])
        if stage not in finished or (before or []) != _without_blanks(options.chosen(stage)):
            break
        kept.append(stage)
    return kept


def _is_film_of(plan: Plan, film: Path) -> bool:
    stamp = film.stat()
    found = {"name": film.name, "bytes": stamp.st_size, "mtime_ns": stamp.st_mtime_ns}
    return all(plan.film.get(name, value) == value for name, value in found.items())


def _chosen_before(run: RunFolder, submissions: Sequence[Submission]) -> list[str] | None:
    """Return what was chosen of a stage when it was last done; None if that is not known."""
    for submission in reversed(submissions):
        task = None if PIPELINE[submission.stage].sharded else run.task(submission.key, 0)
        if PIPELINE[submission.stage].sharded or (task and task.outcome == "done"):
            return None if submission.chosen is None else _without_blanks(submission.chosen)
    return None


def _without_blanks(words: Sequence[str]) -> list[str]:
    return list(words) if any(words) else []


def _holds(
    folder: MovieFolder, stage: str, entry: Mapping[str, Any], known: Mapping[str, str], times: _Times
) -> bool:
    """Return whether a stage's files are those of its entry in the manifest, made from the files `known`."""
    inputs = entry["inputs"]
    from_shards = any(PIPELINE[name].sharded for name in PIPELINE[stage].inputs)
    if from_shards and folder.relative(folder.plan) not in inputs:
        return False
    if any(known.get(name, digest) != digest for name, digest in inputs.items()):
        return False
    written = times[folder.manifest]
    for path in outputs_of(folder, stage):
        made = times[path]
        if made is None or written is None:
            return False
        newer = made > written + _CLOCKS_NS
        if newer and sha256_of(path) != entry["outputs"].get(folder.relative(path)):
            return False
    return True


def _newest(outputs: Sequence[Path], inputs: Sequence[Path], times: _Times) -> bool:
    """Return whether the outputs of a stage exist and are not older than its inputs."""
    made = [times[path] for path in outputs]
    read = [times[path] for path in inputs]
    if None in made or None in read:
        return False
    oldest = min(time for time in made if time is not None)
    return all(time <= oldest + _CLOCKS_NS for time in read if time is not None)


def read_finished(run: RunFolder, queued: Mapping[str, QueuedTask] | None) -> MovieStatus | None:
    """Read the state of a finished movie without its markers and the records of its extraction.

    Args:
        queued: as in `read_status`.

    Returns:
        None if a stage that is not optional is not finished, or a shard may be queued or running.
    """
    try:
        plan = read_plan(run.movie_folder)
        if plan is None:
            return None
        finished = finished_stages(run.movie_folder, plan)
    except FacerecError:
        return None
    if not {stage.short_name for stage in PIPELINE.recorded} <= set(finished):
        return None
    tasks: list[TaskStatus] = []
    for submission in run.submissions():
        if submission.stage != "extract":
            tasks += tasks_of_submission(run, submission, queued)
        elif _is_queued(submission.key, queued) or (submission.local and run.pool_runs(submission)):
            return None
    stages = newest_of_stages(run, tasks, finished)
    shards = dict.fromkeys(range(plan.n), ShardStatus("done"))  # one object for all; it is never changed
    to_make = [stage.short_name for stage in PIPELINE if stage.short_name not in finished]
    return MovieStatus(
        run, plan.n, shards, stages, tasks, {}, plan.frame_count, finished=True, to_make=to_make
    )


def _is_queued(key: str, queued: Mapping[str, QueuedTask] | None) -> bool:
    return any(task.comment == key and task.state in ACTIVE for task in (queued or {}).values())
