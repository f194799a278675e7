"""The command line of `extract_features.py`: its values, and which kind of input is given."""

from __future__ import annotations

import argparse
from pathlib import Path

from facerec.errors import InputError
from facerec.feature_runs.media import FILMS
from facerec.folder.plan import MAX_SHARDS

MOVIE, LIST, TARS = "movie", "list", "tars"
PACKED = frozenset((".gz", ".tgz", ".bz2", ".xz", ".zst", ".zip", ".7z", ".rar"))  # suffixes
MAX_FRAMES = 1_000_000  # in a step, window or batch
MAX_THREADS = 256


def check_arguments(args: argparse.Namespace) -> str:
    """Return the kind of the input: MOVIE, LIST or TARS.

    Raises:
        InputError: arguments are out of range, contradict each other, or have no effect on this kind.
    """
    for name, least, most in (
        ("n", 1, MAX_SHARDS),
        ("batch_size", 1, MAX_FRAMES),
        ("step", 1, MAX_FRAMES),
        ("window", 1, MAX_FRAMES),
        ("threads", 0, MAX_THREADS),
        ("frame_rate", 0.001, 1000.0),
    ):
        value = getattr(args, name)
        if value is not None and not least <= value <= most:
            raise InputError(f"--{name.replace('_', '-')} {value}: must be between {least} and {most}")
    if not args.inputs and args.path is None:
        raise InputError("give a film, a list or tar files, or a movie folder with --path")
    kind = _kind(args)
    _check_options_of(kind, args)
    return kind


def _check_options_of(kind: str, args: argparse.Namespace) -> None:
    """Raise `InputError` for options that have no effect on this kind of input."""
    for option, is_given, of in (
        ("--root", args.root is not None, LIST),
        ("--video-suffix", args.video_suffix != "", LIST),
        ("--format pkl", args.format == "pkl", TARS),
    ):
        if is_given and kind != of:
            raise InputError(f"{option}: is for {'lists' if of == LIST else 'tar shards'} only")
    if args.video_suffix and not args.video_suffix.startswith("."):
        raise InputError(f"--video-suffix {args.video_suffix}: must begin with a dot, as in .mp4")


def _kind(args: argparse.Namespace) -> str:
    """Return which kind of input is given.

    Raises:
        InputError: several inputs that are not all tar files, or a compressed file.
    """
    if args.path is not None or not args.inputs:
        return MOVIE
    suffixes = {Path(name).suffix.lower() for name in args.inputs}
    if suffixes == {".tar"}:
        return TARS
    if packed := [name for name in args.inputs if Path(name).suffix.lower() in PACKED]:
        raise InputError(f"{packed[0]}: is a compressed file; unpack it, to .tar if it is a shard of clips")
    if len(args.inputs) > 1:
        raise InputError(f"{' '.join(args.inputs)[:200]}: give one film, one list, or tar files only")
    (name,) = args.inputs
    has_id = Path(name).name.partition("-")[0].isdecimal()
    return MOVIE if suffixes <= FILMS and has_id and not Path(name).is_dir() else LIST


def layer_numbers(text: str | None) -> tuple[int, ...] | None:
    """Read the value of --layers.

    Raises:
        InputError: it is not a list of numbers.
    """
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise InputError(f"--layers {text}: give numbers of layers, as in 0,2,4")
    return tuple(sorted({int(part) for part in parts}))
