"""Readers of the folder's JSON-lines files: trajectories, and saved faces with their quality records.

`scan_*` yields every error of a file and goes on; `read_*` raises the first one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from facerec.errors import ContractError
from facerec.folder.frame_records import QualityRecord
from facerec.folder.layout import MovieFolder
from facerec.folder.records import SavedFace, Trajectory
from facerec.support.jsonl import raise_errors, read_lines, scan_lines

_MAX_FEATURE = 1 << 20  # bytes of a line; 512 numbers have 6,000


def scan_trajectories(path: Path, movie_id: int) -> Iterator[tuple[int, Trajectory | ContractError]]:
    """Yield line number and trajectory of every line, each after the violations found in that line."""
    size: tuple[int, int] | None = None
    for number, record in scan_lines(path, Trajectory.from_json):
        if isinstance(record, Trajectory):
            size = size or (record.w, record.h)
            violations = (
                _movie_id_violation(record.movie_id, movie_id),
                f"index {record.index} on the 0-based line {number - 1}" * (record.index != number - 1),
                _size_violation(record, size),
            )
            yield from ((number, ContractError(path, rule, number)) for rule in violations if rule)
        yield number, record


def read_display_size(folder: MovieFolder) -> tuple[int, int] | None:
    """Read width and height of the frame that boxes are in; None if there is no readable trajectory."""
    if folder.trajectories.is_file():
        for _, record in scan_trajectories(folder.trajectories, folder.movie_id):
            if isinstance(record, Trajectory):
                return record.w, record.h
    return None


def read_trajectories(path: Path, movie_id: int) -> list[Trajectory]:
    """Read all trajectories of a file.

    Raises:
        ContractError: a line violates the contract, or two trajectories have the same box in one frame.
    """
    records = list(raise_errors(scan_trajectories(path, movie_id)))
    for error in find_shared_boxes(path, records):
        raise error
    return [record for _, record in records]


def find_shared_boxes(path: Path, records: Sequence[tuple[int, Trajectory]]) -> Iterator[ContractError]:
    """Yield an error for every box that two trajectories, given by line number, have in the same frame."""
    if not records:
        return
    rows = np.concatenate(
        [np.column_stack([np.arange(r.start, r.end), r.boxes, np.full(len(r.boxes), n)]) for n, r in records]
    )
    rows = rows[np.lexsort(rows.T[::-1])]
    for row in np.flatnonzero((rows[1:, :5] == rows[:-1, :5]).all(1)).tolist():
        (*_, first), (frame, *box, line) = rows[row].tolist(), rows[row + 1].tolist()
        yield ContractError(path, f"frame {frame} has the same box {box} as line {first}", line)


def scan_features(path: Path, movie_id: int) -> Iterator[tuple[int, SavedFace | ContractError]]:
    """Yield line number and saved face of every line, each after the violations found in that line."""
    previous: tuple[int, ...] = (-1,)
    first: SavedFace | None = None
    for number, record in scan_lines(path, SavedFace.from_json, _MAX_FEATURE):
        if isinstance(record, SavedFace):
            first = first or record
            key, d, d1 = (record.frame, *record.box), len(record.embedding), len(first.embedding)
            violations = (
                _movie_id_violation(record.movie_id, movie_id),
                "faces must be sorted by frame and box, without duplicates" * (key <= previous),
                f"the embedding has {d} numbers, but that of line 1 has {d1}" * (d != d1),
                _size_violation(record, (first.w, first.h)),
            )
            yield from ((number, ContractError(path, rule, number)) for rule in violations if rule)
            previous = key
        yield number, record


def read_features(path: Path, movie_id: int) -> Iterator[SavedFace]:
    """Yield the saved faces of a file, sorted by frame and box.

    Raises:
        ContractError: a line violates the contract, is out of order, or has another dimension than line 1.
    """
    return (record for _, record in raise_errors(scan_features(path, movie_id)))


def read_faces(folder: MovieFolder) -> Iterator[tuple[SavedFace, QualityRecord]]:
    """Read the saved faces of a merged folder with their quality records; they are sorted by frame and box.

    Raises:
        ContractError: a line of either file is invalid, or the files are not about the same faces.
    """
    lines = read_lines(folder.quality, QualityRecord.from_json)
    for face in read_features(folder.features, folder.movie_id):
        line, quality = next(lines, (None, None))
        if quality is None or quality.tag != face.tag:
            rule = f"this line must be about face {face.tag}, as in {folder.features.name}"
            raise ContractError(folder.quality, rule, line)
        yield face, quality
    for line, quality in lines:
        raise ContractError(folder.quality, f"{folder.features.name} has no face {quality.tag}", line)


def _movie_id_violation(found: int, movie_id: int) -> str:
    return "" if found == movie_id else f"movie_id {found} in the folder of movie {movie_id}"


def _size_violation(record: Trajectory | SavedFace, size: tuple[int, int]) -> str:
    w, h = record.w, record.h
    return "" if (w, h) == size else f"w, h is {w}, {h}, but line 1 has {size[0]}, {size[1]}"
