#!/usr/bin/env python3
"""Measure how well embedders tell pairs of single faces apart, by size and pose.

    python bench/embedders.py FILM [FILM …] --truth DIR --actor-db DIR --detector SPEC --embedder SPEC […]

The faces are those that the detector finds in the portraits of the actor database and on every tenth frame of
the films, where they overlap a box of DIR/<movie_id>.tracks.csv that has a known person. Pairs of one person
are of two tracks or pictures: two frames of one track are nearly the same picture. (`bench/pairs.py` measures
whole trajectories instead.)

Prints a Markdown table for each embedder. Rows: all pairs; pairs by the longer side of the smaller face;
pairs of two frontal faces, and pairs with a turned one (frontality, from the keypoints, below 0.7: the nose
is at least two thirds of the way to an eye). Columns: pairs of one person and of two; AUC, the chance that a
pair of one person is the nearer; at `same_person` the shares of errors and the balanced accuracy;
and the threshold with the best balanced accuracy on these pairs. That of few pairs is not a calibration.
"""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:  # run as a plain script: import from the repository's root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bench.detection_scores import LARGEST, SIZES, match
from bench.detectors import sampled
from bench.judged_faces import Boxes
from bench.pairs import Pairs
from bench.real_faces import NO_PEOPLE, Floats
from facerec.actors.database import ActorDatabase
from facerec.actors.pictures import read_picture
from facerec.annotations.identities import is_person, plain_name
from facerec.annotations.matching import MATCH_IOU
from facerec.errors import InputError
from facerec.geometry import Image
from facerec.models import load_detector, load_embedder
from facerec.models.base import Detector, Embedder
from facerec.people.quality import frontality
from facerec.support.cli import configure_logging, parser, run_main
from facerec.support.csv_tables import read_table
from facerec.video.film import open_film

FRONTAL = 0.7  # least frontality
HEAD = (
    "faces", "pairs: one person", "two people", "AUC", "`same_person`: false rejects", "false accepts",
    "balanced accuracy", "best threshold", "÷ `same_person`", "balanced accuracy",
)  # fmt: skip


@dataclass(frozen=True)
class Face:
    """A face of a known person.

    Attributes:
        person: plain name.
        source: its track, or its picture.
        size: longer side of the box in pixels.
        frontal: whether it is.
        vectors: embedding of each embedder.
    """

    person: str
    source: str
    size: float
    frontal: bool
    vectors: tuple[Floats, ...]


@dataclass(frozen=True)
class Truth:
    """The boxes of known people in one film: for each frame, boxes (n, 4) and person and track of each."""

    boxes: dict[int, Boxes]
    people: dict[int, list[tuple[str, str]]]


def main(argv: Sequence[str] | None = None) -> int:
    made = parser(__doc__)
    made.add_argument("film", type=Path, nargs="+", help="named <movie_id>-Title.ext")
    made.add_argument("--truth", type=Path, required=True, metavar="DIR", help="folder of tracks.csv files")
    made.add_argument("--actor-db", type=Path, required=True, metavar="DIR", help="has the portraits")
    made.add_argument("--detector", required=True, metavar="SPEC", help="as in extract.py")
    made.add_argument("--embedder", nargs="+", required=True, metavar="SPEC", help="as in extract.py")
    args = made.parse_args(argv)
    configure_logging(args.verbose)
    if not args.truth.is_dir():
        raise InputError(f"{args.truth}: no such folder")
    detector = load_detector(args.detector, device="cpu")
    embedders = [load_embedder(spec, device="cpu") for spec in args.embedder]
    faces = list(portrait_faces(ActorDatabase(args.actor_db), detector, embedders))
    for film in args.film:
        faces += film_faces(film, args.truth, detector, embedders)
    if len({face.source for face in faces}) < 2:
        raise InputError("these films and portraits show no two faces of known people: nothing to compare")
    logging.info("%d faces of %d people", len(faces), len({face.person for face in faces}))
    for i, (spec, embedder) in enumerate(zip(args.embedder, embedders, strict=True)):
        lines = table(faces, [face.vectors[i] for face in faces], embedder.same_person)
        print("\n".join([f"{spec}, `same_person` {embedder.same_person:.2f}:", "", *lines, ""]))  # noqa: T201
    return 0


def table(faces: Sequence[Face], vectors: Sequence[Floats], same_person: float) -> list[str]:
    """Format the errors of one embedder as a Markdown table.

    Args:
        vectors: the embedding of each face.
    """
    lines = ["| " + " | ".join(HEAD) + " |", "|---" * len(HEAD) + "|"]
    distances, same, size, frontal = all_pairs(faces, vectors)
    rows = [("all", np.ones(len(same), bool))]
    rows += [
        (f"{low} to {high} px" if high < LARGEST else f"from {low} px", (size >= low) & (size < high))
        for low, high in SIZES
    ]
    rows += [("two frontal", frontal), ("one turned, or both", ~frontal)]
    for title, chosen in rows:
        pairs = Pairs(np.sort(distances[chosen & same]), np.sort(distances[chosen & ~same]))
        lines.append(
            f"| {title} | {len(pairs.same)} | {len(pairs.different)} |{_figures(pairs, same_person)}"
        )
    return lines


