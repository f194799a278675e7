"""Derives from time and position which trajectories are two people, and which may be one person.

Two faces in one frame are two people (cannot-link constraints, as in K. Wagstaff et al., "Constrained k-means
clustering with background knowledge", 2001). A trajectory that starts soon after another ends, in the same
shot and at about the same place and size, may continue it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facerec.folder.records import Trajectory
from facerec.geometry import iou
from facerec.settings import ClusterSettings, TrackSettings

Pairs = NDArray[np.int64]


@dataclass(frozen=True)
class Continuations:
    """Pairs of trajectories that may be one person, nearest first; each ends and starts at most one pair.

    Attributes:
        pairs: (p, 2) int64, the earlier and the later trajectory.
        gaps: (p,) float64, 0..1, frames between the two as a share of `ClusterSettings.max_gap`.
    """

    pairs: Pairs
    gaps: NDArray[np.float64]


def cannot_links(trajectories: Sequence[Trajectory], settings: ClusterSettings | None = None) -> Pairs:
    """Find the pairs of trajectories that were both detected in one frame; (p, 2) int64, i < j, ascending.

    Pairs of boxes that mostly overlap are one face detected twice, and are left out.
    """
    duplicate_iou = (settings or ClusterSettings()).duplicate_iou
    found: list[tuple[int, int]] = []
    active: list[int] = []
    for i in sorted(range(len(trajectories)), key=lambda i: (trajectories[i].start, i)):
        this = trajectories[i]
        active = [j for j in active if trajectories[j].end > this.start]
        for j in active:
            other = trajectories[j]
            end = min(this.end, other.end)
            a, b = slice(0, end - this.start), slice(this.start - other.start, end - other.start)
            both = this.detected[a] & other.detected[b]
            if both.any() and np.median(iou(this.boxes[a][both], other.boxes[b][both])) < duplicate_iou:
                found.append((min(i, j), max(i, j)))
        active.append(i)
    return np.array(sorted(found), np.int64).reshape(-1, 2)


def continuations(
    trajectories: Sequence[Trajectory],
    cuts: ArrayLike,
    settings: ClusterSettings | None = None,
    tracking: TrackSettings | None = None,
) -> Continuations:
    """Find the trajectories that may continue another one of the same shot.

    Two that the tracker would have linked, because their boxes overlap after a short gap, are the parts of a
    track that was split where its embeddings changed to another person. They do not continue each other.

    Args:
        cuts: the first frame of each new shot, ascending.
        tracking: with which the trajectories were linked.
    """
    settings, tracking = settings or ClusterSettings(), tracking or TrackSettings()
    n = len(trajectories)
    starts = np.array([t.start for t in trajectories], np.int64)
    first_boxes = np.array([t.boxes[0] for t in trajectories], np.float64).reshape(n, 4)
    shots = np.searchsorted(np.asarray(cuts, np.int64), starts, side="right")
    order = np.argsort(starts, kind="stable")
    earlier, later, costs, gaps, split = [], [], [], [], []
    for i, one in enumerate(trajectories):
        span = np.searchsorted(starts[order], [one.end, one.end + settings.max_gap])
        after = order[span[0] : span[1]]
        after = after[shots[after] == shots[i]]
        shift, size_ratio = _shift_and_size_ratio(one.boxes[-1].astype(np.float64), first_boxes[after])
        near = (shift <= settings.max_shift) & (size_ratio <= settings.max_size_ratio)
        earlier += [i] * int(near.sum())
        later += after[near].tolist()
        costs += (shift[near] + np.log(size_ratio[near])).tolist()
        gap = starts[after[near]] - one.end
        gaps += (gap / max(1, settings.max_gap)).tolist()
        linked = iou(one.boxes[-1], first_boxes[after[near]]) >= tracking.iou_threshold
        split += (linked & (gap <= tracking.max_gap)).tolist()
    pairs = np.column_stack([earlier, later]).astype(np.int64).reshape(-1, 2)
    kept, ended, started = [], set(), set()
    for p in np.lexsort((*pairs.T[::-1], np.round(costs, 6))).tolist():
        i, j = pairs[p].tolist()
        if i not in ended and j not in started and not split[p]:
            kept.append(p)
        # also of a pair that is not kept: of ambiguous continuations only the nearest counts
        ended.add(i)
        started.add(j)
    return Continuations(pairs[kept], np.array(gaps, np.float64)[kept])


def _shift_and_size_ratio(
    box: NDArray[np.float64], boxes: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compare `box` (4,) with each of `boxes` (n, 4), x1, y1, x2, y2.

    Returns:
        (n,) distances of the centres in mean face sizes, (n,) ratios of the sizes, at least 1.
    """
    size = max(1.0, float(box[2:].sum() - box[:2].sum()) / 2)
    sizes = np.maximum(1.0, (boxes[:, 2:].sum(1) - boxes[:, :2].sum(1)) / 2)
    shift = ((boxes[:, :2] + boxes[:, 2:]) - (box[:2] + box[2:])) / 2
    distance = np.sqrt(np.square(shift).sum(1)) / ((size + sizes) / 2)
    return distance, np.maximum(sizes / size, size / sizes)
