"""Match a folder's trajectories with the identities of boxes or thumbnails in the ground truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec.annotations.identities import MIXED, NO_FACE
from facerec.folder.records import Trajectory
from facerec.geometry import iou

MATCH_IOU = 0.4  # minimum overlap of a box with one of the truth's: detectors frame faces differently


@dataclass(frozen=True)
class Matched:
    """Trajectories with the identities of the truth that they were matched with.

    An identity is a person's plain name, `NO_FACE`, `MIXED`, or `NOT` followed by a name.

    Attributes:
        boxes: for each trajectory, the number of its boxes by identity.
        pictures: for each trajectory, the identity on its first and its last thumbnail (one entry if they
            are the same thumbnail); None if the truth has no answer.
        truth_boxes: boxes of faces in the truth, those of uncertain identity included; found_boxes: how many
            of them were matched. None if the truth has no boxes.
        truth_tracks: number of tracks in the truth by identity; None if it has no tracks.
    """

    boxes: Sequence[Counter[str]]
    pictures: Sequence[tuple[str | None, ...]]
    truth_boxes: int | None
    found_boxes: int | None
    truth_tracks: Mapping[str, int] | None

    def identity(self, trajectory: int) -> str | None:
        """Return the identity of most of a trajectory's boxes, `MIXED` where two have equally many."""
        most = self.boxes[trajectory].most_common(2)
        if len(most) == 2 and most[0][1] == most[1][1]:
            return MIXED
        return most[0][0] if most else None


def match_boxes(
    trajectories: Sequence[Trajectory],
    thumbnails: Mapping[int, Sequence[int]],
    frames: NDArray[np.int64],
    boxes: NDArray[np.float64],
    tracks: Sequence[str],
    identities: Sequence[str | None],
) -> Matched:
    """Match trajectories with a truth given as boxes: in each frame one to one, greatest overlap first.

    Args:
        thumbnails: frames of each trajectory's thumbnails, ascending, by its index.
        frames: (n,) frame of each box of the truth.
        boxes: (n, 4) x1, y1, x2, y2 in display pixels.
        tracks, identities: (n,) of the truth's boxes; the identity is None if the truth is uncertain.
    """
    counts: list[Counter[str]] = [Counter() for _ in trajectories]
    identity_at: dict[tuple[int, int], str] = {}  # by trajectory and frame
    found = 0
    for (index, frame), true in pair_with_truth(trajectories, frames, boxes).items():
        identity = identities[true]
        found += identity != NO_FACE
        if identity is not None:
            counts[index][identity] += 1
            identity_at[index, frame] = identity
    faces = sum(identity != NO_FACE for identity in identities)
    distinct_tracks = set(zip(tracks, identities, strict=True))
    tracks_by_identity = Counter(identity for _, identity in distinct_tracks if identity is not None)
    shown = _thumbnail_identities(trajectories, thumbnails, identity_at)
    return Matched(counts, shown, faces, found, tracks_by_identity)


def pair_with_truth(
    trajectories: Sequence[Trajectory], frames: NDArray[np.int64], boxes: NDArray[np.float64]
) -> dict[tuple[int, int], int]:
    """Pair the boxes of trajectories with those of a truth: in each frame one to one, greatest overlap first.

    Args:
        frames: (n,) frame of each box of the truth; boxes: (n, 4) x1, y1, x2, y2 in display pixels.

    Returns:
        Row of the truth by (trajectory, frame); boxes without a partner are left out.
    """
    blocks = [
        np.column_stack([np.arange(t.start, t.end), np.full(len(t.boxes), t.index), t.boxes])
        for t in trajectories
    ]
    rows = np.concatenate([np.empty((0, 6), np.int64), *blocks])  # frame, trajectory, x1, y1, x2, y2
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    pairs = _best_pairs(rows[:, 0], rows[:, 2:], frames, boxes)
    return {(int(rows[row, 1]), int(rows[row, 0])): true for row, true in pairs}


def match_labels(
    trajectories: Sequence[Trajectory],
    thumbnails: Mapping[int, Sequence[int]],
    labels: Mapping[tuple[int, int], str],
) -> Matched:
    """Match trajectories with a truth given as labels of thumbnails.

    A thumbnail without a usable face says nothing about a trajectory that shows one on another thumbnail.
    A trajectory with thumbnails of two identities is `MIXED`, however many there are of each.

    Args:
        thumbnails: frames of each trajectory's thumbnails, ascending, by its index.
        labels: identity by (trajectory, frame).
    """
    counts: list[Counter[str]] = [Counter() for _ in trajectories]
    for (index, _), identity in labels.items():
        counts[index][identity] += 1
    counts = [_trajectory_counts(one) for one in counts]
    shown = _thumbnail_identities(trajectories, thumbnails, labels)
    return Matched(counts, shown, None, None, None)


def _trajectory_counts(labels: Counter[str]) -> Counter[str]:
    """Return the number of a trajectory's labelled thumbnails by identity, as `Matched.boxes` holds them."""
    faces = Counter({identity: n for identity, n in labels.items() if identity != NO_FACE})
    if len(faces) > 1:
        return Counter({MIXED: faces.total()})
    return faces or labels


def _thumbnail_identities(
    trajectories: Sequence[Trajectory],
    thumbnails: Mapping[int, Sequence[int]],
    identity_at: Mapping[tuple[int, int], str],
) -> list[tuple[str | None, ...]]:
    """Return the identities on the first and the last thumbnail of each trajectory."""
    return [
        tuple(
            identity_at.get((t.index, frame))
            for frame in sorted({*thumbnails[t.index][:1], *thumbnails[t.index][-1:]})
        )
        if t.index in thumbnails
        else ()
        for t in trajectories
    ]


def _best_pairs(
    frames: NDArray[np.int64],
    boxes: NDArray[np.int64],
    true_frames: NDArray[np.int64],
    true_boxes: NDArray[np.float64],
) -> list[tuple[int, int]]:
    """Pair boxes of the same frame one to one, greatest overlap first.

    Args:
        frames: (m,) ascending, of `boxes` (m, 4).
        true_frames: (n,) of `true_boxes` (n, 4).

    Returns:
        Pairs (row of `boxes`, row of `true_boxes`) that overlap by at least `MATCH_IOU`.
    """
    first, end = (np.searchsorted(frames, true_frames, side) for side in ("left", "right"))
    candidates = end - first
    true = np.repeat(np.arange(len(true_frames)), candidates)
    rows = np.arange(len(true)) + np.repeat(first - (np.cumsum(candidates) - candidates), candidates)
    overlap = iou(boxes[rows], true_boxes[true])
    order = np.lexsort((true, rows, -overlap))
    order = order[overlap[order] >= MATCH_IOU]
    taken, true_taken = np.zeros(len(boxes), bool), np.zeros(len(true_boxes), bool)
    pairs: list[tuple[int, int]] = []
    for i, j in zip(rows[order].tolist(), true[order].tolist(), strict=True):
        if not taken[i] and not true_taken[j]:
            taken[i] = true_taken[j] = True
            pairs.append((i, j))
    return pairs
