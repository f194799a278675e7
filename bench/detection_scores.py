"""Precision, recall, average precision and keypoint errors of detectors against judged faces.

A detection is true if it overlaps a face of the class that is measured, by at least `OVERLAP`, and no better
detection took that face. It is ignored if it overlaps what does not count (an unsure box, a face below the
minimum size or of another class), or if it hits nothing and is itself of another size. All others are false.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.judged_faces import Boxes, Judged, boxes_by_frame, boxes_of
from facerec.geometry import iou

OVERLAP = 0.5  # least IoU of a true detection, as in WIDER FACE
MIN_SIZE = 20  # pixels; smaller boxes (longer side) do not count
LARGEST = 10**6  # pixels
SIZES = ((MIN_SIZE, 32), (32, 64), (64, LARGEST))  # pixels; classes of the longer side of a box, half open

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
FrameKey = tuple[int, int]  # movie, frame


@dataclass(frozen=True)
class Found:
    """The detections of one frame, best first: boxes (n, 4), scores (n,), keypoints (n, 5, 2)."""

    boxes: Boxes
    scores: Floats
    keypoints: Floats


@dataclass(frozen=True)
class Outcomes:
    """The detections that count, of all frames, best first.

    Attributes:
        scores: (n,).
        true: (n,) whether the detection is true.
        faces: number of faces of the class.
        unjudged: (n,) whether the detection is false, but overlaps no judged box: it may be a face.
    """

    scores: Floats
    true: Bools
    faces: int
    unjudged: Bools

    def at(self, threshold: float) -> tuple[float, float]:
        """Compute precision and recall of the detections with at least the score `threshold`."""
        kept = self.scores >= threshold
        true = int(self.true[kept].sum())
        return true / max(1, int(kept.sum())), true / max(1, self.faces)

    def average_precision(self) -> float:
        """Compute the area under the curve of precision over recall, precision made monotonic.

        As in WIDER FACE and PASCAL VOC since 2010. Detections of equal score are taken together.
        """
        if not len(self.scores) or not self.faces:
            return 0.0
        last = np.append(np.diff(self.scores) != 0, True)  # of each score
        true = np.cumsum(self.true)[last]
        precision = true / (np.flatnonzero(last) + 1)
        best = np.maximum.accumulate(precision[::-1])[::-1]
        return float((np.diff(true, prepend=0) / self.faces * best).sum())


def match(boxes: Boxes, faces: Boxes, overlap: float = OVERLAP) -> NDArray[np.intp]:
    """Match detections with faces, one to one, the best score first.

    Args:
        boxes: (n, 4) detections, best first.
        faces: (m, 4).
        overlap: least IoU of a pair.

    Returns:
        (n,) index of each detection's face, or -1.
    """
    matched = np.full(len(boxes), -1, np.intp)
    overlaps = iou(boxes[:, None], faces[None])
    for row, values in enumerate(overlaps):
        if values.max(initial=0) >= overlap:
            matched[row] = values.argmax()
            overlaps[:, matched[row]] = 0
    return matched


def outcomes(
    found: Mapping[FrameKey, Found],
    judged: Sequence[Judged],
    size: tuple[int, int] = (MIN_SIZE, LARGEST),
    pose: str = "",
) -> Outcomes:
    """Decide for each detection whether it is true, false or ignored.

    Args:
        found: the detections by frame; frames without any may be missing.
        judged: the judged boxes of all frames.
        size: range of the longer side of the faces that are measured, in pixels, half open.
        pose: of the faces that are measured; empty for all. False detections have no pose: all of them count.
    """
    by_frame = boxes_by_frame(judged)
    rows: list[tuple[float, bool, bool]] = []
    faces = 0
    for key in sorted(found.keys() | by_frame.keys()):
        known = by_frame.get(key, [])
        faces_here = [one for one in known if _is_face(one) and pose in ("", one.pose)]
        wanted = [one for one in faces_here if size[0] <= one.size < size[1]]
        other = [one for one in known if one.verdict != "none" and one not in wanted]
        faces += len(wanted)
        if key in found:
            rows += _frame_outcomes(found[key], wanted, other, known, size)
    rows.sort(key=lambda row: -row[0])
    scores, true, unjudged = zip(*rows, strict=True) if rows else ((), (), ())
    return Outcomes(np.array(scores, float), np.array(true, bool), faces, np.array(unjudged, bool))


def _is_face(one: Judged) -> bool:
    return one.verdict == "face" and one.size >= MIN_SIZE


def _frame_outcomes(
    found: Found,
    wanted: Sequence[Judged],
    other: Sequence[Judged],
    known: Sequence[Judged],
    size: tuple[int, int],
) -> list[tuple[float, bool, bool]]:
    """Return score, whether it is true, and whether it is unjudged of each detection that counts."""
    matched = match(found.boxes, boxes_of(wanted))
    ignored = _best_overlap(found.boxes, boxes_of(other)) >= OVERLAP
    judged = _best_overlap(found.boxes, boxes_of(known)) >= OVERLAP
    sides = (found.boxes[:, 2:] - found.boxes[:, :2]).max(axis=1, initial=0)
    within = (sides >= size[0]) & (sides < size[1])
    return [
        (float(found.scores[i]), bool(matched[i] >= 0), bool(matched[i] < 0 and not judged[i]))
        for i in range(len(found.boxes))
        if matched[i] >= 0 or (within[i] and not ignored[i])
    ]


def _best_overlap(boxes: Boxes, others: Boxes) -> Floats:
    best: Floats = iou(boxes[:, None], others[None]).max(axis=1, initial=0)
    return best


def keypoint_errors(
    detectors: Mapping[str, Mapping[FrameKey, Found]], kinds: Mapping[str, str], judged: Sequence[Judged]
) -> tuple[list[Judged], dict[str, Floats]]:
    """Measure how far the keypoints of each detector lie from the median of the others.

    Args:
        detectors: detections by detector and frame.
        kinds: the kind of each detector. The others of a detector are the first detector of each other kind,
            since two of one kind were trained on the same keypoints.

    Returns:
        The n faces that every detector found. By detector, (n,): mean distance of the five keypoints from
        the median of the others', as a share of the longer side of the face's box.
    """
    firsts = {kind: name for name, kind in reversed(list(kinds.items()))}
    common: list[Judged] = []
    rows: dict[str, list[float]] = {name: [] for name in detectors}
    for key, known in boxes_by_frame(judged).items():
        faces = [one for one in known if _is_face(one)]
        points = {name: _points(found.get(key), faces) for name, found in detectors.items()}
        for i, face in enumerate(faces):
            if all(i in seen for seen in points.values()):
                common.append(face)
                for name, seen in points.items():
                    others = [points[first][i] for kind, first in firsts.items() if kind != kinds[name]]
                    apart = np.linalg.norm(seen[i] - np.median(others, axis=0), axis=1)
                    rows[name].append(float(apart.mean()) / face.size)
    return common, {name: np.array(row) for name, row in rows.items()}


def _points(found: Found | None, faces: Sequence[Judged]) -> dict[int, Floats]:
    """Return the keypoints of the faces that were found, by index of the face."""
    if found is None:
        return {}
    matched = match(found.boxes, boxes_of(faces))
    return {int(face): found.keypoints[row] for row, face in enumerate(matched) if face >= 0}
