"""A movie folder as the merge leaves it, with chosen people and embeddings: no film, no model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec.folder.documents import scene_changes_bytes
from facerec.folder.frame_records import QualityRecord
from facerec.folder.layout import MovieFolder
from facerec.folder.publish import publish, staging
from facerec.folder.records import SavedFace, Trajectory, to_line

EMBEDDER = {"kind": "toy", "sha256": "ab" * 32, "dimension": 16, "same_person": 1.1}
FRONTAL = np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]], np.float32)
WIDTH, HEIGHT = 640, 360


@dataclass(frozen=True)
class Seen:
    """A person (row of `person`) from `start` for `length` frames, at `x`; saved every 5th frame."""

    who: int
    start: int
    length: int = 20
    x: int = 0
    sharpness: float = 60.0


def person(who: int, dimension: int = 16) -> NDArray[np.float32]:
    """The direction of the vectors of a person; those of strangers are orthogonal."""
    return np.eye(dimension, dtype=np.float32)[who]


def near(vector: NDArray[np.float32], rng: np.random.Generator, spread: float) -> NDArray[np.float32]:
    """Return a unit vector at a distance of about `spread` from `vector`."""
    noise = rng.normal(size=vector.shape) / np.sqrt(len(vector))
    moved = vector + spread * noise
    return np.asarray(moved / np.linalg.norm(moved), np.float32)


def merged_folder(
    out: Path,
    seen: Sequence[Seen],
    cuts: Sequence[int] = (),
    movie_id: int = 7,
    spread: float = 0.5,
    embedder: Mapping[str, object] = EMBEDDER,
    overwrite: bool = False,
    settings: Mapping[str, object] | None = None,
) -> MovieFolder:
    """Make the folder under `out` with one trajectory for each of `seen`, in this order."""
    folder = MovieFolder(out / f"{movie_id}-data")
    folder.create()
    rng = np.random.default_rng(0)
    trajectories, faces = [], []
    for index, one in enumerate(seen):
        boxes = np.tile(np.array([one.x, 10, one.x + 100, 110], np.int64), (one.length, 1))
        made = Trajectory(index, movie_id, one.start, boxes, np.ones(one.length, bool), WIDTH, HEIGHT)
        trajectories.append(made)
        of_this: list[SavedFace] = []
        for frame in range(made.start, made.end):
            if frame % 5 == 0:
                box = (one.x, 10, one.x + 100, 110)
                vector = near(person(one.who), rng, spread)
                keypoints = FRONTAL + np.float32([one.x, 10])
                feature = SavedFace(movie_id, frame, box, keypoints, vector, WIDTH, HEIGHT)
                of_this.append(feature)
                faces.append((feature, QualityRecord(feature.tag, 0.95, one.sharpness)))
        for feature in (of_this[0], of_this[-1]) if of_this else ():
            folder.thumbnail(feature.tag).write_bytes(
                b"not a JPEG: nothing that uses this folder decodes thumbnails"
            )
    faces.sort(key=lambda face: (face[0].frame, face[0].box))
    with staging(folder) as directory:
        made_files = {
            folder.trajectories: b"".join(map(to_line, trajectories)),
            folder.features: b"".join(to_line(feature) for feature, _ in faces),
            folder.quality: b"".join(to_line(quality) for _, quality in faces),
            folder.scene_changes: scene_changes_bytes(movie_id, cuts),
        }
        for path, data in made_files.items():
            (directory / path.name).write_bytes(data)
        publish(
            folder,
            "merge_shards",
            {path: directory / path.name for path in made_files},
            inputs={},
            settings=settings or {},
            report={},
            overwrite=overwrite,
            manifest_entries={"models": {"embedder": dict(embedder)}},
        )
    return folder
