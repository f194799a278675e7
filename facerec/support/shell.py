"""Command lines for messages, quoted so that a user can paste them into bash."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from facerec.support.installation import PACKAGE, console_script, repository_root

BY_LAUNCHER = "FACEREC_BY_LAUNCHER"  # in the environment of a program that the launcher started

# what add_movie.py needs to add a movie; most lists do not have the film's title and year
NEW_MOVIE = ("--name", "TITLE", "--year", "YEAR", "--cast", "cast.csv")


def stage_command(stage: str, *words: str) -> str:
    """Return the command line of a stage with the arguments `words`.

    In a checkout it runs the stage's script, as in the documentation. In an installed package it is
    `facerec STAGE`, or `python FOLDER/facerec STAGE` if that command is missing.
    """
    root, installed = repository_root(), console_script()
    python = "python" if shutil.which("python") == sys.executable else sys.executable
    if installed is not None:
        program = ["facerec" if shutil.which("facerec") == str(installed) else str(installed), stage]
    elif root is None:
        program = [python, "-u", str(PACKAGE), stage]
    else:
        script = PACKAGE / f"{stage}.py"
        program = [python, "-u", f"./{script.relative_to(root)}" if Path.cwd() == root else str(script)]
    return command_line(*program, *words)


def launcher_command(target: str, *variables: str) -> str:
    """Return the command line of the SLURM launcher.

    In a checkout it is `make TARGET NAME=value`; in an installed package, which has no Makefile,
    `facerec slurm TARGET --name value`.

    Args:
        variables: each as for make, NAME=value.
    """
    if repository_root() is not None:
        return command_line("make", target, *variables)
    options = []
    for variable in variables:
        name, _, value = variable.partition("=")
        options += ["--" + name.lower().replace("_", "-"), value]
    return stage_command("slurm", target, *options)


def option(name: str, value: str = "") -> str:
    """Return an option as the user types it: `--overwrite`, or OVERWRITE=1 if `make` started this program.

    Args:
        value: of an option that takes one.
    """
    if BY_LAUNCHER in os.environ and repository_root() is not None:
        return command_line(f"{name.removeprefix('--').upper().replace('-', '_')}={value or 1}")
    return command_line(name, value) if value else name


def typed_arguments(*words: str) -> str:
    """Return arguments of a command as the user types them.

    If `make` started this program, they are quoted so that they can be pasted between the quotes of
    `ADD_ARGS='…'`.
    """
    if BY_LAUNCHER in os.environ and repository_root() is not None:
        return " ".join(map(_double_quoted, words)).replace("'", "'\\''")
    return command_line(*words)


def _double_quoted(word: str) -> str:
    """Quote a word with double quotes, for `shlex.split` of a text that bash does not read."""
    if shlex.quote(word) == word:
        return word
    return '"' + re.sub(r'[\\"]', r"\\\g<0>", word) + '"'


def add_movie_command(actor_db: Path, movie: int | None = None, *words: str) -> str:
    """Return the command line that adds a movie to an actor database, as an example.

    Args:
        movie: its id; None for any.
        words: further arguments, by default what a movie without a row needs: `NEW_MOVIE`, and pictures.
    """
    default = actor_db.absolute() == Path("actor_db").absolute()
    place = [] if default else [f"ACTOR_DB={actor_db}"]
    number = 12345 if movie is None else movie
    given = " ".join(map(_double_quoted, words or (*NEW_MOVIE, "--pictures", "pictures")))
    return launcher_command("add-movie", f"MOVIE={number}", *place, f"ADD_ARGS={given}")


def prepare_command(actor_db: Path, embedder: str = "", detector: str = "") -> str:
    """Return the command line that embeds the pictures of an actor database, as the user types it.

    Args:
        embedder: empty for the default; detector likewise.
    """
    embedder += ":FILE" if embedder == "arcface" else ""
    models = [(name, spec) for name, spec in (("detector", detector), ("embedder", embedder)) if spec]
    if BY_LAUNCHER in os.environ:
        variables = [f"{name.upper()}={spec}" for name, spec in models]
        return launcher_command("prepare", f"ACTOR_DB={actor_db}", *variables)
    options = [word for name, spec in models for word in (f"--{name}", spec)]
    return stage_command("prepare_actors", "--actor-db", str(actor_db), *options)


def launched_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return `environment` for a program that the launcher starts, see `option`."""
    return {**environment, BY_LAUNCHER: "1"}


def command_line(*words: str) -> str:
    """Join words into one shell command line, quoting where necessary."""
    return " ".join(map(_quote, words))


def _quote(word: str) -> str:
    """Quote a word for bash.

    Unprintable characters, which a terminal would hide or act on, and bytes that are not UTF-8 become
    octal escapes in `$'…'`.
    """
    if word.isprintable():
        return shlex.quote(word)
    escaped = re.sub(r"[\\']", r"\\\g<0>", word)
    return "$'" + "".join(c if c.isprintable() else _octal_escape(c) for c in escaped) + "'"


def _octal_escape(character: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in os.fsencode(character))
