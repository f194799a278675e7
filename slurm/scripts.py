"""Commands of the launcher that run one program on this machine, never on SLURM.

Each function returns the exit status of the program. `args` are the options of `variables.arguments`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from facerec.errors import InputError
from facerec.folder.films import movie_ids
from facerec.support.installation import PACKAGE
from facerec.support.shell import NEW_MOVIE, launched_environment
from slurm.records import RunFolder
from slurm.variables import split_words


def export(args: argparse.Namespace, movies: Sequence[int]) -> int:
    """Run export.py on the folders of `movies`."""
    if not args.format:
        raise InputError("which format? Give FORMAT=screen-time; export.py --help lists all")
    words = ["--path", *_folders(args, movies), "--format", args.format, "--actor-db", args.actor_db]
    return _run("export", *words, *split_words("--export-args", args.export_args))


def review(args: argparse.Namespace, movies: Sequence[int]) -> int:
    """Make the reports of `movies` and print where their reviews open."""
    words = ["--review", "--path", *_folders(args, movies), "--actor-db", args.actor_db]
    return _run("report", *words, *split_words("--report-args", args.report_args))


def hand_over(args: argparse.Namespace, movies: Sequence[int]) -> int:
    """Run handover.py on the folders of `movies`."""
    if not args.to:
        raise InputError("where to? Give TO=DIR, the folder that the labeling backend is given")
    words = ["--path", *_folders(args, movies), "--to", args.to]
    words += ["--films", args.films, "--actor-db", args.actor_db]
    words += ["--overwrite"] if args.overwrite else []
    return _run("handover", *words, *split_words("--handover-args", args.handover_args))


def prepare(args: argparse.Namespace) -> int:
    """Run prepare_actors.py."""
    words = ["--actor-db", args.actor_db, *_given(args, "detector", "embedder", "models", "device")]
    return _run("prepare_actors", *words, *split_words("--prepare-args", args.prepare_args))


def add_movie(args: argparse.Namespace) -> int:
    """Run add_movie.py."""
    movies = movie_ids(args.movie or args.movies, Path(args.films))
    if len(movies) > 1:
        raise InputError("add one movie at a time: MOVIE=12345")
    added = split_words("--add-args", args.add_args)
    if not added:
        raise InputError(
            f"add what? Give ADD_ARGS='{' '.join(NEW_MOVIE)} --pictures pictures'; "
            "add_movie.py --help lists all"
        )
    words = ["--movie", str(movies[0]), "--actor-db", args.actor_db, "--out", args.out or "data"]
    return _run("add_movie", *words, *_given(args, "detector", "embedder"), *added)


def _folders(args: argparse.Namespace, movies: Sequence[int]) -> list[str]:
    return [str(RunFolder(Path(args.out), movie).movie_folder.path) for movie in movies]


def _given(args: argparse.Namespace, *names: str) -> list[str]:
    """Return those of the options that have a value, with it."""
    return [word for name in names if (value := getattr(args, name)) for word in (f"--{name}", value)]


def _run(script: str, *words: str) -> int:
    command = [sys.executable, "-u", str(PACKAGE / f"{script}.py"), *words]
    return subprocess.call(command, env=launched_environment(os.environ))
