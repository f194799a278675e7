"""Clusters trajectories into people, and never puts two faces of one frame into one cluster.

Pure clusters matter more than few clusters, and the number of people need not be known. First, trajectories
that continue each other are joined. Then the groups most likely to be one person are joined, as long as the
log-likelihood ratio of the PLDA model is well above 0. Last, small clusters are attached to core clusters
(those with many good observations), if one core cluster is much more likely than all others. A cannot-link of
one member applies to its whole group. A trajectory of too low quality stays alone.

HDBSCAN (`density`) can replace the second and third step. `pages` divides the result into pages.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec.people.constraints import Continuations, Pairs
from facerec.people.density import hdbscan_labels
from facerec.people.linkage import agglomerate
from facerec.people.plda import Floats, Groups, Ints, reliability
from facerec.settings import HDBSCAN, ClusterSettings

_MIN_PAIRS = 20  # seen in one frame, from which the film itself may raise the limit of the ratio
_MAX_GAP_UNCOMPARED = 0.25  # gap of a continuation, as in `Continuations`, joined without comparing faces


@dataclass(frozen=True)
class Clustering:
    """The clusters of n trajectories.

    Attributes:
        labels: (n,) int64, person of each trajectory, dense from 0, in the order of their first trajectories.
        min_log_likelihood_ratio: minimum ratio for which groups were joined, in nats; None with HDBSCAN.
        continued: number of trajectories joined as continuations of another.
    """

    labels: Ints
    min_log_likelihood_ratio: float | None
    continued: int


def cluster(
    vectors: Floats,
    quality: Floats,
    usable: NDArray[np.bool_],
    cannot_link: Pairs,
    continuations: Continuations,
    same_person: float,
    settings: ClusterSettings | None = None,
) -> Clustering:
    """Cluster n trajectories into people.

    Args:
        vectors: (n, d), L2-normalised where usable.
        quality: (n,) 0..1, above 0 where usable.
        usable: (n,) bool; one that is not stays alone, unless it continues another at once.
        cannot_link: (p, 2) pairs of two people; ignored with `settings.allow_same_frame`.
        continuations: pairs that are joined at larger distances.
        same_person: Euclidean distance at which two faces are as likely one person as two.
    """
    settings = settings or ClusterSettings()
    n = len(vectors)
    reliabilities = np.where(usable, reliability(quality, settings), 0)
    threshold = settings.threshold * same_person
    observations = Groups.from_observations(vectors, reliabilities, threshold, settings.max_precision)
    limit = None if settings.method == HDBSCAN else _ratio_limit(observations, cannot_link, settings)
    if settings.allow_same_frame:
        cannot_link = cannot_link[:0]
    sets = _DisjointSets(n, cannot_link)
    continued = 0
    for (i, j), gap in zip(continuations.pairs.tolist(), continuations.gaps.tolist(), strict=True):
        max_distance = same_person * (1 + settings.tolerance * (1 - gap))
        close = np.linalg.norm(vectors[i] - vectors[j]) <= max_distance
        comparable = usable[i] and usable[j]
        if (close and comparable) or (not comparable and gap <= _MAX_GAP_UNCOMPARED):
            continued += sets.join(i, j)
    group_of = sets.labels()
    groups, apart = observations.merged(group_of), group_of[cannot_link]
    if limit is None:
        person_of = _cluster_by_density(groups, apart, threshold, settings.hdbscan_epsilon)
    else:
        joined = agglomerate(groups, apart, limit)
        cluster_of = np.unique(joined, return_inverse=True)[1].astype(np.int64)
        person_of = _attach_to_core(groups.merged(cluster_of), cluster_of[apart], settings)[cluster_of]
    return Clustering(_by_first_member(person_of[group_of]) if n else group_of, limit, continued)


def _ratio_limit(observations: Groups, same_frame: Pairs, settings: ClusterSettings) -> float:
    """Return the minimum log-likelihood ratio of a join, raised if the people of this film look similar.

    In a small, dark or blurred film all faces are more similar. The pairs seen in one frame show how similar
    two people get; the limit is a quantile of their ratios, as a mirror shows one person twice.
    """
    known = observations.weights > 0
    limit = settings.min_log_likelihood_ratio + np.log(max(1, known.sum())) / 2
    pairs = same_frame[known[same_frame].all(1)] if len(same_frame) else same_frame
    if len(pairs) < _MIN_PAIRS:
        return float(limit)
    quantile = np.quantile(observations.pair_log_likelihood_ratio(pairs), 1 - settings.false_link_rate)
    return float(np.clip(quantile, limit, max(limit, settings.max_log_likelihood_ratio)))


class _DisjointSets:
    """Disjoint sets of n items that are joined unless two of their members cannot be linked."""

    def __init__(self, n: int, cannot_link: Pairs) -> None:
        self._members = {i: [i] for i in range(n)}
        self._set_of = list(range(n))
        self._cannot_link: dict[int, set[int]] = {}
        for i, j in cannot_link.tolist():
            self._cannot_link.setdefault(i, set()).add(j)
            self._cannot_link.setdefault(j, set()).add(i)

    def join(self, i: int, j: int) -> bool:
        """Join the sets of `i` and `j` if allowed; returns whether they were joined."""
        a, b = sorted((self._set_of[i], self._set_of[j]))
        others = self._members[b]
        if a == b or any(not self._cannot_link.get(k, set()).isdisjoint(others) for k in self._members[a]):
            return False
        for k in self._members[b]:
            self._set_of[k] = a
        self._members[a] += self._members.pop(b)
        return True

    def labels(self) -> Ints:
        """(n,) the set of each item, dense from 0, in order of first member."""
        return np.unique(np.array(self._set_of, np.int64), return_inverse=True)[1].astype(np.int64)


def _attach_to_core(clusters: Groups, cannot_link: Pairs, settings: ClusterSettings) -> Ints:
    """Attach small clusters to the most likely core cluster; returns labels (m,) of the m clusters."""
    core = np.flatnonzero(clusters.precision >= settings.core_precision)
    small = np.flatnonzero((clusters.precision < settings.core_precision) & (clusters.weights > 0))
    sets = _DisjointSets(len(clusters.sums), np.unique(cannot_link, axis=0))
    if not len(core) or not len(small):
        return sets.labels()
    dots, weights = clusters.sums[small] @ clusters.sums[core].T, clusters.weights
    products = clusters.products(dots, np.outer(weights[small], weights[core]))
    ratio = clusters.log_likelihood_ratio(small[:, None], core, products)
    likeliest = ratio.argmax(1)
    highest = ratio[np.arange(len(small)), likeliest]
    ratio[np.arange(len(small)), likeliest] = -np.inf
    margin = highest - ratio.max(1)
    attached = (highest >= settings.attach_log_likelihood_ratio) & (margin >= settings.attach_margin)
    for at in np.argsort(-highest, kind="stable").tolist():
        if attached[at]:
            sets.join(int(small[at]), int(core[likeliest[at]]))
    return sets.labels()


def _cluster_by_density(groups: Groups, cannot_link: Pairs, same_person: float, epsilon: float) -> Ints:
    """Cluster groups by HDBSCAN and split its clusters at cannot-links; returns labels (m,) of the m groups.

    In order of membership strength, each group of a cluster joins the part with the nearest mean that no
    cannot-link excludes, or starts a new part. Noise stays alone.
    """
    sets = _DisjointSets(len(groups.sums), np.unique(cannot_link, axis=0))
    known = np.flatnonzero(groups.weights > 0)
    vectors = groups.sums[known]
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    labels, strength = hdbscan_labels(vectors, epsilon * same_person, same_person)
    parts_of: dict[int, dict[int, Floats]] = {}  # by cluster: the sum of each part, by its first member
    for i in np.argsort(-strength, kind="stable").tolist():
        if labels[i] < 0:
            continue
        sums = parts_of.setdefault(int(labels[i]), {})
        cosines = {part: float(total @ vectors[i] / np.linalg.norm(total)) for part, total in sums.items()}
        for part in sorted(sums, key=cosines.__getitem__, reverse=True):
            if sets.join(int(known[part]), int(known[i])):
                sums[part] = sums[part] + vectors[i]
                break
        else:
            sums[i] = vectors[i]
    return sets.labels()


def _by_first_member(labels: Ints) -> Ints:
    """Make labels dense from 0, in the order of their first members."""
    _, first, dense = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[dense]
