"""Which trajectories are one person: agglomeration that never joins two faces of one frame.

Pure first, then few. The two groups that are likeliest one person are joined first (`linkage`, by the
embedder's own calibration and each trajectory's worth), and nothing is joined without strong evidence; how
many people there are is nobody's input. A group cannot-link whatever one of its members does. In the
end whoever is well known is also recognised where a look alone would be too little, if nobody else who is
well known is nearly as likely; what is too poor for that is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec.people.constraints import Continuations, Pairs
from facerec.people.density import dense_clusters
from facerec.people.linkage import Groups, link, reliability
from facerec.settings import HDBSCAN, ClusterSettings

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

_ENOUGH = 20  # pairs of strangers from which a film may speak for itself


@dataclass(frozen=True)
class Clustering:
    """Attributes:
    labels: (n,) int64, dense from 0, biggest cluster first, then by first trajectory.
    evidence: nats, from which groups were joined; None where the method is HDBSCAN.
    continued: how many trajectories were joined because they go on where another ended.
    split: how many clusters more there are because of `max_size`.
    """

    labels: Ints
    evidence: float | None
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
    reliable = np.where(usable, reliability(weights, settings), 0)
    looks = Groups.of_looks(vectors, reliable, settings.threshold * same_person, settings.max_precision)
    least = None if settings.method == HDBSCAN else _least_evidence(looks, cannot_link, settings)
    if settings.allow_same_frame:
        cannot_link = cannot_link[:0]
    joining = _Joining(n, cannot_link)
    continued = 0
    for (i, j), gap in zip(continuing.pairs.tolist(), continuing.gaps.tolist(), strict=True):
        limit = same_person * (1 + settings.tolerance * (1 - gap))
        alike = np.linalg.norm(vectors[i] - vectors[j]) <= limit
        unseen = not (usable[i] and usable[j]) and gap <= 0.25  # too poor to compare, but right after
        if (alike and usable[i] and usable[j]) or unseen:
            continued += joining.join(i, j)
    of = joining.labels()
    groups, apart = looks.joined(of), of[cannot_link]
    if least is None:
        final = _by_density(groups, apart, settings.threshold * same_person, settings.hdbscan_epsilon)
    else:
        clusters = np.unique(link(groups, apart, least), return_inverse=True)[1].astype(np.int64)
        final = _recognise(groups.joined(clusters), clusters[apart], settings)[clusters]
    whole = final[of] if n else of
    parts = _split(vectors, whole, settings.max_size)
    split = len(np.unique(parts)) - len(np.unique(whole))
    return Clustering(_by_size(parts), least, continued, split)


def _least_evidence(looks: Groups, strangers: Pairs, settings: ClusterSettings) -> float:
    """The evidence that is asked for, raised where this film's strangers would pass for one person.

    In a small, dark or blurred film all faces lie closer together. People seen in one frame show how
    close strangers get here; a quantile, because of mirrors.
    """
    known = looks.weights > 0
    least = settings.min_log_likelihood_ratio + np.log(max(1, known.sum())) / 2
    pairs = strangers[known[strangers].all(1)] if len(strangers) else strangers
    if len(pairs) < _ENOUGH:
        return float(least)
    closest = np.quantile(looks.pair_evidence(pairs), 1 - settings.false_link_rate)
    return float(np.clip(closest, least, max(least, settings.max_log_likelihood_ratio)))


class _Joining:
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


def _recognise(groups: Groups, apart: Pairs, settings: ClusterSettings) -> Ints:
    """Join small clusters to the well-known one that they most likely are; labels (m,) of the m clusters."""
    known = np.flatnonzero(groups.precision >= settings.core_precision)
    small = np.flatnonzero((groups.precision < settings.core_precision) & (groups.weights > 0))
    joining = _Joining(len(groups.sums), np.unique(apart, axis=0))
    if not len(known) or not len(small):
        return joining.labels()
    dots, weights = groups.sums[small] @ groups.sums[known].T, groups.weights
    products = groups.products(dots, np.outer(weights[small], weights[known]))
    found = groups.evidence(small[:, None], known, products)
    likeliest = found.argmax(1)
    most = found[np.arange(len(small)), likeliest]
    found[np.arange(len(small)), likeliest] = -np.inf
    sure = (most >= settings.attach_log_likelihood_ratio) & (most - found.max(1) >= settings.attach_margin)
    for at in np.argsort(-most, kind="stable").tolist():
        if sure[at]:
            joining.join(int(small[at]), int(known[likeliest[at]]))
    return joining.labels()


def _by_density(groups: Groups, apart: Pairs, same_person: float, epsilon: float) -> Ints:
    """HDBSCAN's clusters, each cut into parts that hold no cannot-link; noise is alone; labels (m,).

    The strongest members come first, and each goes to the part with the nearest mean that it may join.
    """
    joining = _Joining(len(groups.sums), np.unique(apart, axis=0))
    known = np.flatnonzero(groups.weights > 0)
    vectors = groups.sums[known]
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    found, strength = dense_clusters(vectors, epsilon * same_person, same_person)
    parts: dict[int, dict[int, Floats]] = {}  # by cluster, the sum of the vectors by first member
    for i in np.argsort(-strength, kind="stable").tolist():
        if found[i] < 0:
            continue
        sums = parts.setdefault(int(found[i]), {})
        cosines = {part: float(total @ vectors[i] / np.linalg.norm(total)) for part, total in sums.items()}
        for part in sorted(sums, key=cosines.__getitem__, reverse=True):
            if joining.join(int(known[part]), int(known[i])):
                sums[part] = sums[part] + vectors[i]
                break
        else:
            sums[i] = vectors[i]
    return joining.labels()


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
