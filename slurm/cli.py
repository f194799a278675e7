"""Run the stages of movies on SLURM or on this machine, and show their status."""

# make passes its variables in the environment as FACEREC_<NAME>, so that no shell reads their contents.

from __future__ import annotations

import argparse
import difflib
import logging
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson

from facerec.errors import FacerecError, InputError, Interrupted
from facerec.stages import PIPELINE
from facerec.support.cli import configure_logging, parser, run_main
from facerec.support.installation import PACKAGE
from facerec.support.shell import launcher_command
from slurm import queue
from slurm.extraction import Echo
from slurm.films import movie_ids
from slurm.launch import launch
from slurm.local import run_local
from slurm.options import ROOT, RunOptions
from slurm.records import RunFolder
from slurm.report import as_json, show, status_lines
from slurm.site import load_site, split_settings
from slurm.sizing import plan_movie
from slurm.status import MovieStatus, read_status

log = logging.getLogger(__name__)
_PREFIX = "FACEREC_"
_CHAINS = {**{stage: (stage,) for stage in PIPELINE.short_names}, "movie": PIPELINE.short_names}
_WATCH_S = 5.0
_COMMANDS = (
    "extract, merge, cluster, classify, report: run one stage. movie: run all of them in order. "
    "status: show the state of the movies. plan: extract a few hundred frames on this machine, and recommend "
    "shards, tasks, time and memory. export: write the movies for other programs (FORMAT), on this machine."
)
Runner = Callable[[RunOptions, int, Sequence[str], Echo], int]  # returns the exit status

# name of the variable of make, default, help
_OPTIONS = (
    ("MOVIE", "", "movie id"),
    ("MOVIES", "", "several movie ids, or all for every film in FILMS"),
    ("FILMS", "films", "folder of the films, which are named <movie id>-<title>"),
    ("OUT", "data", "folder of the results: <movie id>-data and logs/<movie id>"),
    ("ACTOR_DB", "actor_db", "actor database"),
    ("SHARDS", "", "number of shards of the film (default: the number in the movie's plan, or 256)"),
    ("DETECTOR", "", "retinaface, mtcnn or yunet[:FILE] (default: as in extract.py)"),
    ("EMBEDDER", "", "facenet, dlib or arcface[:FILE] (default: as in extract.py)"),
    ("DEVICE", "", "auto, cpu, cuda or cuda:i (default: cuda if GPUs are requested, else auto)"),
    ("SITE", "slurm/cluster.toml", "site profile"),
    ("SET", "", "settings that override the site profile, as in 'extract.memory=32G merge.time=60'"),
    ("PARTITION", "", "SLURM partition of all stages"),
    ("ACCOUNT", "", "SLURM account of all stages"),
    ("QOS", "", "SLURM quality of service of all stages"),
    ("GPUS", "", "GPUs per task of extract"),
    ("CPUS", "", "CPU cores per task of extract"),
    ("MEMORY", "", "memory per task of extract, as in 8G"),
    ("WALLTIME", "", "time limit per task of extract: minutes or H:MM:SS"),
    ("PARALLEL", "", "maximum number of tasks of extract that run at once"),
    ("TASKS", "", "number of tasks that share the shards (default: one per shard)"),
    ("RETRY", "", "number of times a failed shard is tried again"),
    (
        "WORKERS",
        "",
        "without SLURM: number of processes that run at once (default: by cores, memory and GPUs)",
    ),
    *(
        (f"{stage.short_name.upper()}_ARGS", "", f"further arguments of {stage.name}.py")
        for stage in PIPELINE
    ),
    ("EXPORT_ARGS", "", "further arguments of export.py, as in '--labels labels.csv --out tables'"),
    ("FORMAT", "", "export: format of the files, as in screen-time; export.py --help lists all"),
)
_FLAGS = (
    ("LOCAL", "run on this machine without SLURM, even if it has SLURM"),
    ("FRESH", "delete the movie's shards and start again"),
    ("OVERWRITE", "replace published results; the previous version is kept"),
    ("WATCH", "status: refresh until nothing is queued or running"),
    ("JSON", "status: print JSON"),
)
# variables that a recommended command must repeat, because the measurement depends on them
_REPEATED = {"FILMS", "OUT", "ACTOR_DB", "DETECTOR", "EMBEDDER", "DEVICE", "SITE", "SET", "EXTRACT_ARGS"}
_SETTINGS = {  # variables that override a setting of the site profile
    **{name: f"all.{name.lower()}" for name in ("PARTITION", "ACCOUNT", "QOS")},
    **{name: f"extract.{name.lower()}" for name in ("GPUS", "CPUS", "MEMORY", "TASKS", "RETRY")},
    "WALLTIME": "extract.time",
    "PARALLEL": "extract.parallelism",
    "WORKERS": "local.workers",
}


