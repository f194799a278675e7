"""Read a film's shards for the merge: markers that prove full coverage, detections and saved faces."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec.errors import ContractError, PlanError
from facerec.folder.frame_records import FrameRecord, QualityRecord
from facerec.folder.layout import MovieFolder
from facerec.folder.miniature_archive import MiniatureArchives
from facerec.folder.names import tag_of
from facerec.folder.plan import Plan, format_ranges, rerun_command
from facerec.folder.readers import read_features, read_trajectories
from facerec.folder.records import SavedFace
from facerec.folder.shards import NOT_DONE, Markers, done_markers
from facerec.support.jsonl import read_lines

_MAX_REASONS = 20  # damaged shards of which a log line says what is wrong


@dataclass(frozen=True)
class FilmDetections:
    """All detections of a film.

    Attributes:
        frames: (n,) int64, frame of each detection.
        boxes: (n, 4) int64 x1, y1, x2, y2 in display pixels.
        decoded_frames: (m,) int64, the frames that could be decoded, ascending.
        miniatures: those of these frames.
        qualities: quality record of each saved face, sorted by frame and box.
    """

    frames: NDArray[np.int64]
    boxes: NDArray[np.int64]
    decoded_frames: NDArray[np.int64]
    miniatures: MiniatureArchives
    qualities: list[QualityRecord]


def read_markers(folder: MovieFolder, plan: Plan, allow_missing: bool) -> Markers:
    """Read the markers of all shards, which prove that every frame of the film was processed once.

    Args:
        allow_missing: log the shards that are not done instead of raising.

    Raises:
        PlanError: shards are not done; the message has the command that runs them.
    """
    reasons: dict[int, str] = {}
    markers = done_markers(folder, plan, on_not_done=reasons.__setitem__)
    if not reasons:
        return markers
    damaged = [(shard, reason) for shard, reason in reasons.items() if reason != NOT_DONE]
    for shard, reason in damaged[:_MAX_REASONS]:
        logging.warning("%s: shard %d: %s", folder.path, shard, reason)
    if len(damaged) > _MAX_REASONS:
        logging.warning("%s: %d more damaged shards", folder.path, len(damaged) - _MAX_REASONS)
    missing = f"{folder.path}: shards {format_ranges(reasons)} of {plan.n} are not done"
    command = rerun_command(folder, plan, reasons)
    if not allow_missing:
        raise PlanError(f"{missing}; run: {command}")
    logging.warning("%s; merged without them. To extract them, run: %s", missing, command)
    return markers


def read_detections(folder: MovieFolder, plan: Plan, markers: Markers) -> FilmDetections:
    """Read the detections of all shards.

    Raises:
        ContractError: a frame of a shard is missing, duplicate or another shard's.
    """
    decoded_frames: list[int] = []
    archives: list[tuple[Path, int]] = []
    frames: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    boxes: list[NDArray[np.int64]] = [np.empty((0, 4), np.int64)]
    qualities: list[QualityRecord] = []
    for shard in sorted(markers):
        beg, end = plan.range_of(shard)
        files = folder.shard(beg, end)
        seen = set(markers[shard]["report"]["skipped"])
        for line, record in read_lines(files.frame_records, FrameRecord.from_json):
            if not beg <= record.frame < end or record.frame in seen:
                rule = f"frame {record.frame} is outside this shard or occurs twice"
                raise ContractError(files.frame_records, rule, line)
            seen.add(record.frame)
            decoded_frames.append(record.frame)
            qualities += (
                QualityRecord(tag_of(folder.movie_id, record.frame, face.box), face.score, face.sharpness)
                for face in record.faces
                if face.sharpness is not None
            )
        if len(seen) != end - beg:
            rule = f"has only {len(seen)} of the {end - beg} frames of its shard"
            raise ContractError(files.frame_records, rule)
        archives.append((files.miniatures, len(seen) - len(markers[shard]["report"]["skipped"])))
        # a shard writes every detection into a trajectory, however short
        for trajectory in read_trajectories(files.trajectories, folder.movie_id):
            frames.append(trajectory.start + np.flatnonzero(trajectory.detected))
            boxes.append(trajectory.boxes[trajectory.detected])
    return FilmDetections(
        np.concatenate(frames),
        np.concatenate(boxes),
        np.array(decoded_frames, np.int64),
        MiniatureArchives(archives),
        qualities,
    )


def read_saved_faces(folder: MovieFolder, plan: Plan, markers: Markers) -> Iterator[SavedFace]:
    """Yield the saved faces of all shards, sorted by frame and box."""
    for shard in sorted(markers):
        yield from read_features(folder.shard(*plan.range_of(shard)).features, folder.movie_id)


def same_person_distance(markers: Markers) -> float | None:
    """Return the `same_person` distance of the embedder that was used; None if there are no shards."""
    for marker in markers.values():
        return float(marker["report"]["same_person"])
    return None
