"""The arguments of `extract.py`: checks, the settings that they give, and the options that repeat them."""

from __future__ import annotations

import argparse
from pathlib import Path

from facerec.errors import InputError
from facerec.folder.plan import MAX_SHARDS
from facerec.settings import ExtractSettings, smallest_box


def check_arguments(args: argparse.Namespace) -> None:
    """Raise `InputError` for arguments that are out of range or contradict each other."""
    for name in ("n", "save_every", "detect_every", "batch_size"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise InputError(f"--{name.replace('_', '-')} {value}: must be at least 1")
    if args.save_every % args.detect_every:
        raise InputError(
            f"--detect-every {args.detect_every}: must divide --save-every {args.save_every}, "
            "because faces can only be saved in frames in which they are detected"
        )
    if args.face_threshold is not None and not 0 < args.face_threshold < 1:
        raise InputError(f"--face-threshold {args.face_threshold}: must be between 0 and 1")
    if args.n > MAX_SHARDS:
        raise InputError(f"--n {args.n}: at most {MAX_SHARDS} shards are possible")
    try:
        str(args.film.absolute()).encode()
    except UnicodeEncodeError:
        raise InputError(
            f"{str(args.film)!r}: the path is not valid UTF-8; rename the film or its folder"
        ) from None


def settings_of(args: argparse.Namespace) -> ExtractSettings:
    """Return the settings that the arguments give; precision and minimum face size must be decided."""
    return ExtractSettings(
        detector=args.detector,
        embedder=args.embedder,
        save_every=args.save_every,
        min_face_size=args.min_face_size,
        min_box_size=smallest_box(args.min_face_size),
        face_threshold=args.face_threshold,
        images=not args.no_images,
        precision=args.precision,
        detect_every=args.detect_every,
        tiles=args.tiles,
    )


def options_of(args: argparse.Namespace) -> list[str]:
    """Return the options that give the same settings, so without device and batch size."""
    words = ["--detector", _absolute_spec(args.detector), "--embedder", _absolute_spec(args.embedder)]
    words += ["--save-every", str(args.save_every), "--min-face-size", str(args.min_face_size)]
    if args.face_threshold is not None:
        words += ["--face-threshold", str(args.face_threshold)]
    words += ["--detect-every", str(args.detect_every), "--precision", args.precision]
    words += ["--tiles"] if args.tiles else []
    return [*words, *(["--no-images"] if args.no_images else [])]


def _absolute_spec(spec: str) -> str:
    """Return a model spec with the path of its weights, if it has one, made absolute."""
    name, colon, file = spec.partition(":")
    return f"{name}:{Path(file).absolute()}" if colon else spec
