"""Which trajectories are one person: average linkage that never joins two faces of one frame.

Pure first, then few. The groups whose members are closest on average are joined first (UPGMA: R. R.
Sokal, C. D. Michener, 1958), each trajectory counting by its worth, and nothing is joined beyond a
threshold from the embedder's own calibration; how many people there are is nobody's input. A group
cannot-link whatever one of its members does.

The average is taken of cosines, half the squared distances of unit vectors, so the similarity of two
groups is the product of their mean vectors. Groups that no pair of members bring below the threshold
can never be joined, so the work is done, exactly, on the connected parts of the graph of near pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec.constraints import Continuations, Pairs
from facerec.settings import ClusterSettings

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

_BLOCK = 512  # rows of the similarity matrix computed at once
_ENOUGH = 20  # pairs of strangers from which a film may speak for itself


@dataclass(frozen=True)
class Clustering:
    """Attributes:
    labels: (n,) int64, dense from 0, biggest cluster first, then by first trajectory.
    distance: the mean distance up to which groups were joined.
    continued: how many trajectories were joined because they go on where another ended.
    split: how many clusters more there are because of `max_size`.
    """

    labels: Ints
    distance: float
    continued: int
    split: int


def cluster(
    vectors: Floats,
    weights: Floats,
    usable: NDArray[np.bool_],
    cannot_link: Pairs,
    continuing: Continuations,
    same_person: float,
    settings: ClusterSettings | None = None,
) -> Clustering:
    """Group trajectories into people.

    Args:
        vectors: (n, d) of Euclidean length 1 where usable.
        weights: (n,) how much each counts, > 0 where usable.
        usable: (n,) bool; what is not is alone, unless it goes on where a neighbour ended.
        cannot_link: (p, 2) pairs that are two people; ignored where `settings.allow_same_frame`.
        continuing: candidates that need less likeness.
        same_person: distance at which two faces are as likely one person as two.
    """
    settings = settings or ClusterSettings()
    n = len(vectors)
    distance = _threshold(vectors, usable, cannot_link, same_person, settings)
    if settings.allow_same_frame:
        cannot_link = cannot_link[:0]
    groups = _Groups(n, cannot_link)
    continued = 0
    for (i, j), gap in zip(continuing.pairs.tolist(), continuing.gaps.tolist(), strict=True):
        limit = same_person * (1 + settings.tolerance * (1 - gap))
        alike = np.linalg.norm(vectors[i] - vectors[j]) <= limit
        unseen = not (usable[i] and usable[j]) and gap <= 0.25  # too poor to compare, but right after
        if (alike and usable[i] and usable[j]) or unseen:
            continued += groups.join(i, j)
    of = groups.labels()
    means, weight = _means(vectors, np.where(usable, weights, 0), of)
    seen = np.flatnonzero(weight > 0)
    at = np.full(len(weight), -1)
    at[seen] = np.arange(len(seen))
    apart = at[of[cannot_link]]
    joined = _agglomerate(means[seen], weight[seen], apart[(apart >= 0).all(1)], 1 - distance**2 / 2)
    final = np.arange(len(weight)) + len(seen)
    final[seen] = joined
    whole = final[of] if n else np.empty(0, np.int64)
    parts = _split(vectors, whole, settings.max_size)
    split = len(np.unique(parts)) - len(np.unique(whole))
    return Clustering(_by_size(parts), distance, continued, split)


def _threshold(
    vectors: Floats,
    usable: NDArray[np.bool_],
    strangers: Pairs,
    same_person: float,
    settings: ClusterSettings,
) -> float:
    """The embedder's distance, lowered where this film's strangers would pass for one person.

    In a small, dark or blurred film all faces lie closer together. People seen in one frame show how
    close strangers get here; a quantile, because of mirrors.
    """
    distance = settings.threshold * same_person
    pairs = strangers[usable[strangers].all(1)] if len(strangers) else strangers
    if len(pairs) < _ENOUGH:
        return distance
    near = [
        np.sqrt(np.maximum(2 - 2 * np.einsum("ij,ij->i", vectors[block[:, 0]], vectors[block[:, 1]]), 0))
        for block in np.array_split(pairs, 1 + len(pairs) // 10_000)
    ]
    closest = float(np.quantile(np.concatenate(near), settings.strangers))
    return max(min(distance, closest), settings.least_threshold * same_person)


class _Groups:
    """Disjoint sets of trajectories that respect cannot-links."""

    def __init__(self, n: int, cannot_link: Pairs) -> None:
        self._members = {i: [i] for i in range(n)}
        self._of = list(range(n))
        self._apart: dict[int, set[int]] = {}
        for i, j in cannot_link.tolist():
            self._apart.setdefault(i, set()).add(j)
            self._apart.setdefault(j, set()).add(i)

    def join(self, i: int, j: int) -> bool:
        """Join the groups of `i` and `j` if no two of their members are apart."""
        a, b = sorted((self._of[i], self._of[j]))
        others = self._members[b]
        if a == b or any(not self._apart.get(k, set()).isdisjoint(others) for k in self._members[a]):
            return False
        for k in self._members[b]:
            self._of[k] = a
        self._members[a] += self._members.pop(b)
        return True

    def labels(self) -> Ints:
        """(n,) dense, in order of first member."""
        return np.unique(np.array(self._of, np.int64), return_inverse=True)[1].astype(np.int64)


def _means(vectors: Floats, weights: Floats, of: Ints) -> tuple[Floats, NDArray[np.float64]]:
    """Weighted mean vector, not normalised, and whole weight of each group."""
    from scipy.sparse import csr_array

    m = int(of.max(initial=-1)) + 1
    member = csr_array((weights.astype(np.float64), (of, np.arange(len(of)))), shape=(m, len(of)))
    weight = np.asarray(member.sum(axis=1), np.float64)
    return ((member @ vectors) / np.maximum(weight, 1e-12)[:, None]).astype(np.float32), weight


def _agglomerate(means: Floats, weight: NDArray[np.float64], apart: Pairs, least: float) -> Ints:
    """Labels (m,) of constrained weighted average linkage down to the similarity `least`."""
    labels = _connected(means, least)
    order = np.argsort(labels, kind="stable")
    bounds = np.searchsorted(labels[order], np.arange(labels.max(initial=-1) + 2))
    place = np.empty(len(means), np.int64)
    place[order] = np.arange(len(means)) - bounds[labels[order]]
    inner = apart[labels[apart[:, 0]] == labels[apart[:, 1]]]
    inner = inner[np.argsort(labels[inner[:, 0]], kind="stable")]
    inner_bounds = np.searchsorted(labels[inner[:, 0]], np.arange(len(bounds)))
    found = np.arange(len(means))
    for part in range(len(bounds) - 1):
        members = order[bounds[part] : bounds[part + 1]]
        if len(members) > 1:
            pairs = place[inner[inner_bounds[part] : inner_bounds[part + 1]]]
            found[members] = members[_link(means[members], weight[members], pairs, least)]
    return found


def _connected(means: Floats, least: float) -> Ints:
    """Labels (m,) of the connected parts of the graph of pairs with similarity ≥ `least`."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    labels = np.arange(len(means))
    for begin in range(0, len(means), _BLOCK):
        near = means[begin : begin + _BLOCK] @ means[begin:].T >= least
        rows, columns = np.nonzero(near)
        a, b = labels[begin + rows], labels[begin + columns]
        edges = np.divmod(np.unique((a * len(means) + b)[a != b]), len(means))
        graph = coo_array((np.ones(len(edges[0]), np.int8), edges), shape=(len(means), len(means)))
        labels = connected_components(graph, directed=False)[1][labels]
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _link(means: Floats, weight: NDArray[np.float64], apart: Pairs, least: float) -> Ints:
    """For each of m groups the lowest member of the cluster that it ends in.

    The whole similarity matrix is kept up to date (G. N. Lance, W. T. Williams, 1967), and beside it a
    best partner of each row, which is looked for again only when its turn comes (the generic algorithm
    of D. Müllner, "Modern hierarchical, agglomerative clustering algorithms", 2011).
    """
    similar = means @ means.T
    np.fill_diagonal(similar, -np.inf)
    similar[apart[:, 0], apart[:, 1]] = similar[apart[:, 1], apart[:, 0]] = -np.inf
    of = np.arange(len(means))
    weight = weight.astype(np.float64)
    partner = similar.argmax(1)
    best = similar[np.arange(len(means)), partner]
    while True:
        i = int(best.argmax())
        if best[i] < least:
            return of
        if similar[i, partner[i]] < best[i]:  # an average can only have fallen since: look again
            partner[i] = similar[i].argmax()
            best[i] = similar[i, partner[i]]
            continue
        i, j = sorted((i, int(partner[i])))
        share = np.float32(weight[i] / (weight[i] + weight[j]))
        row = share * similar[i] + (1 - share) * similar[j]  # -inf, a cannot-link, stays
        row[[i, j]] = -np.inf
        similar[i], similar[:, i] = row, row
        similar[j], similar[:, j] = -np.inf, -np.inf
        weight[i] += weight[j]
        of[of == j] = i
        best[j] = -np.inf
        partner[i] = row.argmax()
        best[i] = row[partner[i]]


