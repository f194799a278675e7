"""Boxes and identities that were corrected in CVAT, as ground truth and as annotators' labels."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec.annotations.export import Annotation
from facerec.annotations.identities import NO_FACE
from facerec.annotations.matching import pair_with_truth
from facerec.errors import ContractError
from facerec.folder.images import thumbnail_tags
from facerec.folder.layout import MovieFolder
from facerec.folder.names import parse_tag
from facerec.folder.records import Trajectory
from facerec.interchange.cvat import read_cvat

PERSON = "person"  # attribute with the identity
PROPOSED = "proposed"  # attribute with the identity that export.py wrote and no annotator gave
_UNNAMED = re.compile(r"unknown( \d+|, trajectory \d+)?")  # what export.py calls people without a name
_LINE = 1  # of an XML file, in which an annotation has no line of its own


@dataclass(frozen=True)
class CvatTruth:
    """The visible boxes of a file.

    Attributes:
        frames: (n,) film frame.
        boxes: (n, 4) x1, y1, x2, y2 in display pixels.
        tracks: id of the track of each box.
        persons: what each box's track has as `person`; empty for people without a name, and where it is
            still the proposed one, which nobody confirmed.
    """

    frames: NDArray[np.int64]
    boxes: NDArray[np.float64]
    tracks: Sequence[str]
    persons: Sequence[str]


def read_cvat_truth(path: Path, display_size: tuple[int, int]) -> CvatTruth:
    """Read a file's visible boxes.

    Args:
        display_size: width and height of the film in pixels; CVAT shows the film in its stored pixels.

    Raises:
        ContractError: the file is not one of CVAT for video, or no box has the attribute `person`.
    """
    frames, boxes, tracks, persons = [], [], [], []
    labeled = marked = False
    task, cvat_tracks = read_cvat(path)
    for track in cvat_tracks:
        for box in track.visible():
            person = box.attributes.get(PERSON)
            labeled |= person is not None
            marked |= PROPOSED in box.attributes
            frames.append(box.frame)
            boxes.append(box.corners)
            tracks.append(str(track.index))
            persons.append(_answer((person or "").strip(), box.attributes.get(PROPOSED, "").strip()))
    if frames and not labeled:
        raise ContractError(path, f"no box has the attribute {PERSON!r}, which says who it is")
    if frames and not marked:
        message = "%s: no box has the attribute %r: every name counts as an annotator's answer"
        logging.warning(message, path, PROPOSED)
    scale = [shown / size if size else 1.0 for shown, size in zip(display_size, task.size, strict=True)]
    corners = np.array(boxes, float).reshape(-1, 4) * (scale * 2)
    return CvatTruth(np.array(frames, np.int64), corners, tracks, persons)


def _answer(person: str, proposed: str) -> str:
    """Return the identity that an annotator gave; empty without one."""
    return "" if person == proposed or _UNNAMED.fullmatch(person) else person


def read_cvat_labels(path: Path, folder: MovieFolder, trajectories: Sequence[Trajectory]) -> list[Annotation]:
    """Return what a file says about the thumbnails of a folder, as rows of the backend's export.

    A thumbnail gets the person of the box that overlaps its face most; one without such a box, or with a
    person without a name, gets no row.

    Raises:
        ContractError: the file cannot be used, see `read_cvat_truth`.
    """
    if not trajectories:
        return []
    truth = read_cvat_truth(path, (trajectories[0].w, trajectories[0].h))
    tags = {
        (index, frame): tag
        for index, shown in thumbnail_tags(folder, trajectories).items()
        for tag in shown
        for frame in (parse_tag(tag)[1],)
    }
    wanted = {frame for _, frame in tags}
    rows = np.flatnonzero(np.isin(truth.frames, np.array(sorted(wanted), np.int64)))
    found = pair_with_truth(trajectories, truth.frames[rows], truth.boxes[rows])
    persons = {key: truth.persons[rows[true]] for key, true in found.items() if key in tags}
    return [_annotation(key, tags, person) for key, person in sorted(persons.items()) if person]


def _annotation(key: tuple[int, int], tags: Mapping[tuple[int, int], str], person: str) -> Annotation:
    index, frame = key
    status = ("", "", "invalid") if person == NO_FACE else ("labeled", person, "same")
    cluster_status, label, image_status = status
    return Annotation(_LINE, cluster_status, label, tags[key], frame, image_status, index)
