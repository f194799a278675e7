"""What time and place say about who is who, before any face is compared.

Two faces in one frame are two people (a cannot-link, as in K. Wagstaff et al., "Constrained k-means
clustering with background knowledge", 2001). Where in one shot a trajectory ends and another soon
begins at the same place and size, the two are candidates for one person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facerec.folder.records import Trajectory
from facerec.geometry import iou
from facerec.settings import ClusterSettings

Pairs = NDArray[np.int64]


@dataclass(frozen=True)
class Continuations:
    """Candidates for one person, nearest first; each trajectory continues and is continued at most once.

    Attributes:
        pairs: (p, 2) int64, earlier and later trajectory.
        gaps: (p,) float64, 0..1: frames between them as a share of the longest that counts.
    """

    pairs: Pairs
    gaps: NDArray[np.float64]


def cannot_links(trajectories: Sequence[Trajectory], settings: ClusterSettings | None = None) -> Pairs:
    """(p, 2) int64, i < j: the trajectories that were both detected in one frame, ascending.

    Two boxes that mostly cover each other are one face found twice, and no pair.
    """
    limit = (settings or ClusterSettings()).duplicate_iou
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
            if both.any() and np.median(iou(this.boxes[a][both], other.boxes[b][both])) < limit:
                found.append((min(i, j), max(i, j)))
        active.append(i)
    return np.array(sorted(found), np.int64).reshape(-1, 2)


def continuations(
    trajectories: Sequence[Trajectory], cuts: ArrayLike, settings: ClusterSettings | None = None
) -> Continuations:
    """Trajectories that may go on in another one of the same shot.

    Args:
        cuts: the first frame of each new shot, ascending.
    """
    settings = settings or ClusterSettings()
    n = len(trajectories)
    starts = np.array([t.start for t in trajectories], np.int64)
    first = np.array([t.boxes[0] for t in trajectories], np.float64).reshape(n, 4)
    shots = np.searchsorted(np.asarray(cuts, np.int64), starts, side="right")
    order = np.argsort(starts, kind="stable")
    earlier, later, apart, gaps = [], [], [], []
    for i, one in enumerate(trajectories):
        span = np.searchsorted(starts[order], [one.end, one.end + settings.max_gap])
        after = order[span[0] : span[1]]
        after = after[shots[after] == shots[i]]
        distance, ratio = _displacement(one.boxes[-1].astype(np.float64), first[after])
        near = (distance <= settings.max_shift) & (ratio <= settings.max_size_ratio)
        earlier += [i] * int(near.sum())
        later += after[near].tolist()
        apart += (distance[near] + np.log(ratio[near])).tolist()
        gaps += ((starts[after[near]] - one.end) / max(1, settings.max_gap)).tolist()
    pairs = np.column_stack([earlier, later]).astype(np.int64).reshape(-1, 2)
    kept, ends, begins = [], set(), set()
    for p in np.lexsort((*pairs.T[::-1], np.round(apart, 6))).tolist():
        i, j = pairs[p].tolist()
        if i not in ends and j not in begins:
            kept.append(p)
        # a rival that is farther away stays one: where it is unclear who goes on, only the nearest may
        ends.add(i)
        begins.add(j)
    return Continuations(pairs[kept], np.array(gaps, np.float64)[kept])


def _displacement(
    box: NDArray[np.float64], boxes: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distance of centres in face sizes, and ratio of sizes ≥ 1, of `box` (4,) and each of `boxes` (n, 4)."""
    size = max(1.0, float(box[2:].sum() - box[:2].sum()) / 2)
    sizes = np.maximum(1.0, (boxes[:, 2:].sum(1) - boxes[:, :2].sum(1)) / 2)
    shift = ((boxes[:, :2] + boxes[:, 2:]) - (box[:2] + box[2:])) / 2
    distance = np.sqrt(np.square(shift).sum(1)) / ((size + sizes) / 2)
    return distance, np.maximum(sizes / size, size / sizes)