def _split(vectors: Floats, labels: Ints, max_size: int) -> Ints:
    """Cut clusters of more than `max_size` into parts of like faces, as equal as can be."""
    labels = labels.copy()
    free = int(labels.max(initial=-1)) + 1
    order = np.argsort(labels, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
        stack = [members]
        while stack:
            whole = stack.pop()
            if len(whole) <= max_size:
                continue
            pages = -(-len(whole) // max_size)
            cut = len(whole) * (pages // 2) // pages
            along = whole[np.argsort(_principal(vectors[whole]), kind="stable")]
            left, right = np.sort(along[:cut]), np.sort(along[cut:])
            labels[right] = free
            free += 1
            stack += [left, right]
    return labels


def _principal(vectors: Floats) -> NDArray[np.float64]:
    """Coordinate of each row along the direction in which they differ most; the first row's is ≤ 0."""
    centred = (vectors - vectors.mean(0)).astype(np.float64)
    along = centred @ np.linalg.eigh(centred.T @ centred)[1][:, -1]
    return np.asarray(-along if along[0] > 0 else along)


def _by_size(labels: Ints) -> Ints:
    """Dense labels, biggest cluster first, then by first member."""
    _, first, dense, sizes = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    rank = np.empty(len(first), np.int64)
    rank[np.lexsort((first, -sizes))] = np.arange(len(first))
    return rank[dense]
