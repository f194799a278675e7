"""Decide which shards of a movie to extract, both for SLURM and for local runs."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from facerec.errors import FacerecError, InputError, PlanError
from facerec.folder.films import find_film
from facerec.folder.plan import parse_ranges
from facerec.support.cli import printable
from facerec.support.shell import launched_environment, launcher_command
from facerec.support.text import counted
from slurm.finished import finished_of_chain
from slurm.options import RunOptions
from slurm.records import RunFolder, RunRecords
from slurm.scheduler import Scheduler
from slurm.status import MovieStatus, read_status
from slurm.task_status import ACTIVE
from slurm.work import wait_until

Echo = Callable[[str], None]  # shows a line to the user


@dataclass
class Extraction:
    """The shards of a movie to extract, or of features to compute.

    Attributes:
        missing: shards that are neither done nor queued nor running.
        failed: those of `missing` that failed before.
        command: extracts them, with a `--shard` added.
    """

    n: int
    missing: list[int]
    failed: list[int]
    command: list[str]


def require_inputs(options: RunOptions, run: RunFolder, stages: Sequence[str]) -> None:
    """Check, before any file is written, that the first of `stages` has something to read.

    Raises:
        InputError: the film is not found, or nothing was extracted yet.
    """
    if "extract" in stages:
        find_film(options.films, run.movie_id)
    elif not run.movie_folder.path.is_dir() and not run.submissions():
        first = launcher_command("extract", f"MOVIE={run.movie_id}")
        problem = f"{run.movie_folder.path}: nothing was extracted yet; first run: {first}"
        try:
            find_film(options.films, run.movie_id)
        except InputError as error:
            problem += f", which needs the film: {error}"
        raise InputError(problem)


def plan_extraction(options: RunOptions, run: RunFolder, movie: MovieStatus, echo: Echo) -> Extraction:
    """Find the film and the shards to extract; with FRESH=1, delete the existing shards.

    Raises:
        InputError: there is no film, or more than one.
        PlanError: the movie was started with another number of shards, or tasks are active and FRESH=1.
        FacerecError: the movie was started with other options.
    """
    film = find_film(options.films, run.movie_id)
    n = options.shards or movie.n or options.default_shards(_declared_frames(film))
    active = {task.submission.n for task in movie.shard_tasks() if task.state in ACTIVE}
    other = next((existing for existing in {movie.n or n, *active} if existing != n), None)
    if other and not options.fresh:
        raise PlanError(
            f"movie {run.movie_id} was started with SHARDS={other}: give SHARDS={other}, or start again with "
            "FRESH=1"
        )
    if options.fresh:
        if movie.active:
            raise PlanError(
                f"movie {run.movie_id} has tasks queued or running: cancel them before using FRESH=1"
            )
        from facerec.folder.shards import discard_run

        discard_run(run.movie_folder)
        missing, done, busy, failed = list(range(n)), [], [], []
    else:
        done, busy = movie.shards_in("done"), movie.shards_in(*ACTIVE)
        missing = [shard for shard in range(n) if shard not in {*done, *busy}]
        failed = [shard for shard in missing if shard in movie.shards and movie.shards[shard].times]
    command = options.extract_command(film, n)
    if movie.frame_count is not None:
        _require_same_options([*command, "--dry-run"])
    parts = [f"{len(part)} {word}" for word, part in (("done", done), ("queued or running", busy)) if part]
    state = f" ({', '.join(parts)})" if parts else ""
    echo(
        f"movie {run.movie_id}: {printable(film.name)}: {len(missing)} of {counted(n, 'shard')} to do{state}"
    )
    return Extraction(n, missing, failed, command)


def _declared_frames(film: Path) -> int | None:
    """Return about how many frames a film has; None if its header cannot be read or does not say."""
    from facerec.video.container import declared_frames

    try:
        return declared_frames(film)
    except InputError:  # the tasks report it, with the reason
        return None


def _require_same_options(command: Sequence[str]) -> None:
    """Run a command with --dry-run, which compares its options with those of the movie's plan.

    Raises:
        FacerecError: they differ.
    """
    env = launched_environment(os.environ)
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"{shlex.join(command)} failed"]
        raise FacerecError(lines[-1].partition("error: ")[2] or lines[-1])


def read_verified_status(
    options: RunOptions, run: RunRecords, scheduler: Scheduler | None = None
) -> MovieStatus:
    """Read the movie's status with file contents compared, after waiting for files that other nodes wrote.

    While tasks are queued or running, contents are not compared: the command is run again after them.
    """
    queued = (scheduler or Scheduler.connect(options.site)).tasks_of(run)
    movie = read_status(run, queued, options.shards)
    late = _waited_for_markers(run, movie, options.site.settle)
    if late or not movie.active:
        movie = read_status(run, queued, options.shards, contents=not movie.active)
    return movie


def stages_to_do(
    options: RunOptions, run: RunFolder, stages: Sequence[str], scheduler: Scheduler, echo: Echo
) -> tuple[list[str], MovieStatus]:
    """Return the stages without those that are finished, and the state of the movie."""
    film = find_film(options.films, run.movie_id) if "extract" in stages else None
    finished = finished_of_chain(options, run, stages, film)
    if finished:
        movie = read_status(run, scheduler.tasks_of(run), options.shards)
        active = {task.submission.stage for task in movie.tasks if task.state in ACTIVE}
        finished = list(takewhile(lambda stage: stage not in active, finished))
    if not finished:
        return list(stages), read_verified_status(options, run, scheduler)
    echo(f"movie {run.movie_id}: {', '.join(finished)}: done already")
    return list(stages[len(finished) :]), movie


def _waited_for_markers(run: RunRecords, movie: MovieStatus, settle: float) -> bool:
    """Wait at most `settle` seconds for the markers of tasks that have just ended.

    Returns:
        Whether a marker was late.
    """
    claimed = {
        shard
        for task in movie.shard_tasks()
        if task.submission.n == movie.n
        and task.record
        and task.record.outcome == "done"
        and (task.record.ended or 0) > time.time() - settle
        for shard in parse_ranges(task.submission.packs[task.index], movie.n)
    }
    late = claimed & set(movie.shards_in("missing"))
    if not late:
        return False
    wait_until(lambda: not late & set(read_status(run, None, movie.n).shards_in("missing")), settle)
    return True
