"""Measure on a GPU whether float16 gives the results of float32, and record it for `--precision auto`.

Finds and embeds the faces of frames from all parts of FILM in both precisions. float16 passes if 98 % of the
boxes in each precision have a matching box in the other (intersection over union of at least 0.8), and the
two vectors of every face have a cosine of at least 0.99. The result is added to precision.json in the weights
folder. If float16 passes, new films are extracted in float16 from then on, on GPUs with these weights.
"""

from __future__ import annotations

if not __package__:  # run as a script, see _script.py
    import _script  # noqa: F401

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from facerec.errors import InputError
from facerec.settings import ExtractSettings
from facerec.support.cli import configure_logging, parser, run_main

if TYPE_CHECKING:
    from facerec.geometry import Image


def arguments() -> argparse.ArgumentParser:
    """Return the parser of this command's command line."""
    s = ExtractSettings
    command_line = parser(__doc__)
    command_line.add_argument("film", type=Path, help="a film with faces; its name does not matter")
    command_line.add_argument(
        "--frames", type=int, default=200, help="number of frames, spread over the film"
    )
    for model, default in (("detector", s.detector), ("embedder", s.embedder)):
        command_line.add_argument(
            f"--{model}", default=default, metavar="NAME[:FILE]", help="as for extract.py"
        )
    command_line.add_argument("--device", default="cuda", help="cuda or cuda:i; cpu records nothing")
    command_line.add_argument(
        "--precision", choices=("float16", "bfloat16"), default="float16", help="compared with float32"
    )
    command_line.add_argument(
        "--min-face-size", type=int, default=s.min_face_size, metavar="PIXELS", help="as for extract.py"
    )
    return command_line


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments().parse_args(argv)
    configure_logging(args.verbose)
    if args.frames < 1 or args.min_face_size < 1:
        raise InputError("--frames and --min-face-size must be at least 1")
    from facerec.models import check_device, reduces_precision
    from facerec.models.agreement import measure_agreement
    from facerec.models.device import choose_device
    from facerec.models.precision import add_record, record_path

    if not reduces_precision(args.detector, args.embedder):
        raise InputError(f"{args.detector} and {args.embedder} compute in float32 only: nothing to measure")
    check_device(args.device, args.detector, args.embedder)
    device = choose_device(args.device, f"{args.detector} and {args.embedder}", runs_on_cuda=True)
    images = _frames(args.film, args.frames)
    measured = measure_agreement(
        images,
        args.detector,
        args.embedder,
        device=device,
        precision=args.precision,
        min_face_size=args.min_face_size,
    )
    for one in measured:
        print(f"{one.kind}: {one.summary()}")  # noqa: T201
    if device == "cpu":
        print("not recorded: only a GPU can decide")  # noqa: T201
        return 0
    add_record({one.sha256: one.record(args.film.name) for one in measured}, args.precision)
    print(f"recorded in {record_path()}")  # noqa: T201
    return 0


def _frames(path: Path, count: int) -> list[Image]:
    """Read `count` frames, in runs from all parts of a film."""
    from facerec.video.film import open_film, read_frames

    film = open_film(path)
    count = min(count, film.frame_count)
    runs = max(1, min(10, count // 10))
    images: list[Image] = []
    for run in range(runs):
        begin = film.frame_count * run // runs
        length = count * (run + 1) // runs - count * run // runs
        images += [image for number, image in read_frames(film, begin, begin + length) if number >= begin]
    if not images:
        raise InputError(f"{path}: no frame could be read")
    return images


if __name__ == "__main__":
    raise SystemExit(run_main(main))
