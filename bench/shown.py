#!/usr/bin/env python3
"""Compare the images that annotators see with the first and last saved face of each trajectory.

    python bench/shown.py work/*-data [--sheet FILE.png]

Trajectories with fewer than three saved faces are left out. Prints a Markdown table with two rows per folder:

quality         mean quality of the images (0 to 1, as used to weight embeddings)
too poor        images with a quality that is too low for a comparison
strangers       images farther from the embedding of their trajectory than the embedder's distance between
                two people
frames between  mean number of frames between the two images

The sheet shows one trajectory per row: the first and last saved face on the left, the images on the right.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

if not __package__:  # run as a plain script: import from the repository's root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from facerec.errors import StaleError
from facerec.folder.images import locate_faces, thumbnail_tags
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import read_embedder
from facerec.folder.plan import read_plan
from facerec.folder.readers import read_faces, read_trajectories
from facerec.people.loading import load_trajectory_vectors
from facerec.people.quality import saved_face_quality
from facerec.settings import VectorSettings
from facerec.support.cli import configure_logging, parser, run_main

CHOICE = 3  # least number of saved faces for which there is a choice
CELL = 128  # pixels


@dataclass(frozen=True)
class Shown:
    """Some saved faces of a trajectory; `away` are distances to the embedding of the trajectory."""

    tags: tuple[str, ...]
    frames: NDArray[np.int64]
    quality: NDArray[np.float32]
    away: NDArray[np.float32]


def before_and_after(folder: MovieFolder) -> Iterator[tuple[Shown, Shown]]:
    """Yield the first and last saved face, and the images, of every trajectory with a choice."""
    trajectories = read_trajectories(folder.trajectories, folder.movie_id)
    faces, judging = list(read_faces(folder)), VectorSettings()
    quality = saved_face_quality(faces, judging)
    row = {(face.frame, *face.box): i for i, (face, _) in enumerate(faces)}
    vectors = load_trajectory_vectors(folder, trajectories, judging).vectors
    tags = thumbnail_tags(folder, trajectories)
    for one in trajectories:
        places = ((frame, *box) for frame, box in enumerate(one.boxes.tolist(), one.start))
        own = [row[place] for place in places if place in row]
        if len(own) < CHOICE:
            continue

        def of(rows: Sequence[int], index: int = one.index) -> Shown:
            picked = [faces[i][0] for i in rows]
            away = np.array([np.linalg.norm(face.embedding - vectors[index]) for face in picked], np.float32)
            frames = np.array([face.frame for face in picked], np.int64)
            return Shown(tuple(face.tag for face in picked), frames, quality[list(rows)], away)

        yield of([own[0], own[-1]]), of([i for i in own if faces[i][0].tag in tags[one.index]])


def line(folder: MovieFolder, kind: str, shown: Sequence[Shown]) -> str:
    """Format one row of the table."""
    quality, away = (np.concatenate([getattr(one, key) for one in shown]) for key in ("quality", "away"))
    poor, strangers = quality < VectorSettings().min_quality, away > read_embedder(folder).same_person
    between = np.mean([one.frames[-1] - one.frames[0] for one in shown])
    cells = (folder.movie_id, kind, len(shown), f"{quality.mean():.3f}", poor.sum(), strangers.sum())
    return f"| {' | '.join(map(str, cells))} | {between:.1f} |"


def jpegs(folder: MovieFolder) -> dict[str, bytes]:
    """Read the thumbnails of all saved faces of the shards, by tag."""
    plan = read_plan(folder)
    if plan is None:
        raise StaleError(f"{folder.path}: plan.json is missing; give a folder that still has its shards")
    places = [(face.frame, *face.box) for face, _ in read_faces(folder)]
    ranges = [plan.range_of(shard) for shard in range(plan.n)]
    return {
        tag: jpeg for one in locate_faces(folder, ranges, places, places) for tag, jpeg in one.thumbnails()
    }


def sheet(rows: Sequence[Sequence[Sequence[bytes]]]) -> PIL.Image.Image:
    """Draw one trajectory per row, with a gap between the two groups of images."""
    drawn = PIL.Image.new("RGB", (4 * CELL + CELL // 2, CELL * len(rows)), "white")
    for y, groups in enumerate(rows):
        for group, pictures in enumerate(groups):
            for x, jpeg in enumerate(pictures):
                face = PIL.Image.open(io.BytesIO(jpeg)).convert("RGB")
                scale = (CELL - 4) / max(face.size)
                size = round(face.width * scale), round(face.height * scale)
                at = (group * 2 + x) * CELL + group * CELL // 2, y * CELL
                drawn.paste(face.resize(size, PIL.Image.Resampling.BICUBIC), at)
    return drawn


def main(argv: Sequence[str] | None = None) -> int:
    made = parser(__doc__)
    made.add_argument(
        "folders", type=Path, nargs="+", metavar="DIR", help="movie folders that still have their shards"
    )
    made.add_argument("--sheet", type=Path, metavar="FILE.png", help="also draw the images")
    args = made.parse_args(argv)
    configure_logging(args.verbose)
    lines = ["| clip | images | trajectories | quality | too poor | strangers | frames between |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    rows = []
    for path in args.folders:
        folder = MovieFolder.existing(path)
        pairs = list(before_and_after(folder))
        if not pairs:
            continue
        before, after = zip(*pairs, strict=True)
        lines += [line(folder, "first and last", before), line(folder, "best two", after)]
        if args.sheet:
            faces = jpegs(folder)
            rows += [[[faces[tag] for tag in one.tags] for one in pair] for pair in pairs]
    print("\n".join(lines))  # noqa: T201
    if args.sheet:
        sheet(rows).save(args.sheet)
    return 0


if __name__ == "__main__":
    raise SystemExit(run_main(main))
