"""Commands for one movie or many: the status, with one question to SLURM however many movies there are."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import orjson

from facerec.errors import FacerecError
from facerec.folder.films import films_of_all
from facerec.support.shell import launcher_command
from facerec.support.text import counted
from slurm import queue
from slurm.extraction import Echo
from slurm.feature_run import feature_runs
from slurm.finished import finished_of_chain, read_finished
from slurm.options import RunOptions
from slurm.overview import Row, overview_lines, row_of
from slurm.queue import Snapshot
from slurm.records import RunFolder, RunRecords
from slurm.report import as_json, show, status_lines
from slurm.scheduler import Scheduler
from slurm.setting_aside import take_back
from slurm.site import Site
from slurm.status import MovieStatus, read_status

log = logging.getLogger(__name__)
LOCAL_POLL_S = 5.0  # between two readings of the records of local workers
_READERS = 16  # threads; on a network file system each waits for its small files most of the time
Item = TypeVar("Item")
Result = TypeVar("Result")


def show_status(
    runs: Callable[[], Sequence[RunRecords]],
    site: Site,
    *,
    several: bool,
    json: bool = False,
    watch: bool = False,
    failed: bool = False,
) -> None:
    """Print the status of runs: detailed tables, one line for each if there are several movies, or JSON.

    Args:
        runs: called again for each refresh.
        watch: print the status again until nothing is queued or running, every `site.poll` seconds.
        failed: only movies that have failed.
    """
    while True:
        asked_for = runs()
        asked = ask([run.name for run in asked_for])
        read = partial(_read, asked=asked, several=several)
        found = [movie for movie in _for_each(read, asked_for) if movie]
        if json or several or failed:
            rows = [row_of(movie, site.give_up) for movie in found]
            if json:
                listed = [row for row in rows if row.is_problem or not failed]
                lines = [orjson.dumps({**as_json(row.movie), **row.as_json()}).decode() for row in listed]
                show(lines, plain=True)
            else:
                show(list(overview_lines(rows, failed, len(asked_for) - len(rows))), clear=watch)
        else:
            show([line for movie in found for line in status_lines(movie)], clear=watch)
        if not watch or not any(movie.active for movie in found):
            return
        time.sleep(LOCAL_POLL_S if asked is None else site.poll)


def _for_each(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Call a function that reads files for each of `items`, some at once; the results are in their order."""
    with ThreadPoolExecutor(_READERS) as readers:
        return list(readers.map(function, items))


def movie_runs(out: Path, movie_ids: Sequence[int]) -> list[RunRecords]:
    """Return the runs of movies, those of their features after each."""
    with_features = {name.partition("-")[0] for name in _names(out / "logs") if "-" in name}
    runs: list[RunRecords] = []
    for movie_id in movie_ids:
        faces = RunFolder(out, movie_id)
        features = [*feature_runs(out, str(movie_id))] if str(movie_id) in with_features else []
        runs += [faces] if not features or faces.submissions() else []
        runs += features
    return runs


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []


def movies_to_run(
    options: RunOptions,
    movies: Sequence[int],
    stages: Sequence[str],
    scheduler: Scheduler,
    echo: Echo,
    *,
    failed_only: bool = False,
) -> dict[int, list[str]]:
    """Return the stages that are not finished of each movie with such stages, unless it is set aside.

    Plan and manifest decide, so a finished movie costs no process. A movie that is given alone is never left
    out as set aside.

    Args:
        failed_only: return only movies that have failed, and take back those that were set aside.
    """
    films = films_of_all(options.films) if "extract" in stages else {}
    runs = [RunFolder(options.out, movie_id) for movie_id in movies]
    done = _for_each(lambda run: finished_of_chain(options, run, stages, films.get(run.movie_id)), runs)
    todo: list[int] = []
    aside: list[Row] = []
    finished = 0
    open_stages = {
        run.movie_id: list(stages[len(finished) :]) for run, finished in zip(runs, done, strict=True)
    }
    for run in runs:
        movie_id = run.movie_id
        try:
            if not open_stages[movie_id] and not _is_active(run, scheduler):
                finished += 1
            elif not run.path.exists() or (len(movies) == 1 and not failed_only):
                todo += [] if failed_only else [movie_id]
            elif failed_only:
                row = row_of(read_status(run, scheduler.tasks_of(run)), options.site.give_up)
                if row.is_problem:
                    take_back(run)
                    todo.append(movie_id)
            else:
                row = row_of(read_status(run, scheduler.tasks_of(run)), options.site.give_up)
                aside += [row] if row.condition == "set aside" else []
                todo += [] if row.condition == "set aside" else [movie_id]
        except queue.SlurmError:
            raise
        except FacerecError:  # its own command says what is wrong
            todo.append(movie_id)
    if finished:
        echo(f"{_movies(movies, finished)} finished already: nothing to do")
    for row in aside:
        again = launcher_command("retry", *row.movie.run.variables())
        log.warning(
            "%s: set aside after %s (%s); to try again: %s",
            row.movie.run.title,
            counted(row.failures.times, "failure"),
            row.note,
            again,
        )
    if failed_only and not todo:
        echo(
            f"no movie has failed of {len(movies)}" if len(movies) > 1 else "it has not failed: nothing to do"
        )
    return {movie_id: open_stages[movie_id] for movie_id in todo}


def _movies(movies: Sequence[int], count: int) -> str:
    if len(movies) == 1:
        return f"movie {movies[0]}:"
    return f"{count} of {len(movies)} movies"


def _is_active(run: RunFolder, scheduler: Scheduler) -> bool:
    queued = scheduler.tasks_of(run) or {}
    return any(task.state in queue.ACTIVE for task in queued.values()) or run.local_pool_runs()


def ask(runs: Sequence[int | str] = ()) -> Snapshot | None:
    """Return SLURM's tasks of runs; None without SLURM, and with a warning if it does not answer."""
    try:
        return queue.snapshot(runs) if queue.available() else None
    except queue.SlurmError as error:
        log.warning("%s; showing the last known state", error)
        return None


def _read(run: RunRecords, asked: Snapshot | None, several: bool) -> MovieStatus | None:
    """Read the status of a run; of several, one with damaged records is reported and left out."""
    queued = asked.tasks_of(run.name) if asked else None
    if not several:
        return read_status(run, queued)
    try:
        finished = read_finished(run, queued) if isinstance(run, RunFolder) else None
        return finished or read_status(run, queued)
    except FacerecError as error:
        log.error("%s: %s", run.title, error)
        return None