def arguments() -> argparse.ArgumentParser:
    """Return the parser. Each option is also a variable of make, and FACEREC_<NAME> in the environment."""
    command_line = parser(__doc__)
    command_line.formatter_class = argparse.HelpFormatter  # the help texts name the defaults
    command_line.usage = "%(prog)s [options] command"
    command_line.epilog = (
        "make sets each option from a variable: --actor-db is ACTOR_DB=, --local is LOCAL=1."
    )
    command_line.add_argument(
        "command", choices=[*_CHAINS, "status", "plan", "export"], metavar="command", help=_COMMANDS
    )
    for name, default, text in _OPTIONS:
        value = os.environ.get(_PREFIX + name) or default
        default_text = f" (default: {default})" if default else ""
        command_line.add_argument(_flag(name), default=value, metavar=name, help=text + default_text)
    for name, text in _FLAGS:
        given = os.environ.get(_PREFIX + name, "").lower() not in ("", "0", "no", "false")
        command_line.add_argument(_flag(name), action="store_true", default=given, help=text)
    return command_line


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
        raise InputError(f'{args.movie!r} is not a movie id; for several movies give MOVIES="{args.movie}"')
    movies = movie_ids(args.movie or args.movies, films)
    if args.command == "status":
        return _show_status(args, movies)
    if args.command == "export":
        return _export(args, movies)
    options = _run_options(args)
    if args.command == "plan":
        for movie in movies:
            echo("\n".join(plan_movie(options, movie, _variables_to_repeat(args))))
        return 0
    local = args.local or not queue.available()
    if local:
        echo(
            "running on this machine, as requested by LOCAL=1"
            if args.local
            else "no SLURM on this machine: running without it"
        )
    runner = run_local if local else _submit
    stages = _CHAINS[args.command]
    return max(_run_movie(runner, options, movie, stages, len(movies) > 1) for movie in movies)


def _variables_to_repeat(args: argparse.Namespace) -> list[str]:
    values = vars(args)
    return [
        f"{name}={values[name.lower()]}"
        for name, default, _ in _OPTIONS
        if name in _REPEATED and values[name.lower()] != default
    ]


def _run_movie(runner: Runner, options: RunOptions, movie: int, stages: Sequence[str], several: bool) -> int:
    """Run one movie. If there are several, log its error and return the exit status, so that others run."""
    try:
        status = runner(options, movie, stages, echo)
        report = RunFolder(options.out, movie).movie_folder.report
        if "report" in stages and (runner is not run_local or report.exists()):
            echo(f"movie {movie}: report{'' if runner is run_local else ' when done'}: {report}")
        return status
    except Interrupted:
        raise
    except FacerecError as error:
        if not several:
            raise
        log.error("%s", error)
        return error.exit_status


def _submit(options: RunOptions, movie: int, stages: Sequence[str], echo: Echo) -> int:
    if launch(options, movie, stages, echo):
        status = launcher_command("status", f"MOVIE={movie}")
        echo(f"  logs in {RunFolder(options.out, movie).path}; progress: {status}")
    return 0


def _run_options(args: argparse.Namespace) -> RunOptions:
    values = vars(args)
    given = {setting: values[name.lower()] for name, setting in _SETTINGS.items()}
    settings = [f"{setting}={value}" for setting, value in given.items() if value]
    site = Path(args.site)
    shards = args.shards
    if shards and not (shards.isascii() and shards.isdigit() and int(shards)):
        raise InputError(f"SHARDS={shards}: must be a whole number of at least 1")
    stage_args = {
        stage: tuple(_split(f"--{stage}-args", values[f"{stage}_args"])) for stage in PIPELINE.short_names
    }
    return RunOptions(
        films=Path(args.films),
        out=Path(args.out),
        actor_db=Path(args.actor_db),
        site=load_site(site if site.exists() else ROOT / site, [*settings, *split_settings(args.set)]),
        shards=int(shards) if shards else None,
        detector=args.detector,
        embedder=args.embedder,
        device=args.device,
        args=stage_args,
        fresh=args.fresh,
        overwrite=args.overwrite,
    )


def _split(flag: str, text: str) -> list[str]:
    """Split the value of an option into words with the quoting rules of a shell, but without a shell."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise InputError(f"{flag}: {error} in {text!r}") from None


def _export(args: argparse.Namespace, movies: Sequence[int]) -> int:
    """Run export.py on the folders of `movies`, on this machine; return its exit status."""
    if not args.format:
        raise InputError("which format? Give FORMAT=screen-time; export.py --help lists all")
    folders = [str(RunFolder(Path(args.out), movie).movie_folder.path) for movie in movies]
    command = [sys.executable, "-u", str(PACKAGE / "export.py"), "--path", *folders]
    command += ["--format", args.format, "--actor-db", args.actor_db]
    return subprocess.call([*command, *_split("--export-args", args.export_args)])


def _show_status(args: argparse.Namespace, ids: Sequence[int]) -> int:
    while True:
        movies = [_read_status(Path(args.out), movie_id) for movie_id in ids]
        if args.json:
            echo("\n".join(orjson.dumps(as_json(movie)).decode() for movie in movies))
        else:
            show([line for movie in movies for line in status_lines(movie)], clear=args.watch)
        if not args.watch or not any(movie.active for movie in movies):
            return 0
        time.sleep(_WATCH_S)


def _read_status(out: Path, movie_id: int) -> MovieStatus:
    queued = None
    try:
        queued = queue.tasks_of(movie_id) if queue.available() else None
    except queue.SlurmError as error:
        log.warning("%s; showing the last known state", error)
    return read_status(RunFolder(out, movie_id), queued)


def _check_variables(names: Sequence[str]) -> None:
    """Refuse misspelt variables of make, which make itself would ignore."""
    valid = [name for name, *_ in (*_OPTIONS, *_FLAGS)]
    for name in names:
        close = difflib.get_close_matches(name, valid, 1, cutoff=0.75)
        if name not in valid and close:
            hint = f"did you mean {close[0]}? Valid variables: {', '.join(valid)}"
            raise InputError(f"unknown variable {name}; {hint}")


def echo(text: str) -> None:
    """Write a line to standard output and flush it."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def run() -> int:
    """Run the program and return its exit status."""
    sys.argv[0] = "python -m slurm"  # the name in error messages
    return run_main(main)
