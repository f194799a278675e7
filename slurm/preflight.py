"""Try the arguments and inputs of all stages before anything is submitted, by their `--dry-run`.

A film is extracted for hours before the stage that names its clusters begins. So an actor database that this
stage cannot use, or a misspelt argument, is found first.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from facerec.errors import FacerecError, InputError
from facerec.folder.films import films_of_all, find_film
from facerec.models.packs import choose_models
from facerec.settings import ExtractSettings
from facerec.stages import PIPELINE
from facerec.support.shell import launched_environment
from slurm.options import RunOptions
from slurm.records import RunFolder

log = logging.getLogger(__name__)
_READY = re.compile(r"movie (\d+): ")
_ERROR, _WARNING = ": error: ", " WARNING "


def movies_that_can_run(options: RunOptions, todo: Mapping[int, Sequence[str]]) -> list[int]:
    """Return the movies of `todo` with stages that can all run, as far as that is known now.

    What is wrong with the others, and warnings, go to standard error.

    Args:
        todo: the stages to do, by movie id. Each stage is tried once, for the movies that need it.

    Raises:
        InputError: a stage refuses its arguments, or no movie can run.
    """
    todo = _with_films(options, todo)
    trials = _trials(options, todo)
    env = launched_environment(os.environ)
    running = [
        subprocess.Popen(trial.command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for trial in trials
    ]
    results = [(process, *process.communicate()) for process in running]
    ready, refusal = list(todo), ""
    for trial, (process, out, err) in zip(trials, results, strict=True):
        lines = err.strip().splitlines()
        if process.returncode:
            named = {int(match[1]) for match in map(_READY.match, out.splitlines()) if match}
            ready = [movie for movie in ready if movie in named or movie not in trial.movies]
            if not ready:
                last = lines[-1] if lines else f"exit status {process.returncode}"
                reason = last.partition(_ERROR)[2] or last
                refusal = refusal or f"nothing was started, because {trial.stage} would fail: {reason}"
                lines = [line for line in lines if _WARNING in line]
        sys.stderr.writelines(f"{line}\n" for line in lines)
    if refusal:
        raise InputError(refusal)
    return ready


def _with_films(options: RunOptions, todo: Mapping[int, Sequence[str]]) -> dict[int, Sequence[str]]:
    """Return the movies of `todo` that have the film that they need; the others are reported.

    Raises:
        InputError: it is the only movie, so that a wrong id is not reported as a missing cast.
    """
    films: Mapping[int, Path] = {}
    with suppress(InputError, OSError):  # reported for each movie
        films = films_of_all(options.films)
    found = dict(todo)
    for movie, stages in todo.items():
        if movie in films or not any(PIPELINE[stage].sharded for stage in stages):
            continue
        try:
            find_film(options.films, movie)
        except InputError as error:
            if len(todo) == 1:
                raise
            log.error("%s", error)
            del found[movie]
    return found


@dataclass(frozen=True)
class _Trial:
    """A command that tries a stage for some movies."""

    stage: str
    movies: Sequence[int]
    command: Sequence[str]


def _trials(options: RunOptions, todo: Mapping[int, Sequence[str]]) -> list[_Trial]:
    """Return the commands that try the stages of `todo`, one for each stage."""
    needing: dict[str, list[int]] = {}
    for movie, stages in todo.items():
        for stage in stages:
            needing.setdefault(stage, []).append(movie)
    trials: list[_Trial] = []
    for stage, movies in needing.items():
        if PIPELINE[stage].sharded:
            if film := _first_film(options, movies):
                # in a folder without a plan: whether a movie's plan agrees is checked movie by movie
                elsewhere = replace(options, out=options.out / ".dry-run")
                command = elsewhere.extract_command(film, options.shards or 1)
                trials.append(_Trial(stage, movies, [*command, "--dry-run"]))
        elif stage == "classify":  # the plan of an extracted movie says which embedder it has
            extracted = [movie for movie in movies if "extract" not in todo[movie]]
            others = [movie for movie in movies if "extract" in todo[movie]]
            for some, embedder in ((extracted, []), (others, ["--embedder", _embedder(options)])):
                if some:
                    command = options.stage_command(stage, *_folders(options, some))
                    trials.append(_Trial(stage, some, [*command, "--dry-run", *embedder]))
        else:
            command = options.stage_command(stage, *_folders(options, movies[:1]))
            trials.append(_Trial(stage, movies, [*command, "--dry-run"]))
    return trials


def _folders(options: RunOptions, movies: Sequence[int]) -> list[Path]:
    return [RunFolder(options.out, movie).movie_folder.path for movie in movies]


def _first_film(options: RunOptions, movies: Sequence[int]) -> Path | None:
    for movie in movies:
        with suppress(InputError):
            return find_film(options.films, movie)
    return None


def _embedder(options: RunOptions) -> str:
    """Return the embedder that extract gets: the last one on its command line, else that of the pack."""
    parser = argparse.ArgumentParser(allow_abbrev=False, exit_on_error=False, add_help=False)
    parser.add_argument("--detector", default=options.detector)
    parser.add_argument("--embedder", default=options.embedder)
    parser.add_argument("--models", default=options.models)
    try:
        args = parser.parse_known_args(options.args.get("extract", ()))[0]
        choose_models(args)
    except (argparse.ArgumentError, FacerecError):  # extract itself reports it
        return options.embedder or ExtractSettings.embedder
    return str(args.embedder)
