"""A movie folder's saved faces, brought to one vector a trajectory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec.errors import ContractError, StaleError
from facerec.folder.frame_records import Quality
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import read_manifest
from facerec.folder.records import Feature, Trajectory, read_features
from facerec.people.embeddings import TrajectoryVectors, trajectory_vectors
from facerec.people.quality import qualities
from facerec.settings import VectorSettings
from facerec.support.jsonl import read_lines
from facerec.support.shell import stage_command

# what the manifest says of an embedder; nothing is known of it where no shard was merged
_EMBEDDER = {"kind": (str,), "sha256": (str,), "dimension": (int, type(None)),
             "same_person": (float, int, type(None))}  # fmt: skip


@dataclass(frozen=True)
class FolderEmbedder:
    """What made a folder's embeddings, as its manifest says.

    Attributes:
        dimension: of a vector; None where the film has no shard.
        same_person: distance at which two faces are as likely one person as two; 1 without a shard.
    """

    kind: str
    sha256: str
    dimension: int | None
    same_person: float


def embedder_of(folder: MovieFolder) -> FolderEmbedder:
    """The embedder that `merge_shards.py` recorded.

    Raises:
        StaleError: none is recorded.
    """
    models = read_manifest(folder).get("models")
    said = models.get("embedder") if isinstance(models, dict) else None
    for name, kinds in _EMBEDDER.items():
        if not isinstance(said, dict) or name not in said or type(said[name]) not in kinds:
            raise StaleError(
                f"{folder.manifest}: does not say the embedder's {name}; "
                f"run: {stage_command('merge_shards', '--path', str(folder.path))}"
            )
    assert isinstance(said, dict)
    return FolderEmbedder(said["kind"], said["sha256"], said["dimension"], said["same_person"] or 1.0)


def read_faces(folder: MovieFolder) -> Iterator[tuple[Feature, Quality]]:
    """The folder's saved faces with their qualities, by frame and box.

    Raises:
        ContractError: a line of either file breaks its rules, or the two are not of the same faces.
    """
    lines = read_lines(folder.quality, Quality.from_json)
    for face in read_features(folder.features, folder.movie_id):
        line, quality = next(lines, (None, None))
        if quality is None or quality.tag != face.tag:
            rule = f"no line here for face {face.tag} of {folder.features.name}"
            raise ContractError(folder.quality, rule, line)
        yield face, quality
    for line, quality in lines:
        raise ContractError(folder.quality, f"{folder.features.name} has no face {quality.tag}", line)


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
