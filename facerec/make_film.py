"""Make one film of a folder of frames, a digital cinema package or parts, with the same frame numbers.

A folder is recognised by its contents: numbered pictures (DPX, TIFF, EXR, PNG, JPEG, JPEG 2000), a package
with ASSETMAP, or films. Parts of one kind are joined without encoding them again; everything else is encoded
as H.264 at a constant frame rate, also a single film that OpenCV cannot decode. The film is checked before it
gets its name: the number of its frames, samples of their pictures, and that OpenCV finds frames by their
numbers. A run that was stopped continues with the same command.
"""

from __future__ import annotations

if not __package__:  # run as a script, see _script.py
    import _script  # noqa: F401

import argparse
from collections.abc import Sequence

from facerec.errors import InputError
from facerec.folder.command import given_path
from facerec.support.cli import configure_logging, parser, run_main

_VIEWS = ("auto", "none", "log", "linear", "xyz")  # as masters.views.VIEWS, which is slow to import
_CRF = 14


def arguments() -> argparse.ArgumentParser:
    """Return the parser of this command's command line."""
    command_line = parser(__doc__)
    add = command_line.add_argument
    add(
        "source",
        type=given_path,
        nargs="+",
        metavar="SOURCE",
        help="a folder of frames, a digital cinema package, a folder of films, or films in order",
    )
    add(
        "--out",
        type=given_path,
        metavar="FILM",
        help="the film to make, <movie_id>-Title.mp4, .mkv or .mov (default: beside the folder)",
    )
    add("--fps", metavar="RATE", help="frames per second: 24, 23.976, 24000/1001 (default: as the files say)")
    add(
        "--view",
        choices=_VIEWS,
        default="auto",
        help="transform to a display's colours: log (scans of printing density), linear, xyz (cinema); "
        "auto: as the files say, else none",
    )
    add(
        "--gaps",
        choices=("refuse", "hold"),
        default="refuse",
        help="frames that are missing or damaged: refuse them, or repeat the frame before",
    )
    add("--only", default="*", metavar="PATTERN", help="names of the pictures to take, as in 'left_*.dpx'")
    add("--cpl", type=given_path, metavar="FILE", help="the composition of a package that has several")
    add("--encode", action="store_true", help="encode parts that cannot be joined, at a constant frame rate")
    add("--crf", type=int, default=_CRF, metavar="N", help="quality of x264, 0 (lossless) to 51")
    add("--overwrite", action="store_true", help="replace the film if it exists")
    add("--dry-run", action="store_true", help="read the source and print what would be made")
    return command_line


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments().parse_args(argv)
    configure_logging(args.verbose)
    if not 0 <= args.crf <= 51:
        raise InputError(f"--crf {args.crf}: must be from 0 to 51")
    from facerec.masters.making import FilmOptions, make_film, parse_rate
    from facerec.masters.recognition import recognise

    wishes = FilmOptions(
        out=args.out,
        rate=parse_rate(args.fps) if args.fps else None,
        view=args.view,
        hold=args.gaps == "hold",
        only=args.only,
        composition=args.cpl,
        encode=args.encode,
        crf=args.crf,
        overwrite=args.overwrite,
    )
    print(make_film(recognise(args.source), wishes, dry_run=args.dry_run), flush=True)  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(run_main(main))
