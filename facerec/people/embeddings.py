"""One vector a trajectory: the mean of its faces' embeddings, in which a poor face counts for less.

A face's worth is judged from what detection left behind: its score, its size, its sharpness, and how
far it is turned away. Whose trajectory it is, is decided by number and not by worth: faces of somebody else
(a box that slipped, a passer-by) may be the better ones. So no face counts for more than the median
one, and those are left out that lie farther from the medoid than the median distance by several median
absolute deviations (F. R. Hampel, "The influence curve and its role in robust estimation", 1974). Of the
mean only the direction is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec.settings import VectorSettings

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class TrajectoryVectors:
    """What stands for each of n trajectories.

    Attributes:
        vectors: (n, d) float32 of Euclidean length 1; zero where not usable.
        usable: (n,) bool; False where there is no face, or none good enough to tell people apart.
        weights: (n,) float32 0..1, the worth of the faces that its vector is the mean of, each counting as
            it does there; 0 where there is none. Not that of the best: where one face of a row of poor
            ones seems good, it is the judgement of that one that is likely wrong.
        dropped: number of faces left out as outliers.
    """

    vectors: Floats
    usable: NDArray[np.bool_]
    weights: Floats
    dropped: int


def trajectory_vectors(
    trajectory_of_face: NDArray[np.int64],
    embeddings: Floats,
    quality: Floats,
    n_trajectories: int,
    settings: VectorSettings | None = None,
) -> TrajectoryVectors:
    """The vector of each of `n_trajectories`.

    Args:
        trajectory_of_face: (m,) the trajectory of each face; negative: none, the face is not used.
        embeddings: (m, d) of Euclidean length 1.
        quality: (m,) 0..1, see `face_quality`.
    """
    settings = settings or VectorSettings()
    vectors = np.zeros((n_trajectories, embeddings.shape[1]), np.float32)
    usable = np.zeros(n_trajectories, bool)
    weights = np.zeros(n_trajectories, np.float32)
    dropped = 0
    order = np.argsort(trajectory_of_face, kind="stable")
    bounds = np.searchsorted(trajectory_of_face[order], np.arange(n_trajectories + 1))
    for trajectory in range(n_trajectories):
        faces = order[bounds[trajectory] : bounds[trajectory + 1]]
        if not len(faces):
            continue
        mean, weights[trajectory], left_out = _robust_mean(
            embeddings[faces], quality[faces].astype(np.float64), settings
        )
        length = float(np.linalg.norm(mean))
        dropped += left_out
        if weights[trajectory] >= settings.min_quality and length > 1e-6:
            vectors[trajectory] = mean / length
            usable[trajectory] = True
    return TrajectoryVectors(vectors, usable, weights, dropped)


def _robust_mean(
    embeddings: Floats, quality: NDArray[np.float64], settings: VectorSettings
) -> tuple[NDArray[np.float64], float, int]:
    """The weighted mean (d,) without outliers, that of the quality, and how many were left out."""
    best = np.argsort(-quality, kind="stable")[: settings.max_faces]
    distances = np.sqrt(np.maximum(2 - 2 * (embeddings[best] @ embeddings[best].T), 0)).astype(np.float64)
    away = distances[int(distances.sum(1).argmin())]
    middle = np.median(away)
    spread = np.median(np.abs(away - middle))
    kept = away <= middle + settings.outlier_deviations * max(1.4826 * spread, settings.min_deviation)
    chosen = best[kept]
    weight = np.minimum(quality[chosen], np.median(quality[best])) + 1e-9  # all of no worth: all alike
    share = weight / weight.sum()
    mean = share @ embeddings[chosen].astype(np.float64)
    return mean, float(share @ quality[chosen]), int((~kept).sum())
