#!/usr/bin/env python3
"""Measure how well a face is found and recognised of which the frame's border cuts off a part.

    python bench/borders.py PORTRAITS [--detector NAME[:FILE]] [--embedder NAME[:FILE]]

Each portrait with one whole face is scaled and put on a grey canvas. Then 1/8, 1/4 or 3/8 of the face's box
is cut off at each border. The truth is the same face uncut: its keypoints and its embedding. Prints a
Markdown table with a row for each border and share:

    found     share of the faces that are found
    error     median distance of a keypoint from its place in the uncut face, in eye distances
    cosine    median cosine of the embedding and that of the uncut face
    same      share of the found faces with an embedding within the embedder's same-person distance of it
    known     the same cosine if the keypoints and the box of the uncut face were known: what the embedder
              loses by the missing pixels alone
"""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:  # run as a plain script: import from the repository's root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec.actors.pictures import read_picture
from facerec.errors import InputError
from facerec.geometry import Image, iou
from facerec.models import load_detector, load_embedder
from facerec.models.base import Detector, Embedder
from facerec.support.cli import configure_logging, parser, run_main

WIDTH, HEIGHT, FACE_HEIGHT = 640, 360, 150  # pixels of the canvas, and of a face on it
GREY = 127
BORDERS = ("left", "top", "right", "bottom")
SHARES = (1 / 8, 1 / 4, 3 / 8)
MIN_OVERLAP = 0.3  # IoU with the rest of the face at which it counts as found
PICTURES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class Face:
    """A face on a canvas: box (4,) and keypoints (5, 2) in its pixels."""

    canvas: Image
    box: NDArray[np.float32]
    keypoints: NDArray[np.float32]

    def shifted(self, x: float, y: float) -> Face:
        """Shift the canvas by whole pixels; what leaves it is lost, and grey comes in."""
        matrix = np.array([[1, 0, x], [0, 1, y]], np.float64)
        canvas = cv2.warpAffine(self.canvas, matrix, (WIDTH, HEIGHT), borderValue=(GREY,) * 3)
        offset = np.array([x, y], np.float32)
        return Face(canvas, self.box + np.tile(offset, 2), self.keypoints + offset)


@dataclass(frozen=True)
class Cut:
    """What became of a face with a part cut off; values are None where it was not found.

    Attributes:
        error: mean distance of the keypoints from those of the uncut face, in eye distances.
        cosine, distance: of the embedding and that of the uncut face.
        known: that cosine with the uncut face's box and keypoints.
    """

    border: str
    share: float
    error: float | None
    cosine: float | None
    distance: float | None
    known: float


def uncut_faces(folder: Path, detector: Detector) -> Iterator[Face]:
    """Yield the face of each picture in which the detector finds one, whole and large enough, on a canvas."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in PICTURES:
            continue
        picture = read_picture(path, 1000)
        found = detector.detect([picture])[0]
        if len(found) != 1:
            continue
        box = found.boxes[0]
        height, width = picture.shape[:2]
        if (box[:2] <= 0).any() or box[2] >= width or box[3] >= height:
            continue
        scale = FACE_HEIGHT / float(box[3] - box[1])
        centre = (box[:2] + box[2:]) / 2 * scale
        matrix = np.array([[scale, 0, WIDTH / 2 - centre[0]], [0, scale, HEIGHT / 2 - centre[1]]], np.float64)
        smooth = cv2.GaussianBlur(picture, (0, 0), 0.4 / scale) if scale < 0.7 else picture
        canvas = cv2.warpAffine(smooth, matrix, (WIDTH, HEIGHT), borderValue=(GREY,) * 3)
        found = detector.detect([canvas])[0]
        if len(found) == 1:
            yield Face(canvas, found.boxes[0], found.keypoints[0])


def cut_off(face: Face, border: str, share: float) -> Face:
    """Move the face across a border until `share` of its box's width or height is outside."""
    x1, y1, x2, y2 = face.box.tolist()
    width, height = x2 - x1, y2 - y1
    moves = {
        "left": (-x1 - share * width, 0),
        "top": (0, -y1 - share * height),
        "right": (WIDTH - x2 + share * width, 0),
        "bottom": (0, HEIGHT - y2 + share * height),
    }
    x, y = moves[border]
    return face.shifted(round(x), round(y))


