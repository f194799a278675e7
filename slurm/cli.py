"""Submit a movie's stages as SLURM jobs, run them here where there is no SLURM, and show how they stand.

`make` passes its variables in the environment, never through a shell.
"""

from __future__ import annotations

import argparse
import difflib
import logging
import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson

from facerec.errors import FacerecError, InputError, Interrupted
from facerec.support.cli import configure_logging, parser, run_main
from facerec.support.shell import launcher_command
from slurm import queue
from slurm.films import movie_ids
from slurm.launch import Say, launch
from slurm.local import run_local
from slurm.records import RunFolder
from slurm.report import as_json, table
from slurm.site import STAGES, load
from slurm.sizing import plan_movie
from slurm.stages import ROOT, Order
from slurm.status import Survey, survey

log = logging.getLogger(__name__)
_PREFIX = "FACEREC_"  # of the environment variables that stand for make's
_CHAINS = {**{stage: (stage,) for stage in STAGES}, "movie": STAGES}
_WATCH_S = 5.0
Work = Callable[[Order, int, Sequence[str], Say], int]

# name on make's command line, default, help
_TEXTS = (
    ("MOVIE", "", "the movie's id"),
    ("MOVIES", "", "several ids, or all: every film in the films' folder"),
    ("FILMS", "films", "folder of the films, named <movie id>-<title>"),
    ("OUT", "data", "where <movie id>-data and logs/<movie id> are made"),
    ("ACTOR_DB", "actor_db", "the actor database"),
    ("SHARDS", "", "into how many shards to cut the film; default: as begun, or 256"),
    ("DETECTOR", "", "retinaface, mtcnn or yunet[:FILE]; default: the stage's"),
    ("EMBEDDER", "", "facenet, dlib or arcface[:FILE]; default: the stage's"),
    ("DEVICE", "", "auto, cpu, cuda or cuda:i; default: cuda where GPUs are asked for, else auto"),
    ("SITE", "slurm/cluster.toml", "the site profile"),
    ("SET", "", "settings of the profile for this time, as in 'extract.memory=32G merge.time=60'"),
    ("PARTITION", "", "for all stages"),
    ("ACCOUNT", "", "for all stages"),
    ("QOS", "", "for all stages"),
    ("GPUS", "", "for a task of extract"),
    ("CPUS", "", "for a task of extract"),
    ("MEMORY", "", "for a task of extract, as in 8G"),
    ("WALLTIME", "", "time limit of a task of extract: minutes or H:MM:SS"),
    ("PARALLEL", "", "how many tasks of extract run at once"),
    ("TASKS", "", "pack the shards into so many tasks"),
    ("RETRY", "", "try a failed shard again so many times"),
    ("WORKERS", "", "processes at a time without SLURM; default: what the machine allows"),
    *((f"{stage.upper()}_ARGS", "", f"further arguments of the {stage} stage") for stage in STAGES),
)
_FLAGS = (
    ("LOCAL", "run here although there is a SLURM"),
    ("FRESH", "drop the shards that are done and begin again"),
    ("OVERWRITE", "replace published results; the old ones are kept"),
    ("WATCH", "status: keep showing until nothing is queued or running"),
    ("JSON", "status: for programs"),
)
_SAME_WORK = {"FILMS", "OUT", "ACTOR_DB", "DETECTOR", "EMBEDDER", "DEVICE", "SITE", "SET", "EXTRACT_ARGS"}
_SETTINGS = {  # variables that are settings of the profile
    **{name: f"all.{name.lower()}" for name in ("PARTITION", "ACCOUNT", "QOS")},
    **{name: f"extract.{name.lower()}" for name in ("GPUS", "CPUS", "MEMORY", "TASKS", "RETRY")},
    "WALLTIME": "extract.time",
    "PARALLEL": "extract.parallelism",
    "WORKERS": "local.workers",
}


def arguments() -> argparse.ArgumentParser:
    """The command line; every option is also a variable of make's and FACEREC_<NAME> in the environment."""
    made = parser(__doc__)
    made.add_argument("command", choices=[*_CHAINS, "status", "plan"])
    for name, default, text in _TEXTS:
        value = os.environ.get(_PREFIX + name) or default
        made.add_argument(_flag(name), default=value, metavar=name, help=text)
    for name, text in _FLAGS:
        given = os.environ.get(_PREFIX + name, "").lower() not in ("", "0", "no", "false")
        made.add_argument(_flag(name), action="store_true", default=given, help=text)
    return made


def _flag(name: str) -> str:
    return "--" + name.lower().replace("_", "-")