def _figures(pairs: Pairs, same_person: float) -> str:
    if not len(pairs.same) or not len(pairs.different):
        return " |" * (len(HEAD) - 3)
    best = pairs.best()
    rejects = pairs.false_rejects(same_person) / len(pairs.same)
    accepts = pairs.false_accepts(same_person) / len(pairs.different)
    own = f"{rejects:.3f} | {accepts:.4f} | {pairs.accuracy(same_person):.3f}"
    return (
        f" {pairs.auc():.4f} | {own} | {best:.3f} | {best / same_person:.2f} | {pairs.accuracy(best):.3f} |"
    )


def all_pairs(
    faces: Sequence[Face], vectors: Sequence[Floats]
) -> tuple[Floats, np.ndarray, Floats, np.ndarray]:
    """Return distance, whether of one person, size of the smaller face, and whether both are frontal.

    Pairs of one track or one picture are left out.
    """
    one, other = np.triu_indices(len(faces), 1)
    source, person = np.array([face.source for face in faces]), np.array([face.person for face in faces])
    kept = source[one] != source[other]
    one, other = one[kept], other[kept]
    rows, size = np.array(vectors), np.array([face.size for face in faces])
    frontal = np.array([face.frontal for face in faces], bool)
    distance = np.linalg.norm(rows[one] - rows[other], axis=1)
    smaller = np.minimum(size[one], size[other])
    return distance, person[one] == person[other], smaller, frontal[one] & frontal[other]


def portrait_faces(
    database: ActorDatabase, detector: Detector, embedders: Sequence[Embedder]
) -> Iterator[Face]:
    """Yield the face of each portrait of the database that shows exactly one."""
    names = database.cast(None)
    seen = Counter(row["filename"] for _, row in database.read_images())
    for _, row in database.read_images():
        picture = read_picture(database.picture(row["filename"]))
        (found,) = detector.detect([picture])
        if len(found) == 1 and seen[row["filename"]] == 1:
            person = plain_name(names[row["actor_id"]])
            yield _face(picture, found.boxes[0], found.keypoints[0], person, row["filename"], embedders)
        else:
            logging.info("%s: left out, %d faces", row["filename"], len(found))


def film_faces(film: Path, truth: Path, detector: Detector, embedders: Sequence[Embedder]) -> list[Face]:
    """Return the faces of known people on every tenth frame of a film; none if it has no table of them."""
    made = open_film(film)
    path = truth / f"{film.name.partition('-')[0]}.tracks.csv"
    if not path.exists():
        logging.info("%s: left out, no table of known people", film.name)
        return []
    stretch = made.display_width / made.width  # the boxes may be in stored pixels
    seen = [(frame, image, detector.detect([image])[0]) for (_, frame), image in sampled([film])]

    def matched(scale: float) -> list[Face]:
        known = read_known(path, scale)
        faces = []
        for frame, image, found in seen:
            if frame in known.boxes:
                rows = match(found.boxes.astype(float), known.boxes[frame], MATCH_IOU)
                for row in np.flatnonzero(rows >= 0):
                    person, track = known.people[frame][rows[row]]
                    box, keypoints = found.boxes[row], found.keypoints[row]
                    faces.append(_face(image, box, keypoints, person, f"{path.name} {track}", embedders))
        return faces

    return max((matched(scale) for scale in {1.0, stretch}), key=len)


def read_known(path: Path, stretch: float) -> Truth:
    """Read the boxes of known people from a table of tracks; uncertain identities are left out.

    Args:
        stretch: display width / width of the boxes' pixels.
    """
    boxes: dict[int, list[list[float]]] = {}
    people: dict[int, list[tuple[str, str]]] = {}
    for _, row in read_table(path, ("frame", "track", "x", "y", "w", "h", "identity")):
        person = row["identity"]
        if person and "(" not in person and is_person(person) and person not in NO_PEOPLE:
            x, y, w, h = (float(row[key]) for key in "xywh")
            boxes.setdefault(int(row["frame"]), []).append([x * stretch, y, (x + w) * stretch, y + h])
            people.setdefault(int(row["frame"]), []).append((plain_name(person), row["track"]))
    return Truth({frame: np.array(rows) for frame, rows in boxes.items()}, people)


def _face(
    image: Image,
    box: np.ndarray,
    keypoints: np.ndarray,
    person: str,
    source: str,
    embedders: Sequence[Embedder],
) -> Face:
    vectors = tuple(
        embedder.embed([embedder.crop(image, box, keypoints)])[0].astype(np.float64) for embedder in embedders
    )
    frontal = bool(frontality(keypoints[None])[0] >= FRONTAL)
    return Face(person, source, float((box[2:] - box[:2]).max()), frontal, vectors)


if __name__ == "__main__":
    raise SystemExit(run_main(main))
