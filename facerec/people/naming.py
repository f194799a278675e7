"""Names clusters: turns distances to the pictures of a movie's cast into probabilities of actors.

The nearest pictures of each actor count, by their mean odds, so that the number of pictures does not decide.
A distance becomes odds of one person against two by the calibration of the embedder. The probabilities of the
cast sum to less than 1; the rest is the probability of an unknown person, as most people in a film are not in
the database. Two clusters seen in one frame never show the same name.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facerec.folder.documents import DISPLAY_THRESHOLD, MIN_PROBABILITY
from facerec.settings import NamingSettings

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

_MAX_DISTANCES = 1 << 24  # held at once: 64 MB


def cluster_vectors(
    vectors: Floats, quality: Floats, usable: NDArray[np.bool_], labels: Ints, n_clusters: int
) -> tuple[Floats, NDArray[np.bool_]]:
    """Compute the vector of each cluster, the normalised mean of its trajectories weighted by quality.

    Args:
        vectors: (n, d), `quality` and `usable` (n,): see `trajectory_vectors.TrajectoryVectors`.
        labels: (n,) cluster of each trajectory.

    Returns:
        (n_clusters, d) float32, L2-normalised, and (n_clusters,) bool, whether there is a vector: a cluster
        without a usable trajectory has none, and its row is zero.
    """
    sums = np.zeros((n_clusters, vectors.shape[1]))
    for trajectory in np.flatnonzero(usable).tolist():
        sums[labels[trajectory]] += quality[trajectory] * vectors[trajectory]
    length = np.linalg.norm(sums, axis=1)
    has_vector = length > 1e-6
    return (sums / np.where(has_vector, length, 1)[:, None]).astype(np.float32), has_vector


def actor_distances(
    probes: Floats,
    gallery: Floats,
    actor_of: Ints,
    n_actors: int,
    settings: NamingSettings,
    temperature: float,
    weights: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Compute the distance (n, n_actors) of each probe from each actor.

    It is the distance that has the mean odds of the nearest pictures: `settings.share` of the actor's
    pictures, but at least `settings.k`. The mean odds of all pictures are a kernel estimate of how the
    actor's faces are distributed (E. Parzen, "On estimation of a probability density function and mode",
    1962). The expected mean odds of a stranger are the same for any number of pictures, so many pictures
    attract no strangers and need no correction; those of the actor get steadier, so more true pictures give
    more right names. One near picture is not outweighed by two that show the actor as a child or in profile;
    if it is the only near one, which may be mislabelled, it counts by its share. The farthest pictures are
    left out, because they may be mislabelled too.

    Args:
        probes: (n, d), gallery: (m, d), both L2-normalised.
        actor_of: (m,) the actor of each picture, 0..n_actors - 1; every actor has one.
        temperature: change of distance that changes the odds by a factor of e.
        weights: (m,) above 0, how much each picture counts against the actor's others; None: all the same.
    """
    order = np.argsort(actor_of, kind="stable")
    bounds = np.searchsorted(actor_of[order], np.arange(n_actors + 1))
    pictures_of = [order[bounds[a] : bounds[a + 1]] for a in range(n_actors)]
    result = np.empty((len(probes), n_actors))
    rows = max(1, _MAX_DISTANCES // max(1, len(gallery)))
    for begin in range(0, len(probes), rows):
        block = slice(begin, begin + rows)
        distances = np.sqrt(np.maximum(2 - 2 * (probes[block] @ gallery.T), 0))
        for actor, pictures in enumerate(pictures_of):
            to_actor = distances[:, pictures].astype(np.float64)
            own = None if weights is None else weights[pictures]
            result[block, actor] = distance_of_mean_odds(to_actor, settings, temperature, own)
    return result


def year_weights(
    years: NDArray[np.float64], actor_of: Ints, film_year: float, half_life: float
) -> NDArray[np.float64]:
    """Compute how much each picture counts (m,), by the years between it and the film.

    A picture without a year counts as much as the actor's others do on average.

    Args:
        years: (m,) of the pictures, NaN where unknown; actor_of: (m,) their actors.
        half_life: years after which a picture counts half.
    """
    weights = np.exp2(-np.abs(years - film_year) / half_life)
    for actor in np.unique(actor_of[np.isnan(weights)]).tolist():
        own = actor_of == actor
        known = weights[own & ~np.isnan(weights)]
        weights[own & np.isnan(weights)] = known.mean() if len(known) else 1.0
    return np.maximum(weights, 1e-12)


def distance_of_mean_odds(
    distances: NDArray[np.float64],
    settings: NamingSettings,
    temperature: float,
    weights: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Compute the distance (n,) of an actor from `distances` (n, m) to the pictures, see `actor_distances`.

    A number of pictures that is not whole counts the last one in part, so that one more picture changes
    little.

    Args:
        weights: (m,) of the pictures; None: all the same.
    """
    n_pictures = distances.shape[1]
    counted = max(settings.share * n_pictures, min(settings.k, n_pictures))
    if weights is not None and np.ptp(weights) > 0:
        return _weighted_mean_odds(distances, temperature, weights, counted / n_pictures)
    whole = math.ceil(counted)
    nearest = np.partition(distances, whole - 1, axis=1)[:, :whole]
    weights = np.ones(whole)
    weights[-1] -= whole - counted  # `partition` puts the farthest of them last
    first = nearest.min(1)
    odds = np.exp((first[:, None] - nearest) / temperature) @ weights / counted  # over those of the first
    return np.asarray(first - temperature * np.log(odds), np.float64)


def _weighted_mean_odds(
    distances: NDArray[np.float64], temperature: float, weights: NDArray[np.float64], share: float
) -> NDArray[np.float64]:
    """As `distance_of_mean_odds`, for pictures that count differently.

    Args:
        share: of the sum of the weights that counts, the nearest pictures first.
    """
    order = np.argsort(distances, axis=1, kind="stable")
    nearest, weight = np.take_along_axis(distances, order, 1), weights[order]
    total = share * weights.sum()
    part = np.clip(total - (np.cumsum(weight, axis=1) - weight), 0, weight)
    first = nearest[:, 0]
    odds = (part * np.exp((first[:, None] - nearest) / temperature)).sum(1) / total
    return np.asarray(first - temperature * np.log(odds), np.float64)


def actor_probabilities(
    distances: NDArray[np.float64], same_person: float, settings: NamingSettings | None = None
) -> NDArray[np.float64]:
    """Compute the probability (n, n_actors) of each actor; the rest to 1 is that of an unknown person.

    Args:
        distances: (n, n_actors), see `actor_distances`.
        same_person: Euclidean distance at which two faces are as likely one person as two.
    """
    settings = settings or NamingSettings()
    n_actors = distances.shape[1]
    if n_actors == 0:
        return np.zeros(distances.shape)
    log_odds = (same_person - distances) / (settings.temperature * same_person)
    unknown = np.log(settings.unknown_odds + settings.unknown_odds_per_actor * n_actors)
    highest = np.maximum(log_odds.max(1), unknown)[:, None]
    odds = np.exp(log_odds - highest)
    return np.asarray(odds / (odds.sum(1, keepdims=True) + np.exp(unknown - highest)))


def name_clusters(
    vectors: Floats,
    has_vector: NDArray[np.bool_],
    cannot_link: Ints,
    gallery: Floats,
    actor_of: Ints,
    actors: Sequence[str],
    same_person: float,
    settings: NamingSettings | None = None,
    weights: NDArray[np.float64] | None = None,
) -> list[dict[str, float]]:
    """Compute the probabilities of actors for each of n clusters.

    Args:
        vectors: (n, d), has_vector: (n,), see `cluster_vectors`.
        cannot_link: (p, 2) pairs of clusters that are two people, because they share a frame.
        gallery: (m, d) embeddings of the cast's pictures, L2-normalised.
        actor_of: (m,) indices into `actors`.
        same_person: Euclidean distance at which two faces are as likely one person as two.
        weights: (m,) how much each picture counts, see `year_weights`; None: all the same.

    Returns:
        For each cluster probability by actor, most likely first; those below `MIN_PROBABILITY` left out.
    """
    settings = settings or NamingSettings()
    names: list[dict[str, float]] = [{} for _ in range(len(vectors))]
    probes = np.flatnonzero(has_vector)
    if not len(actors) or not len(probes):
        return names
    distances = actor_distances(
        vectors[probes],
        gallery,
        actor_of,
        len(actors),
        settings,
        settings.temperature * same_person,
        weights,
    )
    table = np.zeros((len(vectors), len(actors)))
    table[probes] = actor_probabilities(distances, same_person, settings)
    _resolve_shared_names(table, cannot_link)
    for cluster, row in enumerate(table):
        likely = np.flatnonzero(row >= MIN_PROBABILITY)
        ranked = likely[np.argsort(-row[likely], kind="stable")]
        names[cluster] = {actors[actor]: float(row[actor]) for actor in ranked.tolist()}
    return names


def _resolve_shared_names(table: NDArray[np.float64], cannot_link: Ints) -> None:
    """Lower probabilities in `table` (n, n_actors), in place, until no pair of clusters shows one name.

    The most likely cluster keeps the name; the others are lowered to the display threshold or below.
    """
    apart_from: dict[int, set[int]] = {}
    for i, j in cannot_link.tolist():
        if i != j:
            apart_from.setdefault(i, set()).add(j)
            apart_from.setdefault(j, set()).add(i)
    kept: dict[int, dict[int, float]] = {}  # by actor, by cluster
    clusters, actors = np.nonzero(table > DISPLAY_THRESHOLD)
    for at in np.lexsort((actors, clusters, -table[clusters, actors])).tolist():
        cluster, actor = int(clusters[at]), int(actors[at])
        of_actor = kept.setdefault(actor, {})
        rivals = [of_actor[other] for other in apart_from.get(cluster, set()) & of_actor.keys()]
        if rivals:  # it shows the actor only if no rival does; the rest goes to an unknown person
            table[cluster, actor] = min(table[cluster, actor] * (1 - max(rivals)), DISPLAY_THRESHOLD)
        else:
            of_actor[cluster] = float(table[cluster, actor])
