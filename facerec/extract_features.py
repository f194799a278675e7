"""Extract features of a movie, of a list of files, or of tar shards of clips.

A movie (a film named <movie_id>-Title.ext): features of each shot of scene_changes.json and of the whole
film, in <out>/<movie_id>-data/shot_features/<feature>.
A list (videos.csv): a table with the header video_path,feature_path; or a path a line, of a video, a folder
of frames (img_*.jpg), a picture or a sound file: its features are written to <out>/<path>_<window>.npy.
Tar shards ('clips/shard-{000000..000004}.tar'): features of the clips that the .json beside each tar lists,
in <out>/shard-000000.npz and .jsonl.

Several features are computed in one pass. Several processes, also on several machines, can work on one
folder. What is finished is not computed again; what failed is recorded in index.jsonl with the reason, and
tried again by the next run.
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
    from facerec.feature_runs.loading import Feature
    from facerec.feature_runs.rows import OutputFormat
    from facerec.folder.layout import MovieFolder


def arguments() -> argparse.ArgumentParser:
    """Return the parser of this command's command line."""
    command_line = parser(__doc__)
    command_line.add_argument(
        "inputs",
        nargs="*",
        metavar="FILM | LIST | TAR",
        help="a film, a list, or tar files (also as a quoted brace expression)",
    )
    command_line.add_argument(
        "--features",
        required=True,
        metavar="NAME[:FILE],…",
        help="features, separated by commas; FILE: the weights file (docs/features.md lists the names)",
    )
    command_line.add_argument(
        "--out",
        type=Path,
        default=None,
        metavar="DIR",
        help="directory that has <movie_id>-data, or gets the features of a list or of tar shards (default: "
        "data for a movie, else features)",
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
        "--threads",
        type=int,
        default=0,
        metavar="N",
        help="threads of the decoder; 0: OMP_NUM_THREADS, SLURM's CPUs per task, or all cores",
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
        help="length of a window, in frames (default: chosen for the feature)",
    )
    command_line.add_argument(
        "--reduce", action="store_true", help="reduce features with a time axis to a fixed size"
    )
    command_line.add_argument(
        "--crop",
        action="store_true",
        help="resnet152: use the central 224x224 of a frame of 256 lines, as torchvision does, not all of it",
    )
    command_line.add_argument(
        "--threshold",
        type=float,
        default=None,
        metavar="SCORE",
        help="minimum score of persons, 0 to 1 (default: chosen for the feature)",
    )
    command_line.add_argument(
        "--root",
        type=Path,
        default=None,
        metavar="DIR",
        help="directory that the paths in a list count from (default: the list's own, else the current one)",
    )
    command_line.add_argument(
        "--video-suffix",
        default="",
        metavar=".EXT",
        help="appended to the paths in a list that lack it, as in .mp4 (default: none)",
    )
    command_line.add_argument(
        "--frame-rate",
        type=float,
        default=25.0,
        metavar="FPS",
        help="of folders of frames, in frames per second",
    )
    command_line.add_argument(
        "--format",
        choices=("npz", "pkl"),
        default="npz",
        help="outputs of tar shards; pkl: pickled lists of dictionaries, as ACAV100M's tools write them",
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
    from facerec.feature_runs.command_line import LIST, MOVIE, TARS, check_arguments
    from facerec.feature_runs.file_run import FileOptions, run_list, run_tars
    from facerec.feature_runs.listing import Places
    from facerec.feature_runs.loading import parse_specs
    from facerec.feature_runs.movie_inputs import read_inputs
    from facerec.feature_runs.movie_run import run_movie
    from facerec.feature_runs.rows import OutputFormat
    from facerec.folder.plan import parse_ranges

    kind = check_arguments(args)
    specs = parse_specs(args.features)
    shards = parse_ranges(args.shard, args.n)
    movie = _movie(args) if kind == MOVIE else None
    movie_inputs = read_inputs(*movie) if movie else None  # before the models are loaded
    format = OutputFormat(float16=args.float16, l2=args.l2)
    features = _load(args, specs, format)
    out = args.out or Path("features")
    files = FileOptions(args.frame_rate, args.threads, shards, args.n, args.fresh)
    if movie is not None and movie_inputs is not None:
        folder = movie[0]
        counts = run_movie(
            folder,
            movie_inputs,
            features,
            format,
            shards=shards,
            n=args.n,
            threads=args.threads,
            fresh=args.fresh,
        )
        label, things, index = (
            f"movie {folder.movie_id}",
            "outputs (shots and film)",
            folder.shot_features / "index.jsonl",
        )
    elif kind == LIST:
        (path,) = args.inputs
        counts = run_list(Path(path), Places(out, args.root, args.video_suffix), features, format, files)
        label, things, index = path, "items", out / "index.jsonl"
    else:
        counts = run_tars(args.inputs, out, features, format, files, args.format == "pkl")
        label, things, index = " ".join(args.inputs), "clips", out / "index.jsonl"
    summary = f"{label}: {', '.join(specs)}: {counts['finished']} {things} finished"
    if counts["unfinished"]:
        summary += f", {counts['unfinished']} {'shards ' * (kind == TARS)}left to other shards or processes"
    if counts["failed"]:
        summary += f", {counts['failed']} failed (reasons in {index})"
    print(summary, flush=True)  # noqa: T201
    return 1 if counts["failed"] else 0


def _load(args: argparse.Namespace, specs: dict[str, str], format: OutputFormat) -> list[Feature]:
    """Load the extractors of `specs`, with the options of the command line."""
    from facerec.feature_runs.command_line import layer_numbers
    from facerec.feature_runs.loading import load_features
    from facerec.features.base import Options

    options = Options(
        layers=layer_numbers(args.layers),
        step=args.step,
        window=args.window,
        reduce=args.reduce or None,
        crop=args.crop or None,
        threshold=args.threshold,
    )
    return load_features(
        specs,
        options,
        format,
        device=args.device,
        precision=args.precision,
        batch_size=args.batch_size,
    )


def _movie(args: argparse.Namespace) -> tuple[MovieFolder, Path]:
    """Return the movie folder and the film."""
    from facerec.folder.films import check_film_exists
    from facerec.folder.layout import MovieFolder
    from facerec.folder.names import existing_path, film_movie_id
    from facerec.folder.plan import planned_film_path

    film = existing_path(Path(args.inputs[0])) if args.inputs else None
    if args.path is None:
        assert film is not None
        check_film_exists(film)
        try:
            return MovieFolder.existing(MovieFolder.of_film(args.out or Path("data"), film).path), film
        except InputError as error:
            raise InputError(f"{error}; or write {film} into a list if it is no movie of its own") from None
    folder = MovieFolder.existing(args.path)
    if film is None:
        if not folder.plan.is_file():
            raise InputError(f"{folder.path}: has no plan.json, so the path of its film is unknown; give it")
        return folder, planned_film_path(folder)
    if len(args.inputs) > 1 or film_movie_id(film) != folder.movie_id:
        raise InputError(
            f"{' '.join(args.inputs)}: is not a film of movie {folder.movie_id}, the movie of --path"
        )
    return folder, film


if __name__ == "__main__":
    raise SystemExit(run_main(main))
