"""Try the arguments and inputs of all stages before anything is submitted, by their `--dry-run`.

A film is extracted for hours before the stage that names its clusters begins. So an actor database that this
stage cannot use, or a misspelt argument, is found first.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from facerec.errors import InputError
from facerec.settings import ExtractSettings
from facerec.stages import PIPELINE
from facerec.support.shell import launched_environment
from slurm.films import find_film
from slurm.options import RunOptions
from slurm.records import RunFolder

_READY = re.compile(r"movie (\d+): ")
_ERROR, _WARNING = ": error: ", " WARNING "


def movies_that_can_run(options: RunOptions, movies: Sequence[int], stages: Sequence[str]) -> list[int]:
    """Return those of `movies` whose stages can run to the end, as far as that is known now.

    What is wrong with the others, and warnings, go to standard error. A missing film is not looked for here.

    Raises:
        InputError: a stage refuses its arguments, or no movie can run.
    """
    commands = _commands(options, movies, stages)
    env = launched_environment(os.environ)
    running = {
        stage: subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for stage, command in commands.items()
    }
    results = {stage: (process, *process.communicate()) for stage, process in running.items()}
    ready, refusal = list(movies), ""
    for stage, (process, out, err) in results.items():
        lines = err.strip().splitlines()
        if process.returncode:
            named = {int(match[1]) for match in map(_READY.match, out.splitlines()) if match}
            ready = [movie for movie in ready if movie in named]
            if not ready:
                last = lines[-1] if lines else f"exit status {process.returncode}"
                reason = last.partition(_ERROR)[2] or last
                refusal = refusal or f"nothing was started, because {stage} would fail: {reason}"
                lines = [line for line in lines if _WARNING in line]
        sys.stderr.writelines(f"{line}\n" for line in lines)
    if refusal:
        raise InputError(refusal)
    return ready


def _commands(options: RunOptions, movies: Sequence[int], stages: Sequence[str]) -> dict[str, list[str]]:
    """Return the command that tries each stage."""
    folders = [RunFolder(options.out, movie).movie_folder.path for movie in movies]
    commands = {}
    for stage in stages:
        if PIPELINE[stage].sharded:
            if film := _first_film(options, movies):
                # in a folder without a plan: whether a movie's plan agrees is checked movie by movie
                elsewhere = replace(options, out=options.out / ".dry-run")
                commands[stage] = [*elsewhere.extract_command(film, options.shards or 1), "--dry-run"]
        elif stage == "classify":
            embedder = ["--embedder", _embedder(options)] if "extract" in stages else []
            commands[stage] = [*options.stage_command(stage, *folders), "--dry-run", *embedder]
        else:
            commands[stage] = [*options.stage_command(stage, folders[0]), "--dry-run"]
    return commands


def _first_film(options: RunOptions, movies: Sequence[int]) -> Path | None:
    for movie in movies:
        with suppress(InputError):
            return find_film(options.films, movie)
    return None


def _embedder(options: RunOptions) -> str:
    """Return the embedder that extract gets: the last one on its command line."""
    parser = argparse.ArgumentParser(allow_abbrev=False, exit_on_error=False, add_help=False)
    parser.add_argument("--embedder", default=options.embedder or ExtractSettings.embedder)
    try:
        return str(parser.parse_known_args(options.args.get("extract", ()))[0].embedder)
    except argparse.ArgumentError:  # extract itself reports it
        return options.embedder or ExtractSettings.embedder
