"""Loads the embeddings and qualities of a movie folder's saved faces, by trajectory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facerec.folder.layout import MovieFolder
from facerec.folder.readers import read_faces
from facerec.folder.records import Trajectory
from facerec.people.quality import saved_face_quality
from facerec.people.trajectory_vectors import Floats, TrajectoryVectors, trajectory_vectors
from facerec.settings import VectorSettings


def load_faces(
    folder: MovieFolder, trajectories: Sequence[Trajectory], settings: VectorSettings
) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Load the m saved faces of `folder`.

    Returns:
        (m,) the index of each face's trajectory, -1 where it belongs to none of `trajectories`;
        (m, d) embeddings, L2-normalised; (m,) qualities, 0..1.

    Raises:
        ContractError: a line of features.jsonl or quality.jsonl breaks its rules, or the two files are not
            of the same faces.
    """
    faces = list(read_faces(folder))
    tags = [(face.frame, *face.box) for face, _ in faces]
    embeddings = np.array([face.embedding for face, _ in faces], np.float32)
    return (
        trajectory_of_face(tags, trajectories),
        embeddings.reshape(len(faces), -1 if faces else 0),
        saved_face_quality(faces, settings),
    )


def load_trajectory_vectors(
    folder: MovieFolder, trajectories: Sequence[Trajectory], settings: VectorSettings | None = None
) -> TrajectoryVectors:
    """Load the saved faces of `folder` and pool them into one vector for each of `trajectories`.

    Raises:
        ContractError: see `load_faces`.
    """
    settings = settings or VectorSettings()
    return trajectory_vectors(*load_faces(folder, trajectories, settings), len(trajectories), settings)


def trajectory_of_face(
    faces: Sequence[tuple[int, ...]], trajectories: Sequence[Trajectory]
) -> NDArray[np.int64]:
    """(m,) the index of the trajectory in which each face (frame, x1, y1, x2, y2) was detected, or -1."""
    saved_frames = {frame for frame, *_ in faces}
    trajectory_of: dict[tuple[int, ...], int] = {}
    for one in trajectories:
        for offset in np.flatnonzero(one.detected).tolist():
            if one.start + offset in saved_frames:
                trajectory_of[(one.start + offset, *one.boxes[offset].tolist())] = one.index
    return np.fromiter((trajectory_of.get(face, -1) for face in faces), np.int64, len(faces))
