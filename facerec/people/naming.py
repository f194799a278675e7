"""Who a cluster is: its distances to the pictures of a movie's cast, as probabilities.

The nearest pictures of each actor decide (k nearest neighbours, taken per actor, so that whoever has
many pictures does not win by number). A distance becomes the odds of one person against two by the
embedder's own calibration, and the probabilities of the cast share their mass with *unknown*: most
people in a film are in no database. Two clusters seen in one frame never both get one name.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facerec.folder.documents import DISPLAY_THRESHOLD, MIN_PROBABILITY
from facerec.settings import NamingSettings

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

_COHORT = 1000  # probes that measure what choosing the nearest of many pictures gains by chance
_CELLS = 1 << 24  # distances held at once, 64 MB


def cluster_vectors(
    vectors: Floats, weights: Floats, usable: NDArray[np.bool_], labels: Ints, n_clusters: int
) -> tuple[Floats, NDArray[np.bool_]]:
    """The vector of each cluster: the direction of its trajectories' mean, weighted by their worth.

    Args:
        vectors: (n, d), `weights` and `usable` (n,): see `trajectory_vectors.TrajectoryVectors`.
        labels: (n,) cluster of each trajectory.

    Returns:
        (n_clusters, d) float32 of length 1, and whether there is one: a cluster of faces that are all
        too poor has none, and its row is zero.
    """
    sums = np.zeros((n_clusters, vectors.shape[1]))
    for trajectory in np.flatnonzero(usable).tolist():
        sums[labels[trajectory]] += weights[trajectory] * vectors[trajectory]
    length = np.linalg.norm(sums, axis=1)
    known = length > 1e-6
    return (sums / np.where(known, length, 1)[:, None]).astype(np.float32), known


def actor_distances(
    probes: Floats, gallery: Floats, actor_of: Ints, n_actors: int, k: int, softness: float
) -> NDArray[np.float64]:
    """How far each probe is from each actor, (n, n_actors).

    That of the k nearest pictures, at which their mean odds of showing one person with the probe stand:
    one picture that is near is not undone by two that show the actor as a child or in profile, and is
    itself worth a k-th if it is the only one, and mislabelled perhaps. The nearest of forty lie closer by
    chance than the only one there is; what strangers gain by that choice is measured on all probes and all
    pictures of others, and taken off (a zero-normalisation, R. Auckenthaler et al., "Score normalization for
    text-independent speaker verification systems", 2000).

    Args:
        probes: (n, d), gallery: (m, d), all of Euclidean length 1.
        actor_of: (m,) actor of each picture; every actor has one.
        softness: distance over which the odds of one person against two change by a factor of e.
    """
    order = np.argsort(actor_of, kind="stable")
    begins = np.searchsorted(actor_of[order], np.arange(n_actors + 1))
    pictures = [order[begins[a] : begins[a + 1]] for a in range(n_actors)]
    nearest, _ = _nearest_and_mean(probes, gallery, pictures, k, softness)
    if not any(len(p) > k for p in pictures):
        return nearest
    cohort = np.concatenate([probes, gallery])
    whose = np.concatenate([np.full(len(probes), -1), actor_of])
    chosen = np.unique(np.linspace(0, len(cohort) - 1, min(_COHORT, len(cohort))).round().astype(np.int64))
    near, mean = _nearest_and_mean(cohort[chosen], gallery, pictures, k, softness)
    for actor, own in enumerate(pictures):
        others = whose[chosen] != actor
        if len(own) > k and others.any():
            nearest[:, actor] += np.median((mean - near)[others, actor])
    return nearest


def _nearest_and_mean(
    probes: Floats, gallery: Floats, pictures: Sequence[Ints], k: int, softness: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distance of each probe to the k nearest of each actor's pictures, and mean distance to all of them."""
    nearest = np.empty((len(probes), len(pictures)))
    mean = np.empty_like(nearest)
    rows = max(1, _CELLS // max(1, len(gallery)))
    for begin in range(0, len(probes), rows):
        block = slice(begin, begin + rows)
        distances = np.sqrt(np.maximum(2 - 2 * (probes[block] @ gallery.T), 0))
        for actor, own in enumerate(pictures):
            to_own = distances[:, own].astype(np.float64)
            few = min(k, len(own))
            near = np.partition(to_own, few - 1, axis=1)[:, :few]
            first = near.min(1)
            odds = np.exp((first[:, None] - near) / softness).mean(1)
            nearest[block, actor] = first - softness * np.log(odds)
            mean[block, actor] = to_own.mean(1)
    return nearest, mean


def probabilities(
    distances: NDArray[np.float64], same_person: float, settings: NamingSettings | None = None
) -> NDArray[np.float64]:
    """The probability of each actor, (n, n_actors); what is missing to 1 is that of *unknown*.

    Args:
        distances: (n, n_actors), see `actor_distances`.
        same_person: distance at which two faces are as likely one person as two.
    """
    settings = settings or NamingSettings()
    n_actors = distances.shape[1]
    if n_actors == 0:
        return np.zeros(distances.shape)
    log_odds = (same_person - distances) / (settings.temperature * same_person)
    unknown = np.log(settings.unknown_odds + settings.unknown_odds_per_actor * n_actors)
    top = np.maximum(log_odds.max(1, initial=-np.inf), unknown)[:, None]
    odds = np.exp(log_odds - top)
    return np.asarray(odds / (odds.sum(1, keepdims=True) + np.exp(unknown - top)))


def name_clusters(
    vectors: Floats,
    known: NDArray[np.bool_],
    seen_together: Ints,
    gallery: Floats,
    actor_of: Ints,
    actors: Sequence[str],
    same_person: float,
    settings: NamingSettings | None = None,
) -> list[dict[str, float]]:
    """The probabilities of names for each of n clusters, most likely first; empty where nothing is known.

    Args:
        vectors: (n, d), known: (n,): see `cluster_vectors`.
        seen_together: (p, 2) clusters that share a frame.
        gallery: (m, d) pictures of the cast, of length 1; `actor_of` (m,) indexes `actors`.
    """
    settings = settings or NamingSettings()
    names: list[dict[str, float]] = [{} for _ in range(len(vectors))]
    probes = np.flatnonzero(known)
    if not len(actors) or not len(probes):
        return names
    distances = actor_distances(
        vectors[probes], gallery, actor_of, len(actors), settings.k, settings.temperature * same_person
    )
    table = np.zeros((len(vectors), len(actors)))
    table[probes] = probabilities(distances, same_person, settings)
    _one_name_a_frame(table, seen_together)
    for cluster, row in enumerate(table):
        likely = np.flatnonzero(row >= MIN_PROBABILITY)
        ranked = likely[np.argsort(-row[likely], kind="stable")]
        names[cluster] = {actors[actor]: float(row[actor]) for actor in ranked.tolist()}
    return names


def _one_name_a_frame(table: NDArray[np.float64], seen_together: Ints) -> None:
    """Of clusters that share a frame only the likeliest keeps a name that would be shown for both."""
    beside: dict[int, set[int]] = {}
    for i, j in seen_together.tolist():
        if i != j:
            beside.setdefault(i, set()).add(j)
            beside.setdefault(j, set()).add(i)
    holders: dict[int, dict[int, float]] = {}
    clusters, actors = np.nonzero(table > DISPLAY_THRESHOLD)
    for at in np.lexsort((actors, clusters, -table[clusters, actors])).tolist():
        cluster, actor = int(clusters[at]), int(actors[at])
        held = holders.setdefault(actor, {})
        rivals = [held[other] for other in beside.get(cluster, set()) & held.keys()]
        if rivals:  # it is the actor only if no rival is; the rest goes to unknown
            table[cluster, actor] = min(table[cluster, actor] * (1 - max(rivals)), DISPLAY_THRESHOLD)
        else:
            held[cluster] = float(table[cluster, actor])
