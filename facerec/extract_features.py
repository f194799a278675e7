"""Extract features of a movie: of each shot of scene_changes.json and of the whole film.

Several features are computed in one pass over the film. They are written to
<out>/<movie_id>-data/shot_features/<feature>. What is finished is not computed again; failed shots are
recorded in index.jsonl with the reason, and tried again by the next run.
"""

from __future__ import annotations

if not __package__:  # run as a script, see _script.py
    import _script  # noqa: F401

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from facerec.errors import InputError
from facerec.support.cli import configure_logging, parser, run_main

if TYPE_CHECKING:
    from facerec.folder.layout import MovieFolder


def arguments() -> argparse.ArgumentParser:
    """Return the parser of this command's command line."""
    command_line = parser(__doc__)
    command_line.add_argument("film", type=Path, nargs="?", help="film, named <movie_id>-Title.ext")
    command_line.add_argument(
        "--features",
        required=True,
        metavar="NAME[:FILE],…",
        help="features, separated by commas; FILE: the weights file (docs/features.md lists the names)",
    )
    command_line.add_argument(
        "--out", type=Path, default=Path("data"), metavar="DIR", help="directory that has <movie_id>-data"
    )
    command_line.add_argument(
        "--path",
        type=Path,
        default=None,
        metavar="DIR",
        help="movie folder, instead of --out; the film is then by default the one that it was made from",
    )
    command_line.add_argument(
        "--shard", default="0", help="shards to compute: numbers and ranges, as in 0-31,40"
    )
    command_line.add_argument(
        "--n", type=int, default=1, metavar="N", help="number of shards that the work is divided into"
    )
    command_line.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:i")
    command_line.add_argument(
        "--precision",
        choices=("float32", "float16", "bfloat16"),
        default="float32",
        help="number format in which the networks compute; float16 is for GPUs",
    )
    command_line.add_argument(
        "--batch-size",
        type=int,
        default=None,
        metavar="WINDOWS",
        help="windows or frames per call of a network (default: chosen for the network and device)",
    )
    command_line.add_argument(
        "--threads", type=int, default=0, metavar="N", help="threads of the decoder; 0: all cores"
    )
    command_line.add_argument("--float16", action="store_true", help="write vectors in 16 bits, not 32")
    command_line.add_argument("--l2", action="store_true", help="scale each vector to length 1")
    command_line.add_argument(
        "--layers",
        default=None,
        metavar="NUMBERS",
        help="layers to return, as in 0,2,4, for features that have them (default: the last)",
    )
    command_line.add_argument(
        "--step",
        type=int,
        default=None,
        metavar="FRAMES",
        help="frames from one window or detection to the next (default: chosen for the feature)",
    )
    command_line.add_argument(
        "--window",
        type=float,
        default=None,
        metavar="LENGTH",
        help="length of a window, in frames, or in seconds of sound (default: chosen for the feature)",
    )
    command_line.add_argument(
        "--reduce", action="store_true", help="reduce features with a time axis to a fixed size"
    )
    command_line.add_argument(
        "--fresh",
        action="store_true",
        help="if there are features that were made with other options, discard them and start again",
    )
    return command_line


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments().parse_args(argv)
    configure_logging(args.verbose)
    _check_arguments(args)

    from facerec.feature_runs.loading import load_features, parse_specs
    from facerec.feature_runs.movie_run import run_movie
    from facerec.feature_runs.rows import OutputFormat
    from facerec.features.base import Options
    from facerec.folder.plan import parse_ranges

    specs = parse_specs(args.features)
    shards = parse_ranges(args.shard, args.n)
    folder, film = _movie(args)
    options = Options(
        layers=_layers(args.layers), step=args.step, window=args.window, reduce=args.reduce or None
    )
    format = OutputFormat(float16=args.float16, l2=args.l2)
    features = load_features(
        specs,
        options,
        format,
        device=args.device,
        precision=args.precision,
        batch_size=args.batch_size,
    )
    counts = run_movie(
        folder, film, features, format, shards=shards, n=args.n, threads=args.threads, fresh=args.fresh
    )
    summary = f"movie {folder.movie_id}: {', '.join(specs)}: {counts['finished']} shots and films finished"
    if counts["unfinished"]:
        summary += f", {counts['unfinished']} left to other shards or processes"
    if counts["failed"]:
        summary += f", {counts['failed']} failed (reasons in {folder.shot_features / 'index.jsonl'})"
    print(summary, flush=True)  # noqa: T201
    return 1 if counts["failed"] else 0


def _check_arguments(args: argparse.Namespace) -> None:
    """Raise `InputError` for arguments that are out of range or contradict each other."""
    from facerec.folder.plan import MAX_SHARDS

    for name, least in (("n", 1), ("batch_size", 1), ("step", 1), ("threads", 0)):
        value = getattr(args, name)
        if value is not None and value < least:
            raise InputError(f"--{name.replace('_', '-')} {value}: must be at least {least}")
    if args.window is not None and not args.window > 0:
        raise InputError(f"--window {args.window}: must be above 0")
    if args.n > MAX_SHARDS:
        raise InputError(f"--n {args.n}: at most {MAX_SHARDS} shards are possible")
    if args.film is None and args.path is None:
        raise InputError("give a film, or a movie folder with --path")


def _layers(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise InputError(f"--layers {text}: give numbers of layers, as in 0,2,4")
    return tuple(sorted({int(part) for part in parts}))


def _movie(args: argparse.Namespace) -> tuple[MovieFolder, Path]:
    """Return the movie folder and the film."""
    from facerec.folder.layout import MovieFolder
    from facerec.folder.names import film_movie_id
    from facerec.folder.plan import planned_film_path

    if args.path is None:
        if not args.film.is_file():
            raise InputError(f"{args.film}: no such film")
        return MovieFolder.existing(MovieFolder.of_film(args.out, args.film).path), args.film
    folder = MovieFolder.existing(args.path)
    if args.film is None:
        if not folder.plan.is_file():
            raise InputError(f"{folder.path}: has no plan.json, so the path of its film is unknown; give it")
        return folder, planned_film_path(folder)
    if film_movie_id(args.film) != folder.movie_id:
        raise InputError(f"{args.film}: is not a film of movie {folder.movie_id}, whose folder --path names")
    return folder, args.film


if __name__ == "__main__":
    raise SystemExit(run_main(main))
