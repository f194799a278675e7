"""Run the stages of movies on SLURM or on this machine, and show their status."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from facerec.errors import FacerecError, InputError, Interrupted
from facerec.folder.films import movie_ids
from facerec.stages import LAUNCHED, PIPELINE
from facerec.support.cli import configure_logging, run_main
from facerec.support.shell import launcher_command
from facerec.support.text import counted
from slurm import queue, scripts
from slurm.collection import movie_runs, movies_to_run, show_status
from slurm.extraction import Echo
from slurm.feature_run import FeatureRun, FeatureWork, feature_runs
from slurm.features import feature_work
from slurm.launch import launch, launch_features
from slurm.local import run_features_local, run_local, visible_gpus
from slurm.options import ROOT, RunOptions
from slurm.preflight import movies_that_can_run
from slurm.records import RunFolder, RunRecords
from slurm.scheduler import AGAIN, Scheduler
from slurm.site import Site
from slurm.site_file import load_site, split_settings
from slurm.sizing import plan_movie, plan_without_gpu, run_on_node
from slurm.variables import (
    CHAINS,
    FEATURES_COMMAND,
    OPTIONS,
    PREFIX,
    REPEATED,
    SETTINGS,
    arguments,
    check_variables,
    split_words,
)

log = logging.getLogger(__name__)
Item = TypeVar("Item")
Runner = Callable[[RunOptions, int, Sequence[str], Echo, Scheduler], int]  # returns the exit status


def main(argv: Sequence[str] | None = None) -> int:
    ignored = check_variables(os.environ.get(PREFIX + "MAKE_VARIABLES", "").split())
    args = arguments(__doc__).parse_args(argv)
    configure_logging(args.verbose)
    for name in ignored:
        log.warning("%s=: no variable of the launcher; ignored", name)
    if args.command == "prepare":
        return scripts.prepare(args)
    if args.command == "add-movie":
        return scripts.add_movie(args)
    films = Path(args.films)
    is_list = args.command in (FEATURES_COMMAND, "status") and bool(args.list or args.tars)
    args.out = args.out or ("features" if is_list else "data")
    if is_list:
        return _with_files(args)
    if (args.list or args.tars) and not (args.movie or args.movies):
        again = "; make features LIST=… tries again what failed" if args.command == "retry" else ""
        raise InputError(f"LIST and TARS are for make features and status, not {args.command}{again}")
    if args.movie and args.movies:
        raise InputError("give MOVIE or MOVIES, not both")
    if args.movie and len(args.movie.split()) > 1:
        raise InputError(f'{args.movie!r} is not a movie id; for several movies give MOVIES="{args.movie}"')
    movies = movie_ids(args.movie or args.movies, films)
    if args.command == "status":
        return _show_status(args, lambda: movie_runs(Path(args.out), movies), len(movies) > 1)
    if args.command == "handover":
        return scripts.hand_over(args, movies)
    if args.command == "export":
        return scripts.export(args, movies)
    if args.command == "review":
        return scripts.review(args, movies)
    options = _run_options(args)
    if args.command == "plan":
        return _plan(options, args, movies)
    local = _is_local(args)
    runner = run_local if local else _submit
    scheduler = Scheduler.connect(options.site)
    if args.command == FEATURES_COMMAND:
        works = [feature_work(options, movie) for movie in movies]
        run_work = partial(_run_features, options, scheduler, local)
        return _run_each(works, run_work, None if local else scheduler, len(works) > 1)
    stages = CHAINS[args.command]
    failed_only = args.command == "retry"
    todo = movies_to_run(options, movies, stages, scheduler, echo, failed_only=failed_only)
    ready = movies_that_can_run(options, todo) if todo else []
    repeated = _variables_to_repeat(args)
    run_movie = partial(_run_movie, runner, options, stages, scheduler, repeated=repeated)
    status = _run_each(ready, run_movie, None if local else scheduler, len(movies) > 1)
    return max(int(len(ready) < len(todo)), status)


def _run_each(
    movies: Sequence[Item], run_one: Callable[[Item], int], scheduler: Scheduler | None, several: bool
) -> int:
    """Run movies one after the other, until SLURM takes no more tasks; return the largest exit status.

    Args:
        several: log the error of a movie, so that the others run; if False, raise it.
    """
    status = 0
    for started, movie in enumerate(movies):
        if scheduler and not scheduler.places(1):
            waiting = f"{len(movies) - started} of {len(movies)} movies wait"
            tasks = counted(scheduler.submitted, "task")
            echo(f"{tasks} submitted; SLURM takes no more now, and {waiting}: {AGAIN}")
            break
        try:
            status = max(status, run_one(movie))
        except Interrupted:
            raise
        except FacerecError as error:
            if not several:
                raise
            log.error("%s", error)
            status = max(status, error.exit_status)
    return status


def _is_local(args: argparse.Namespace) -> bool:
    """Return whether to run on this machine, and say so."""
    local = args.local or not queue.available()
    if local:
        echo(
            "running on this machine, as requested by LOCAL=1"
            if args.local
            else "no SLURM on this machine: running without it"
        )
    return bool(local)


def _with_files(args: argparse.Namespace) -> int:
    """Compute features of a list or of tar shards, or show their status."""
    if len([given for given in (args.movie, args.movies, args.list, args.tars) if given]) > 1:
        raise InputError("give only one of MOVIE, MOVIES, LIST and TARS")
    options = _run_options(args)
    inputs = [args.list] if args.list else split_words("TARS", args.tars)
    if args.command == "status":
        source = FeatureWork(None, inputs, bool(args.tars), [], []).source
        if not [*feature_runs(options.out, source)]:
            echo(f"{args.list or args.tars}: nothing submitted yet with OUT={args.out}")
            return 0
        return _show_status(args, lambda: [*feature_runs(options.out, source)])
    work = feature_work(options, None, inputs, bool(args.tars))
    local = _is_local(args)
    return _run_features(options, Scheduler.connect(options.site), local, work)


def _run_features(options: RunOptions, scheduler: Scheduler, local: bool, work: FeatureWork) -> int:
    """Compute features; return the exit status."""
    run = FeatureRun(options.out, work)
    if local:
        return run_features_local(options, run, echo, scheduler)
    if launch_features(options, run, echo, scheduler):
        status = launcher_command("status", run.variables()[0])
        echo(f"  logs in {run.path}; progress: {status}")
    return 0


def _plan(options: RunOptions, args: argparse.Namespace, movies: Sequence[int]) -> int:
    """Measure the films here, or with ON_NODE=1 in a job, and recommend resources."""
    resources = options.site.stages["extract"]
    if args.on_node:
        if not queue.available():
            raise InputError("ON_NODE=1: no SLURM on this machine; leave it out to measure here")
        os.environ.pop(f"{PREFIX}ON_NODE", None)
        words = [word for word in sys.argv[1:] if word != "--on-node"]
        return run_on_node(resources, [sys.executable, "-m", "slurm", *words])
    repeated = _variables_to_repeat(args)
    on_gpu = options.device != "cpu" and resources.has_gpu
    for movie in movies:
        if on_gpu and not visible_gpus():
            command = launcher_command("plan", f"MOVIE={movie}", "ON_NODE=1", *repeated)
            lines = plan_without_gpu(options, movie, command)
        else:
            lines = plan_movie(options, movie, repeated)
        echo("\n".join(lines))
    return 0


def _variables_to_repeat(args: argparse.Namespace) -> list[str]:
    values = vars(args)
    defaults = {name: default for name, default, _ in OPTIONS} | {"OUT": "data"}
    return [
        f"{name}={values[name.lower()]}"
        for name, default in defaults.items()
        if name in REPEATED and values[name.lower()] != default
    ]


def _run_movie(
    runner: Runner,
    options: RunOptions,
    stages: Sequence[str],
    scheduler: Scheduler,
    movie: int,
    repeated: Sequence[str] = (),
) -> int:
    """Run the stages of one movie, and say where its report is, or what is next; return the exit status.

    Args:
        repeated: variables that the next command needs as well.
    """
    report = RunFolder(options.out, movie).movie_folder.report
    before = report.stat().st_mtime_ns if report.exists() else None
    status = runner(options, movie, stages, echo, scheduler)
    if "report" in stages and runner is not run_local:
        echo(f"movie {movie}: report when done: {report}")
    elif "report" in stages and before and report.exists() and report.stat().st_mtime_ns == before:
        echo(f"movie {movie}: report: {report}")  # else the stage has just printed it
    elif runner is run_local and not status and (following := _after(stages[-1])):
        echo(f"movie {movie}: next: {launcher_command(following, f'MOVIE={movie}', *repeated)}")
    return status


def _after(stage: str) -> str:
    """Return the stage that follows in the pipeline; empty for the last one."""
    names = list(PIPELINE.short_names)
    return next(iter(names[names.index(stage) + 1 :]), "")


def _submit(options: RunOptions, movie: int, stages: Sequence[str], echo: Echo, scheduler: Scheduler) -> int:
    if launch(options, movie, stages, echo, scheduler):
        status = launcher_command("status", f"MOVIE={movie}")
        echo(f"  logs in {RunFolder(options.out, movie).path}; progress: {status}")
    return 0


def _run_options(args: argparse.Namespace) -> RunOptions:
    values = vars(args)
    shards = args.shards
    if shards and not (shards.isascii() and shards.isdigit() and int(shards)):
        raise InputError(f"SHARDS={shards}: must be a whole number of at least 1")
    stage_args = {stage: tuple(split_words(f"--{stage}-args", values[f"{stage}_args"])) for stage in LAUNCHED}
    return RunOptions(
        films=Path(args.films),
        out=Path(args.out),
        actor_db=Path(args.actor_db),
        site=_site(args),
        shards=int(shards) if shards else None,
        detector=args.detector,
        embedder=args.embedder,
        models=args.models,
        device=args.device,
        features=tuple(
            part for word in split_words("FEATURES", args.features) for part in word.split(",") if part
        ),
        args=stage_args,
        fresh=args.fresh,
        overwrite=args.overwrite,
    )


def _site(args: argparse.Namespace) -> Site:
    """Read the site profile, with the settings of the command line."""
    stage = FEATURES_COMMAND if args.command == FEATURES_COMMAND else "extract"
    given = {setting.format(stage=stage): vars(args)[name.lower()] for name, setting in SETTINGS.items()}
    settings = [f"{setting}={value}" for setting, value in given.items() if value]
    path = Path(args.site)
    return load_site(path if path.exists() else ROOT / path, [*settings, *split_settings(args.set)])


def _show_status(
    args: argparse.Namespace, runs: Callable[[], Sequence[RunRecords]], several: bool = False
) -> int:
    """Show the status of `runs`, which is called again for each refresh."""
    flags = {"json": args.json, "watch": args.watch, "failed": args.failed}
    show_status(runs, _site(args), several=several, **flags)
    return 0


def echo(text: str) -> None:
    """Write a line to standard output and flush it."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def run() -> int:
    """Run the program and return its exit status."""
    sys.argv[0] = "python -m slurm"  # the name in error messages
    return run_main(main)
