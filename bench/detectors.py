#!/usr/bin/env python3
"""Measure detectors of faces against faces that were judged by eye, `bench/judged_faces.csv`.

    python bench/detectors.py detect FILM [FILM …] --work DIR --detector yunet=yunet:FILE mtcnn=mtcnn […]
    python bench/detectors.py score --work DIR
    python bench/detectors.py speed FILM [FILM …] --detector yunet=yunet:FILE mtcnn=mtcnn […]

A detector that finds what no other has found needs more judgements (`score` counts them):

    python bench/detectors.py sheets FILM [FILM …] --work DIR      # contact sheets of what is not judged yet
    python bench/detectors.py judge ANSWERS --work DIR             # adds the answers to the table

`detect` runs detectors on every tenth frame, with scores from 0.3, and keeps the results in DIR. `sheets`
groups the detections of all detectors in DIR into candidates and draws those that are not judged: crops with
their surroundings, and their frames, the first time all frames, in which to look for faces that all have
missed. Dark pictures are brightened. ANSWERS is a text file: numbers or ranges of candidates, a colon, and
`f` (face, both eyes are seen or would be), `p` (face in profile), `n` (none) or `u` (unsure; does not count,
whether it is found or not); `add MOVIE FRAME X1 Y1 X2 Y2: f` adds a face.

`score` prints Markdown tables: precision and recall at each detector's own threshold, average precision (of
the detections from 0.3), all by size (longer side of the box), recall by pose; precision and recall by film;
and the median distance of the keypoints from the median of the other detectors', in percent of the face, for
the faces that all have found.
`speed` prints milliseconds of CPU for a frame, medians of alternating runs. Use OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:  # run as a plain script: import from the repository's root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from bench.detection_scores import LARGEST, MIN_SIZE, SIZES, Found, FrameKey, keypoint_errors, outcomes
from bench.face_sheets import crop_sheets, frame_sheets
from bench.judged_faces import (
    POSES,
    Judged,
    answers,
    group_detections,
    read_judged,
    read_remarks,
    unjudged,
    write_judged,
)
from bench.measure import cost, interleaved, positive
from facerec.errors import InputError
from facerec.folder.names import film_movie_id
from facerec.geometry import Image
from facerec.models import DETECTORS, load_detector
from facerec.models.base import Detector
from facerec.settings import ExtractSettings, smallest_box
from facerec.support.cli import configure_logging, parser, run_main
from facerec.video.film import open_film, read_frames

JUDGED = Path(__file__).with_name("judged_faces.csv")
EVERY = 10  # frames
LEAST_SCORE = 0.3
CANDIDATES = "candidates.csv"


@dataclass(frozen=True)
class Results:
    """What a detector found: its kind, its own threshold, and its detections by movie and frame."""

    kind: str
    threshold: float
    found: dict[FrameKey, Found]


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments().parse_args(argv)
    configure_logging(args.verbose)
    args.run(args)
    return 0


def arguments() -> argparse.ArgumentParser:
    """Build the argument parser."""
    made = parser(__doc__)
    verbs = made.add_subparsers(required=True)

    def verb(name: str, run: object, films: bool = False, detectors: bool = False) -> argparse.ArgumentParser:
        one = verbs.add_parser(name, formatter_class=made.formatter_class)
        one.set_defaults(run=run)
        if films:
            one.add_argument("film", type=Path, nargs="+", help="named <movie_id>-Title.ext")
        if detectors:
            one.add_argument("--detector", nargs="+", default=[], metavar="NAME=SPEC",
                             help="a name for the tables, and the detector as in extract.py")  # fmt: skip
            one.add_argument("--tiled", nargs="+", default=[], metavar="NAME=SPEC",
                             help="the same, as with --tiles of extract.py")  # fmt: skip
            one.add_argument(
                "--min-face-size", type=positive, default=ExtractSettings.min_face_size, help="pixels"
            )
        if name != "speed":
            one.add_argument("--work", type=Path, required=True, metavar="DIR", help="results, sheets")
            one.add_argument("--judged", type=Path, default=JUDGED, metavar="CSV", help="judged faces")
        return one

    verb("detect", detect, films=True, detectors=True)
    verb("sheets", sheets, films=True)
    verb("judge", judge).add_argument("answers", type=Path)
    verb("score", score)
    speed_of = verb("speed", speed, films=True, detectors=True)
    speed_of.add_argument("--frames", type=positive, default=10, help="frames a run, every tenth of the film")
    speed_of.add_argument("--rounds", type=positive, default=5, help="alternating runs")
    return made


def detect(args: argparse.Namespace) -> None:
    """Run detectors on every tenth frame of films and write their detections to the work folder."""
    args.work.mkdir(parents=True, exist_ok=True)
    for name, spec, tiles in _named_specs(args):
        detector = _load(spec, args.min_face_size, tiles)
        kind = spec.partition(":")[0]
        lines = [json.dumps({"kind": kind, "threshold": DETECTORS[kind].threshold})]
        for (movie, frame), image in sampled(args.film):
            (seen,) = detector.detect([image])
            row = {"movie": movie, "frame": frame, "boxes": seen.boxes.tolist()}
            row |= {"scores": seen.scores.tolist(), "keypoints": seen.keypoints.tolist()}
            lines.append(json.dumps(row))
        (args.work / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        logging.info("%s: %d frames", name, len(lines) - 1)


def sheets(args: argparse.Namespace) -> None:
    """Draw contact sheets of the candidates that are not judged yet."""
    results = read_results(args.work)
    frames = dict(sampled(args.film))
    candidates = [
        Judged(*key, box)
        for key in frames
        for box in group_detections([one.found[key].boxes for one in results.values() if key in one.found])
    ]
    judged = read_judged(args.judged) if args.judged.exists() else []
    left = unjudged((one for one in candidates if one.size >= SIZES[0][0]), judged)
    write_judged(args.work / CANDIDATES, left, ["in the order of the numbers on the sheets"])
    numbered = _numbered(args.work)
    open_frames = {one.key for one in left}
    shown = {key: image for key, image in frames.items() if not judged or key in open_frames}
    for name, picture in [*crop_sheets(numbered, frames), *frame_sheets(numbered, shown)]:
        cv2.imwrite(str(args.work / f"{name}.png"), picture[:, :, ::-1])
    logging.info("%d candidates, %d not judged yet: sheets in %s", len(candidates), len(left), args.work)


def judge(args: argparse.Namespace) -> None:
    """Add the answers to the table of judged faces."""
    new = answers(args.answers.read_text(encoding="utf-8"), _numbered(args.work))
    known = read_judged(args.judged) if args.judged.exists() else []
    write_judged(args.judged, [*known, *new], read_remarks(args.judged))
    logging.info("%s: %d judged boxes, %d of them new", args.judged, len(known) + len(new), len(new))


def score(args: argparse.Namespace) -> None:
    """Print the tables."""
    results, judged = read_results(args.work), read_judged(args.judged)
    tables = (quality_table, film_table, keypoint_table)
    print("\n\n".join("\n".join(table(results, judged)) for table in tables))  # noqa: T201


def quality_table(results: Mapping[str, Results], judged: Sequence[Judged]) -> list[str]:
    """Format precision, recall and average precision of each detector as a Markdown table."""
    sizes = [f"{low} to {high} px" if high < LARGEST else f"from {low} px" for low, high in SIZES]
    head = ["precision / recall / AP", "threshold", "all", *sizes, "recall: frontal", "profile", "not judged"]
    lines = [_row(head), _row(["---"] * len(head))]
    for name, one in results.items():
        by_size = [outcomes(one.found, judged, size=size) for size in ((MIN_SIZE, LARGEST), *SIZES)]
        by_pose = [outcomes(one.found, judged, pose=pose) for pose in POSES]
        cells = [f"{one.threshold:.2f}"]
        for part in by_size:
            precision, recall = part.at(one.threshold)
            cells.append(f"{precision:.2f} / {recall:.2f} / {part.average_precision():.2f}")
        cells += [f"{part.at(one.threshold)[1]:.2f}" for part in by_pose]
        whole = by_size[0]
        cells.append(str(int((whole.unjudged & (whole.scores >= one.threshold)).sum())))
        lines.append(_row([name, *cells]))
    faces = [outcomes({}, judged, size=size).faces for size in ((MIN_SIZE, LARGEST), *SIZES)]
    faces += [outcomes({}, judged, pose=pose).faces for pose in POSES]
    return [*lines, _row(["faces", "", *map(str, faces), ""])]


def film_table(results: Mapping[str, Results], judged: Sequence[Judged]) -> list[str]:
    """Format precision and recall of each detector in each film as a Markdown table."""
    movies = sorted({one.movie for one in judged})
    lines = [_row(["precision / recall", *map(str, movies)]), _row(["---"] * (len(movies) + 1))]
    own = {movie: [one for one in judged if one.movie == movie] for movie in movies}
    for name, one in results.items():
        cells = []
        for movie in movies:
            found = {key: seen for key, seen in one.found.items() if key[0] == movie}
            precision, recall = outcomes(found, own[movie]).at(one.threshold)
            cells.append(f"{precision:.2f} / {recall:.2f}")
        lines.append(_row([name, *cells]))
    return [*lines, _row(["faces", *(str(outcomes({}, own[movie]).faces) for movie in movies)])]


def keypoint_table(results: Mapping[str, Results], judged: Sequence[Judged]) -> list[str]:
    """Format the keypoint errors of each detector as a Markdown table."""
    kinds = {name: one.kind for name, one in results.items()}
    faces, errors = keypoint_errors({name: one.found for name, one in results.items()}, kinds, judged)
    poses = np.array([face.pose for face in faces])
    counts = [f"{pose}, {int((poses == pose).sum())} faces" for pose in POSES]
    lines = [_row(["keypoints off by, %", *counts]), _row(["---"] * 3)]
    for name, values in errors.items():
        cells = [f"{100 * np.median(values[poses == pose]):.1f}" for pose in POSES if pose in poses]
        lines.append(_row([name, *cells]))
    return lines


def speed(args: argparse.Namespace) -> None:
    """Print the CPU time of a frame of each film for each detector, in alternating runs."""
    named = {name: _load(spec, args.min_face_size, tiles, None) for name, spec, tiles in _named_specs(args)}
    columns: dict[str, dict[str, float]] = {}
    for film in args.film:
        frames = [image for _, image in sampled([film])][: args.frames]
        works = {name: partial(cost, partial(_detect_one_by_one, one, frames)) for name, one in named.items()}
        found = interleaved(works, args.rounds)
        height, width = frames[0].shape[:2]
        columns[f"{width}x{height}"] = {name: one.cpu_s / len(frames) for name, one in found.items()}
    lines = [_row(["CPU ms a frame, frames/s", *columns]), _row(["---"] * (len(columns) + 1))]
    for name in named:
        seconds = [column[name] for column in columns.values()]
        lines.append(_row([name, *(f"{1000 * one:.1f}, {1 / one:.1f}" for one in seconds)]))
    print("\n".join(lines))  # noqa: T201


def _detect_one_by_one(detector: Detector, frames: Sequence[Image]) -> None:
    for frame in frames:
        detector.detect([frame])


def read_results(work: Path) -> dict[str, Results]:
    """Read the detections of all detectors in a work folder, by name.

    Raises:
        InputError: there are none.
    """
    results = {}
    for path in sorted(work.glob("*.jsonl")):
        head, *rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
        found = {
            (row["movie"], row["frame"]): Found(
                np.array(row["boxes"], float).reshape(-1, 4),
                np.array(row["scores"], float),
                np.array(row["keypoints"], float).reshape(-1, 5, 2),
            )
            for row in rows
        }
        results[path.stem] = Results(head["kind"], head["threshold"], found)
    if not results:
        raise InputError(f"{work}: no detections; run `detect` first")
    return results


def _numbered(work: Path) -> dict[int, Judged]:
    """Read the candidates of the last sheets, by their numbers."""
    return dict(enumerate(read_judged(work / CANDIDATES, pending=True), start=1))


def _named_specs(args: argparse.Namespace) -> Iterator[tuple[str, str, bool]]:
    """Yield name, spec and whether to look at tiles of each detector of the arguments.

    Raises:
        InputError: there is none, or it has no name.
    """
    if not args.detector and not args.tiled:
        raise InputError("no detector: give --detector NAME=SPEC, as in yunet=yunet:FILE")
    for text in (*args.detector, *args.tiled):
        name, equals, spec = text.partition("=")
        if not equals:
            raise InputError(f"{text}: expected NAME=SPEC, as in yunet=yunet:FILE")
        yield name, spec, text in args.tiled


def _load(
    spec: str, min_face_size: int, tiles: bool = False, threshold: float | None = LEAST_SCORE
) -> Detector:
    """Load a detector on the CPU, with faces down to half the minimum size, as in extract.py."""
    return load_detector(
        spec,
        device="cpu",
        min_face_size=min_face_size,
        min_box_size=smallest_box(min_face_size),
        face_threshold=threshold,
        tiles=tiles,
    )


def sampled(films: Sequence[Path]) -> Iterator[tuple[FrameKey, Image]]:
    """Yield movie id, number and pixels of every tenth frame."""
    for path in films:
        film = open_film(path)
        movie = film_movie_id(path)
        for number, image in read_frames(film, 0, film.frame_count):
            if number % EVERY == 0:
                yield (movie, number), image


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    raise SystemExit(run_main(main))
