"""Measure which face sizes a detector finds, from 16 pixels to the whole frame, at 360p to 4320p.

    python bench/face_sizes.py PICTURE [PICTURE …] --detector mtcnn yunet:FILE [--frames 360 720]

Each picture must show one face. It is pasted on a gray 16:9 frame so that the face has the given height and
is in the middle; what lies outside the frame is cut off. The face's height and keypoints are the detector's
own where the face is 128 pixels high. Faces of more pixels than the picture has are enlarged, and blurred.

Prints a table for each detector, for YuNet also with one pass only (as before its downscaled pass). A cell
has three figures: pictures in which the face was found (IoU >= 0.5), pictures in which it was the only
detection, and the mean distance of the keypoints of the faces found, in distances between the eyes. The least
face size is 20 pixels, or three quarters of the face's height where that is less.
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec.actors.pictures import read_picture
from facerec.geometry import Image, iou
from facerec.models import load_detector, yunet
from facerec.models.base import Detector
from facerec.settings import ExtractSettings

HEIGHTS = (16, 20, 24, 32, 64, 128, 256, 400, 700, 800, 1000)
FRAMES = (360, 720, 1080, 2160, 4320)
MEDIUM = 128  # pixels; height of the faces that measure the others
FIRST_SIDE = 400  # pixels of the longer side of a picture in which its face is first looked for
GRAY = 110  # of the frame around a picture


@dataclass(frozen=True)
class Portrait:
    """A picture of one face with the face's box (4,) and keypoints (5, 2), in pixels of the picture."""

    picture: Image
    box: NDArray[np.float32]
    keypoints: NDArray[np.float32]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "pictures", type=Path, nargs="+", metavar="PICTURE", help="portraits of one face each"
    )
    parser.add_argument("--detector", nargs="+", default=["mtcnn"], metavar="NAME[:FILE]")
    parser.add_argument("--heights", type=int, nargs="+", default=HEIGHTS, help="of faces, in pixels")
    parser.add_argument("--frames", type=int, nargs="+", default=FRAMES, help="heights of frames, in pixels")
    args = parser.parse_args()
    pictures = [read_picture(path, max_side=sys.maxsize) for path in args.pictures]
    for spec in args.detector:
        name = spec.partition(":")[0]
        if name == "yunet":
            with one_pass():
                table(f"{name}, one pass", spec, pictures, args.heights, args.frames)
        table(name, spec, pictures, args.heights, args.frames)
    return 0


@contextmanager
def one_pass() -> Iterator[None]:
    """Let YuNet make one pass over frames of any size."""
    before = yunet.SINGLE_PASS
    yunet.SINGLE_PASS = math.inf  # type: ignore[assignment]
    try:
        yield
    finally:
        yunet.SINGLE_PASS = before


def table(
    title: str, spec: str, pictures: Sequence[Image], heights: Sequence[int], frames: Sequence[int]
) -> None:
    """Print the table of one detector, row by row."""
    portraits = [portrait(load_detector(spec), picture) for picture in pictures]
    columns = "".join(f" {height}p |" for height in frames)
    print_line(f"{title}, {len(portraits)} pictures:\n\n| face |{columns}\n|---|{'---|' * len(frames)}")
    for face in (*heights, 0):
        cells = [measure(spec, portraits, face or frame, frame) if face <= frame else "" for frame in frames]
        print_line(f"| {face or 'whole frame'} | {' | '.join(cells)} |")
    print_line("")


def print_line(line: str) -> None:
    """Print at once, because a table takes minutes."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def portrait(detector: Detector, picture: Image) -> Portrait:
    """Find the face of `picture` where it is `MEDIUM` pixels high."""
    scale = FIRST_SIDE / max(picture.shape[:2])
    for _ in range(2):
        (found,) = detector.detect([resized(picture, scale)])
        if len(found) != 1:
            logging.warning("%d faces in a picture at %.2f of its size: the best is taken", len(found), scale)
        box, keypoints = found.boxes[0] / scale, found.keypoints[0] / scale
        scale = MEDIUM / float(box[3] - box[1])
    return Portrait(picture, box, keypoints)


def resized(picture: Image, scale: float) -> Image:
    """Resize a picture, by averaging where it shrinks."""
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=how), np.uint8)


def paste(shown: Portrait, face: int, frame: int) -> tuple[Image, NDArray[np.float32], NDArray[np.float32]]:
    """Paste a portrait on a gray frame with its face in the middle.

    Args:
        face, frame: heights in pixels.

    Returns:
        The frame (frame, width, 3), and the face's box (4,) and keypoints (5, 2) in it.
    """
    scale = face / float(shown.box[3] - shown.box[1])
    small = resized(shown.picture, min(1.0, scale))
    width = round(frame * 16 / 9)
    shift = (np.array([width, frame]) - scale * (shown.box[:2] + shown.box[2:])).astype(np.float32) / 2
    ratio = scale * shown.picture.shape[1] / small.shape[1], scale * shown.picture.shape[0] / small.shape[0]
    matrix = np.array([[ratio[0], 0, shift[0]], [0, ratio[1], shift[1]]])
    pixels = cv2.warpAffine(small, matrix, (width, frame), flags=cv2.INTER_LINEAR, borderValue=(GRAY,) * 3)
    return (
        np.asarray(pixels, np.uint8),
        shown.box * scale + np.tile(shift, 2),
        shown.keypoints * scale + shift,
    )


def measure(spec: str, portraits: Sequence[Portrait], face: int, frame: int) -> str:
    """Return a cell of the table."""
    least = min(ExtractSettings.min_face_size, max(1, 3 * face // 4))
    detector = load_detector(spec, min_face_size=least)
    found = once = 0
    errors = []
    for shown in portraits:
        pixels, box, keypoints = paste(shown, face, frame)
        (detections,) = detector.detect([pixels])
        overlaps = iou(detections.boxes, np.clip(box, 0, pixels.shape[1::-1] * 2))
        if overlaps.max(initial=0) >= 0.5:
            found += 1
            once += len(detections) == 1
            eyes = np.linalg.norm(keypoints[0] - keypoints[1])
            apart = np.linalg.norm(detections.keypoints[overlaps.argmax()] - keypoints, axis=1)
            errors.append(float(apart.mean() / eyes))
    return f"{found}, {once}, {np.mean(errors):.2f}" if errors else "0"


if __name__ == "__main__":
    raise SystemExit(main())
