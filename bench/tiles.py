"""Compare detectors, with and without tiles, on large frames: faces found by size, and time.

    python bench/tiles.py CLIP --detector yunet:FILE scrfd:FILE [--tiles scrfd:FILE] [--every 15]

Frames: every K-th of a clip of 1080 lines as it is; enlarged to twice its size (2160 lines, the same faces);
and 2x2 mosaics of them (2160 lines, four times the faces). Prints a Markdown table: the faces found by the
shorter side of their box in pixels, which are not judged by eye, and the CPU time a frame.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import cv2
import numpy as np

from bench.measure import positive
from facerec.errors import InputError
from facerec.geometry import Image
from facerec.models import load_detector
from facerec.models.base import Detector
from facerec.models.device import limit_threads
from facerec.support.cli import run_main
from facerec.video.film import open_film, read_frames

SIDES = (20, 32, 64, 1_000_000)  # pixels


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clip", type=Path)
    parser.add_argument("--detector", nargs="+", default=[], metavar="NAME[:FILE]")
    parser.add_argument("--tiles", nargs="+", default=[], metavar="NAME[:FILE]", help="detectors with tiles")
    parser.add_argument("--every", type=positive, default=15, metavar="FRAMES")
    args = parser.parse_args(argv)
    if not args.detector and not args.tiles:
        raise InputError("no detector: give --detector NAME[:FILE]")
    limit_threads()
    film = open_film(args.clip)
    frames = [frame for number, frame in read_frames(film, 0, film.frame_count) if number % args.every == 0]
    if len(frames) < 4:
        raise InputError(f"{args.clip}: {len(frames)} frames are too few for a mosaic of 4; lower --every")
    sets = {
        "as it is": frames,
        "enlarged": [cv2.resize(one, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC) for one in frames[::2]],
        "mosaic": mosaics(frames),
    }
    head = [f"{low}–{high}" if high < SIDES[-1] else f"{low} up" for low, high in pairwise(SIDES)]
    lines = [f"| frames | detector | {' | '.join(head)} | CPU ms a frame |", "|" + "---|" * (len(head) + 3)]
    for name, images in sets.items():
        for spec, tiles in [(spec, False) for spec in args.detector] + [(spec, True) for spec in args.tiles]:
            counts, seconds = measure(load_detector(spec, device="cpu", tiles=tiles), images)
            file = Path(spec.partition(":")[2]).stem or spec
            label = f"{len(images)} {name}, {images[0].shape[1]}x{images[0].shape[0]}"
            cells = " | ".join(map(str, counts))
            lines.append(f"| {label} | {file}{', tiles' if tiles else ''} | {cells} | {1000 * seconds:.0f} |")
    print("\n".join(lines))  # noqa: T201
    return 0


def mosaics(frames: Sequence[Image]) -> list[Image]:
    """Put four frames at a time together, two of them mirrored."""
    made = []
    for i in range(0, len(frames) - 3, 4):
        one, two, three, four = frames[i : i + 4]
        made.append(np.vstack([np.hstack([one, two[:, ::-1]]), np.hstack([three[:, ::-1], four])]))
    return made


def measure(detector: Detector, images: Sequence[Image]) -> tuple[list[int], float]:
    """Return the faces found in each class of `SIDES`, and the CPU seconds a frame."""
    detector.detect(images[:1])
    begin = time.process_time()
    found = [detector.detect([image])[0].boxes for image in images]
    seconds = (time.process_time() - begin) / len(images)
    sides = np.concatenate([(boxes[:, 2:] - boxes[:, :2]).min(axis=1) for boxes in found])
    return np.histogram(sides, SIDES)[0].tolist(), seconds


if __name__ == "__main__":
    raise SystemExit(run_main(main))
