"""Which trajectories are one person: agglomeration that never joins two faces of one frame.

Pure first, then few. The two groups whose mean directions are closest are joined first, each trajectory
counting by its worth, and nothing is joined beyond a threshold from the embedder's own calibration; how
many people there are is nobody's input. A group cannot-link whatever one of its members does.

The mean direction (the centroid of spherical k-means, I. S. Dhillon, D. S. Modha, "Concept decompositions
for large sparse text data using clustering", 2001), not the mean distance: looks of one person scatter
about the person, and averaging takes that away, so a person's groups come closer the more they hold,
while strangers stay as far apart as they are. In the end whoever is well known is also recognised in
small groups from somewhat farther away, if nobody else who is well known is nearly as close.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec.constraints import Continuations, Pairs
from facerec.settings import ClusterSettings

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

_APART = np.float32(-1e30)  # similarity of a cannot-link; finite, so that sums of it stay what they are
_ENOUGH = 20  # pairs of strangers from which a film may speak for itself


@dataclass(frozen=True)
class Clustering:
    """Attributes:
    labels: (n,) int64, dense from 0, biggest cluster first, then by first trajectory.
    distance: between mean directions, up to which groups were joined.
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
    sums = _sums(vectors, np.where(usable, weights, 0), of)
    final = _link(sums, of[cannot_link], 1 - distance**2 / 2)
    final = _recognise(sums, np.bincount(of), final, of[cannot_link], distance, settings)
    whole = final[of] if n else of
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


def _sums(vectors: Floats, weights: Floats, of: Ints) -> Floats:
    """Weighted sum of the vectors of each group."""
    from scipy.sparse import csr_array

    shape = int(of.max(initial=-1)) + 1, len(of)
    return np.asarray(csr_array((weights, (of, np.arange(len(of)))), shape=shape) @ vectors, np.float32)


def _link(sums: Floats, apart: Pairs, least: float) -> Ints:
    """For each of m groups the lowest member of the cluster that it ends in.

    The products of all sums are kept up to date, which is adding rows, and beside them each row's best
    partner. A partner's likeness can have fallen since it was noted, never risen, and is looked at again
    when its turn comes (the generic algorithm of D. Müllner, "Modern hierarchical, agglomerative
    clustering algorithms", 2011).

    Args:
        sums: (m, d) weighted sum of each group's vectors; zero: nothing is known, it stays alone.
        least: cosine of two sums below which they are not joined.
    """
    m = len(sums)
    of = np.arange(m)
    if m < 2:
        return of
    least = max(least, 1e-6)  # 0 is the likeness of what is unknown, or gone
    products = sums @ sums.T
    scale = 1 / np.sqrt(np.maximum(np.diag(products), 1e-12))
    scale[np.diag(products) < 1e-12] = 0
    np.fill_diagonal(products, _APART)
    products[apart[:, 0], apart[:, 1]] = products[apart[:, 1], apart[:, 0]] = _APART
    partner = np.empty(m, np.int64)
    best = np.empty(m, np.float32)

    def look(i: int) -> Floats:
        row = np.asarray(products[i] * scale * scale[i])
        partner[i] = row.argmax()
        best[i] = row[partner[i]]
        return row

    for i in range(m):
        look(i)
    while True:
        i = int(best.argmax())
        if best[i] < least:
            return of
        j = int(partner[i])
        if products[i, j] * scale[j] * scale[i] < best[i]:
            look(i)
            continue
        i, j = min(i, j), max(i, j)
        sums[i] += sums[j]
        of[of == j] = i
        products[i] += products[j]
        products[i, i] = _APART
        products[:, i] = products[i]
        scale[i], scale[j] = 1 / np.sqrt(sums[i] @ sums[i]), 0
        best[j] = -np.inf
        row = look(i)
        closer = row > best
        closer[[i, j]] = False
        partner[closer], best[closer] = i, row[closer]


def _recognise(
    sums: Floats, sizes: Ints, labels: Ints, apart: Pairs, distance: float, settings: ClusterSettings
) -> Ints:
    """Join small clusters to the well-known one that they are closest to, by far; labels (m,) as given.

    Args:
        sums, sizes: (m, d), (m,) of the groups that were linked.
        labels: (m,) the lowest group of each one's cluster.
    """
    clusters, of = np.unique(labels, return_inverse=True)
    total = np.bincount(of, sizes)
    means = _sums(sums, np.ones(len(sums), np.float32), of)
    length = np.linalg.norm(means, axis=1)
    means = means / np.maximum(length, 1e-6)[:, None]
    known = np.flatnonzero((total >= settings.well_known) & (length > 1e-6))
    small = np.flatnonzero((total < settings.well_known) & (length > 1e-6))
    if not len(known) or not len(small):
        return labels
    groups = _Groups(len(clusters), np.unique(of[apart], axis=0))
    away = np.sqrt(np.maximum(2 - 2 * (means[small] @ means[known].T), 0))
    nearest = away.argmin(1)
    closest = away[np.arange(len(small)), nearest]
    away[np.arange(len(small)), nearest] = np.inf
    limit = distance * settings.recognised / settings.threshold
    sure = (closest <= limit) & (away.min(1) >= closest + settings.margin * limit)
    for at in np.argsort(closest, kind="stable").tolist():
        if sure[at]:
            groups.join(int(small[at]), int(known[nearest[at]]))
    return clusters[groups.labels()[of]] if len(of) else labels


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
