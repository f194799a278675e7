"""Finds, for every cluster, the clusters most likely to be the same person, for annotators to decide.

Two kinds of evidence: the faces, with the log-likelihood ratio by which trajectories were clustered, and the
places in the picture, which the clustering does not use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec.folder.records import Trajectory
from facerec.geometry import iou
from facerec.people.constraints import Pairs
from facerec.people.plda import Doubles, Floats, Groups, Ints, reliability
from facerec.settings import ClusterSettings

NEAREST = 24  # clusters listed for each
_ROWS = 256  # clusters compared with all others at once; bounds memory
_MAX_SHOTS = 10  # between two faces of which the places are compared
_OVERLAPS = (0.3, 0.5, 0.7)  # limits of the classes of intersection over union


@dataclass(frozen=True)
class Neighbours:
    """The likeliest partners of n clusters, most likely first.

    Attributes:
        clusters: (n, k) int64, -1 where there is no further one.
        ratios: (n, k) log-likelihood ratio of one person against two, in nats; -inf where there is none.
    """

    clusters: Ints
    ratios: Doubles


def neighbours(
    vectors: Floats,
    quality: Floats,
    usable: NDArray[np.bool_],
    labels: Ints,
    cannot_link: Pairs,
    same_person: float,
    settings: ClusterSettings | None = None,
    nearest: int = NEAREST,
) -> Neighbours:
    """Compare every cluster with all others.

    A cluster has no partner among those seen in one frame with it, and none if it has no usable trajectory.

    Args:
        vectors: (t, d), `quality` and `usable` (t,): see `trajectory_vectors.TrajectoryVectors`.
        labels: (t,) cluster of each trajectory, dense from 0.
        cannot_link: (p, 2) pairs of trajectories of two people.
        same_person: Euclidean distance at which two faces are as likely one person as two.
        nearest: number of partners of each cluster.
    """
    settings = settings or ClusterSettings()
    reliabilities = np.where(usable, reliability(quality, settings), 0)
    threshold = settings.threshold * same_person
    groups = Groups.from_observations(vectors, reliabilities, threshold, settings.max_precision).merged(
        labels
    )
    n = len(groups.sums)
    apart = np.sort(labels[cannot_link].reshape(-1, 2), axis=1)
    apart = np.unique(apart[apart[:, 0] != apart[:, 1]], axis=0)
    k = min(nearest, max(0, n - 1))
    found, ratios = np.full((n, k), -1, np.int64), np.full((n, k), -np.inf)
    known = groups.weights > 0
    for begin in range(0, n if k else 0, _ROWS):
        rows = np.arange(begin, min(n, begin + _ROWS))
        dots = groups.sums[rows] @ groups.sums.T
        products = groups.products(dots, np.outer(groups.weights[rows], groups.weights))
        block = groups.log_likelihood_ratio(rows[:, None], np.arange(n), products)
        block[:, ~known] = block[~known[rows]] = -np.inf
        block[np.arange(len(rows)), rows] = -np.inf
        for i, j in (apart.T, apart.T[::-1]):
            here = (i >= begin) & (i < begin + len(rows))
            block[i[here] - begin, j[here]] = -np.inf
        order = np.argsort(-block, axis=1, kind="stable")[:, :k]
        ratios[rows] = np.take_along_axis(block, order, axis=1)
        found[rows] = np.where(np.isfinite(ratios[rows]), order, -1)
    return Neighbours(found, ratios)


def places(trajectories: Sequence[Trajectory], cuts: Sequence[int]) -> tuple[Pairs, Doubles]:
    """Compare where the faces of trajectories are in the picture, in shots that are near each other.

    A scene returns to the same cameras, mostly every other shot, and then the same person is at the same
    place. Two trajectories at the same time are compared like others; see `constraints.cannot_links`.

    Args:
        cuts: first frame of each new shot, ascending.

    Returns:
        (p, 2) pairs of trajectories, i < j, and (p,) log-likelihood ratios of one person against two, in
        nats; pairs without a positive one are left out.
    """
    n = len(trajectories)
    boxes = np.array([np.median(one.boxes, axis=0) for one in trajectories], np.float64).reshape(n, 4)
    shots = shots_of(trajectories, cuts)
    order = np.argsort(shots, kind="stable")
    ends = np.searchsorted(shots[order], shots[order] + _MAX_SHOTS, side="right")
    counts = ends - np.arange(n) - 1
    first = np.repeat(np.arange(n), counts)
    second = first + 1 + np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
    pairs = np.sort(np.column_stack([order[first], order[second]]).reshape(-1, 2), axis=1)
    overlap = iou(boxes[pairs[:, 0]], boxes[pairs[:, 1]])
    distance = np.abs(shots[pairs[:, 1]] - shots[pairs[:, 0]])
    ratios = _RATIOS[distance, np.searchsorted(_OVERLAPS, overlap, side="right")]
    kept = (overlap > 0) & (ratios > 0)
    return pairs[kept], ratios[kept]


def shots_of(trajectories: Sequence[Trajectory], cuts: Sequence[int]) -> Ints:
    """Return the number (t,) of the shot of each trajectory."""
    starts = np.array([one.start for one in trajectories], np.int64)
    return np.searchsorted(np.asarray(cuts, np.int64), starts, side="right").astype(np.int64)


def _ratio_table() -> NDArray[np.float64]:
    """Return the ratio by number of shots between two faces and class of their overlap, see `_OVERLAPS`.

    Measured on pairs of tracks of six TV episodes: of those at the same place (overlap above 0.7), 98 % are
    one person two shots later and 80 % eight shots later, but half of them in the next shot, which mostly
    shows somebody else; of all pairs, 20 %.
    """
    rows = [[2.4, 4.6, 5.6, 6.0], [0.0, 0.2, 0.3, 1.4]]
    for shots in range(2, _MAX_SHOTS + 1):
        factor = (1 - (shots - 2) / 16) * (1 if shots % 2 == 0 else 0.5)
        rows.append([1.3 * factor, 2.4 * factor, 3.4 * factor, 4.9 * factor])
    return np.array(rows)


_RATIOS = _ratio_table()