def main(argv: Sequence[str] | None = None) -> int:
    _check_variables(os.environ.get(_PREFIX + "MAKE_VARIABLES", "").split())
    args = arguments().parse_args(argv)
    configure_logging(args.verbose)
    films = Path(args.films)
    if args.movie and args.movies:
        raise InputError("give MOVIE or MOVIES, not both")
    if args.movie and len(args.movie.split()) > 1:
        raise InputError(f'{args.movie!r} is no movie id; for several: MOVIES="{args.movie}"')
    movies = movie_ids(args.movie or args.movies, films)
    if args.command == "status":
        return _status(args, movies)
    order = _order(args)
    if args.command == "plan":
        for movie in movies:
            say("\n".join(plan_movie(order, movie, _given(args))))
        return 0
    here = args.local or not queue.available()
    if here:
        say("running here, as asked with LOCAL=1" if args.local else "no SLURM on this machine: running here")
    work = run_local if here else _submit
    return max(_one(work, order, movie, _CHAINS[args.command], len(movies) > 1) for movie in movies)


def _given(args: argparse.Namespace) -> list[str]:
    """The variables that say what is extracted, how and where to, as make wants them; not the defaults."""
    values = vars(args)
    return [
        f"{name}={values[name.lower()]}"
        for name, default, _ in _TEXTS
        if name in _SAME_WORK and values[name.lower()] != default
    ]


def _one(work: Work, order: Order, movie: int, stages: Sequence[str], others: bool) -> int:
    """Do one movie of a collection; its failure does not keep the others from being done."""
    try:
        return work(order, movie, stages, say)
    except Interrupted:
        raise
    except FacerecError as error:
        if not others:
            raise
        log.error("%s", error)
        return error.exit_status


def _submit(order: Order, movie: int, stages: Sequence[str], say: Say) -> int:
    if launch(order, movie, stages, say):
        status = launcher_command("status", f"MOVIE={movie}")
        say(f"  logs in {RunFolder(order.out, movie).path}; how it goes: {status}")
    return 0


def _order(args: argparse.Namespace) -> Order:
    values = vars(args)
    given = {setting: values[name.lower()] for name, setting in _SETTINGS.items()}
    settings = [f"{setting}={value}" for setting, value in given.items() if value]
    site = Path(args.site)
    shards = args.shards
    if shards and not (shards.isascii() and shards.isdigit() and int(shards)):
        raise InputError(f"SHARDS={shards}: give a number of 1 or more")
    return Order(
        films=Path(args.films),
        out=Path(args.out),
        actor_db=Path(args.actor_db),
        site=load(site if site.exists() else ROOT / site, [*settings, *_words("--set", args.set)]),
        shards=int(shards) if shards else None,
        detector=args.detector,
        embedder=args.embedder,
        device=args.device,
        args={stage: tuple(_words(f"--{stage}-args", values[f"{stage}_args"])) for stage in STAGES},
        fresh=args.fresh,
        overwrite=args.overwrite,
    )


def _words(flag: str, text: str) -> list[str]:
    """Words as a shell would split them, with no shell."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise InputError(f"{flag}: {error} in {text!r}") from None


def _status(args: argparse.Namespace, movies: Sequence[int]) -> int:
    while True:
        seen = [_survey(Path(args.out), movie) for movie in movies]
        if args.json:
            say("\n".join(orjson.dumps(as_json(one)).decode() for one in seen))
        else:
            clear = "\x1b[H\x1b[2J" if args.watch and sys.stdout.isatty() else ""
            say(clear + "\n".join(line for one in seen for line in table(one)))
        if not args.watch or not any(one.active for one in seen):
            return 0
        time.sleep(_WATCH_S)


def _survey(out: Path, movie: int) -> Survey:
    queued = None
    try:
        queued = queue.tasks_of(movie) if queue.available() else None
    except queue.SlurmError as error:
        log.warning("%s; showing what was last heard of", error)
    return survey(RunFolder(out, movie), queued)


def _check_variables(names: Sequence[str]) -> None:
    """Names set on make's command line: a misspelt one would be ignored without a word."""
    valid = [name for name, *_ in (*_TEXTS, *_FLAGS)]
    for name in names:
        close = difflib.get_close_matches(name, valid, 1, cutoff=0.75)
        if name not in valid and close:
            meant = f"did you mean {close[0]}? Valid are: {', '.join(valid)}"
            raise InputError(f"unknown variable {name}, {meant}")


def say(text: str) -> None:
    """One line to the user, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def run() -> int:
    """The program's entry."""
    sys.argv[0] = "python -m slurm"  # as its errors are to name it
    return run_main(main)
