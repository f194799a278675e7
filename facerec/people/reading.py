"""A movie folder's saved faces, brought to one vector a trajectory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facerec.folder.layout import MovieFolder
from facerec.folder.readers import read_faces
from facerec.folder.records import Trajectory
from facerec.people.embeddings import TrajectoryVectors, trajectory_vectors
from facerec.people.quality import qualities
from facerec.settings import VectorSettings


def judged_faces(
    folder: MovieFolder, trajectories: Sequence[Trajectory], settings: VectorSettings
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """Of the m saved faces: whose of `trajectories` each is (-1: nobody's), embeddings (m, d), worths (m,).

    Raises:
        ContractError: a line of either file breaks its rules, or the two are not of the same faces.
    """
    faces = list(read_faces(folder))
    whose = _trajectory_of([face.frame for face, _ in faces], [face.box for face, _ in faces], trajectories)
    embeddings = np.array([face.embedding for face, _ in faces], np.float32)
    return whose, embeddings.reshape(len(faces), -1 if faces else 0), qualities(faces, settings)


def read_vectors(
    folder: MovieFolder, trajectories: Sequence[Trajectory], settings: VectorSettings | None = None
) -> TrajectoryVectors:
    """The vector of each of `trajectories`, from the folder's features and their qualities.

    Raises:
        ContractError: see `judged_faces`.
    """
    settings = settings or VectorSettings()
    return trajectory_vectors(*judged_faces(folder, trajectories, settings), len(trajectories), settings)


def _trajectory_of(
    frames: Sequence[int], boxes: Sequence[tuple[int, ...]], trajectories: Sequence[Trajectory]
) -> NDArray[np.int64]:
    """The trajectory that each face was detected for, -1 where none was kept."""
    saved = set(frames)
    owner: dict[tuple[int, ...], int] = {}
    for one in trajectories:
        for offset in np.flatnonzero(one.detected).tolist():
            if one.start + offset in saved:
                owner[(one.start + offset, *one.boxes[offset].tolist())] = one.index
    found = (owner.get((frame, *box), -1) for frame, box in zip(frames, boxes, strict=True))
    return np.fromiter(found, np.int64, len(frames))
