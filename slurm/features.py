"""Decide which shards of features to compute, both for SLURM and for local runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from facerec.errors import InputError, PlanError
from facerec.folder.films import find_film
from facerec.folder.layout import MovieFolder
from facerec.stages import FEATURES
from facerec.support.installation import default_folder
from facerec.support.text import counted
from slurm.extraction import Echo, Extraction, read_verified_status
from slurm.feature_run import FeatureRun, FeatureWork
from slurm.options import RunOptions
from slurm.records import RunFolder
from slurm.scheduler import Scheduler
from slurm.status import read_status
from slurm.task_status import ACTIVE

DEFAULT_SHARDS = 64


def feature_work(
    options: RunOptions, movie_id: int | None, inputs: Sequence[str] = (), tars: bool = False
) -> FeatureWork:
    """Return the work that the user asks for.

    Args:
        inputs: a list, or tar files; none for a movie.

    Raises:
        InputError: no feature is given, or an argument is not valid.
        ModelError: there is no such feature.
    """
    if not options.features:
        raise InputError('which features? Give FEATURES="place action" (docs/features.md lists the names)')
    from facerec.features import entry_of

    for spec in options.features:
        entry_of(spec)
    args = list(options.args.get(FEATURES.short_name, ()))
    work = FeatureWork(movie_id, [*map(_from_here, inputs)], tars, [*options.features], args)
    work.check()
    return work


def find_source(options: RunOptions, run: FeatureRun, scheduler: Scheduler) -> list[str]:
    """Return the film, the list or the tar files, before anything is written.

    Raises:
        InputError: they, or the film's cuts, are not there.
        PlanError: a merge of the movie is queued or running.
    """
    movie_id = run.work.movie_id
    if movie_id is not None:
        _check_merge(RunFolder(options.out, movie_id), scheduler)
    _ = run.progress
    return run.work.inputs if movie_id is None else [str(find_film(options.films, movie_id))]


def _check_merge(run: RunFolder, scheduler: Scheduler) -> None:
    """Raise `PlanError` while a merge is queued or running, because it will decide the cuts."""
    if not run.submissions():
        return
    merge = read_status(run, scheduler.tasks_of(run), None).stages["merge"]
    if merge is not None and merge.state in ACTIVE:
        job = merge.job if merge.submission.local else f"job {merge.job}"
        raise PlanError(
            f"movie {run.movie_id}: its merge ({job}), which decides the shots, is {merge.state}; run make "
            f"features when it is done (make status MOVIE={run.movie_id} shows that)"
        )


def plan_features(
    options: RunOptions, run: FeatureRun, source: Sequence[str], echo: Echo, scheduler: Scheduler
) -> Extraction:
    """Find the shards to compute.

    Args:
        source: as `find_source` returns it.

    Raises:
        PlanError: tasks with another number of shards, or with FRESH=1 any tasks, are queued or running.
        FacerecError: the features were started with other options.
    """
    n = options.shards or run.planned_shards or DEFAULT_SHARDS
    status = read_verified_status(replace(options, shards=n), run, scheduler)
    active = {task.submission.n for task in status.tasks if task.state in ACTIVE}
    if options.fresh and active:
        raise PlanError(f"{run.title}: tasks are queued or running: cancel them before using FRESH=1")
    other = next((existing for existing in active if existing != n), None)
    if other:
        raise PlanError(
            f"{run.title}: tasks with SHARDS={other} are queued or running: give SHARDS={other}, or wait"
        )
    run.save_work(n, options.fresh)
    if options.fresh:
        discard(run)
    done, busy = ([], []) if options.fresh else (status.shards_in("done"), status.shards_in(*ACTIVE))
    missing = [shard for shard in range(n) if shard not in {*done, *busy}]
    failed = [shard for shard in missing if status.shards[shard].times]
    parts = [f"{len(part)} {word}" for word, part in (("done", done), ("queued or running", busy)) if part]
    state = f" ({', '.join(parts)})" if parts else ""
    echo(f"{run.title}: {len(missing)} of {counted(n, 'shard')} to do{state}")
    return Extraction(n, missing, failed, _command(options, run, n, source))


def discard(run: FeatureRun) -> None:
    """Delete the features that are there; nothing of them is queued or running."""
    from facerec.feature_runs.discarding import discard_files, discard_movie

    if run.work.movie_id is not None:
        discard_movie(MovieFolder(run.out / f"{run.work.movie_id}-data"), run.work.names)
    else:
        discard_files(run.out, run.work.names, run.work.tars)


def _command(options: RunOptions, run: FeatureRun, n: int, source: Sequence[str]) -> list[str]:
    """Return the command that computes shards, without its `--shard`."""
    specs = ",".join(run.work.features)
    command = FEATURES.command("--n", str(n), "--out", _from_here(options.out), "--features", specs)
    device = options.device or ("cuda" if options.site.stages[FEATURES.short_name].has_gpu else "")
    command += ["--device", device] if device else []
    command += ["--fresh"] if options.fresh else []
    return [*command, *run.work.args, *source]


def _from_here(path: str | Path) -> str:
    """Return a path as given if tasks, too, start in the working directory; else make it absolute.

    Tables count a `feature_path` from the working directory if it begins with the output folder as given.
    """
    return str(path if Path.cwd() == default_folder() else Path(path).absolute())