def keypoint_error(
    detector: Detector, face: Face
) -> tuple[float, NDArray[np.float32], NDArray[np.float32]] | None:
    """Find a cut face; return its keypoints' error in eye distances, its box and its keypoints."""
    found = detector.detect([face.canvas])[0]
    rest = np.clip(face.box, 0, [WIDTH, HEIGHT] * 2)
    overlaps = iou(found.boxes, rest)
    if not len(found) or overlaps.max() < MIN_OVERLAP:
        return None
    best = int(overlaps.argmax())
    eyes = float(np.linalg.norm(face.keypoints[1] - face.keypoints[0]))
    away = np.linalg.norm(found.keypoints[best] - face.keypoints, axis=1)
    return float(away.mean()) / eyes, found.boxes[best], found.keypoints[best]


def measure(faces: Sequence[Face], detector: Detector, embedder: Embedder) -> list[Cut]:
    """Cut every face at every border by every share."""
    cuts = []
    for face in faces:
        (whole,) = embedder.embed([embedder.crop(face.canvas, face.box, face.keypoints)])
        for border in BORDERS:
            for share in SHARES:
                cut = cut_off(face, border, share)
                rest = np.clip(cut.box, 0, np.array([WIDTH, HEIGHT] * 2, np.float32))
                found = keypoint_error(detector, cut)
                crops = [embedder.crop(cut.canvas, rest, cut.keypoints)]
                if found:
                    crops.append(embedder.crop(cut.canvas, np.rint(found[1]), found[2]))
                vectors = embedder.embed(crops)
                cosines = (vectors @ whole).tolist()
                cuts.append(
                    Cut(
                        border,
                        share,
                        found[0] if found else None,
                        cosines[1] if found else None,
                        float(np.linalg.norm(vectors[1] - whole)) if found else None,
                        cosines[0],
                    )
                )
    return cuts


def table(cuts: Sequence[Cut], same_person: float) -> list[str]:
    """Lay the results out as a Markdown table."""
    rows = [
        "| border | cut off | found | error | cosine | same | known |",
        "|---|---|---|---|---|---|---|",
    ]
    for border in BORDERS:
        for share in SHARES:
            these = [cut for cut in cuts if (cut.border, cut.share) == (border, share)]
            found = [cut for cut in these if cut.error is not None]
            error = _median([cut.error for cut in found if cut.error is not None])
            cosine = _median([cut.cosine for cut in found if cut.cosine is not None])
            near = [cut.distance < same_person for cut in found if cut.distance is not None]
            same = f"{np.mean(near):.2f}" if near else ""
            known = _median([cut.known for cut in these])
            rows.append(
                f"| {border} | {share} | {len(found)} of {len(these)} "
                f"| {error} | {cosine} | {same} | {known} |"
            )
    return rows


def _median(values: Sequence[float]) -> str:
    return f"{np.median(values):.2f}" if values else ""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parser(__doc__)
    arguments.add_argument("portraits", type=Path, metavar="PORTRAITS", help="folder of pictures")
    arguments.add_argument("--detector", default="mtcnn", metavar="NAME[:FILE]")
    arguments.add_argument("--embedder", default="dlib", metavar="NAME[:FILE]")
    args = arguments.parse_args(argv)
    configure_logging(args.verbose)
    detector = load_detector(args.detector, device="cpu", min_face_size=40)
    embedder = load_embedder(args.embedder, device="cpu")
    faces = list(uncut_faces(args.portraits, detector))
    if not faces:
        raise InputError(f"{args.portraits}: no picture with one whole face")
    print(f"{detector.card.kind} + {embedder.card.kind}, faces: {len(faces)}\n")  # noqa: T201
    print("\n".join(table(measure(faces, detector, embedder), embedder.same_person)))  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(run_main(main))
