"""Pools the embeddings of each trajectory into one vector: a mean weighted by quality, without outliers.

Which person a trajectory shows is decided by the number of faces, not by their quality: faces of another
person (after an identity switch, or of a passer-by) may be the better ones. So no face counts for more than
one of median quality, and faces are left out that lie farther from the medoid than the median distance by
several deviations, estimated from the median absolute deviation (F. R. Hampel, "The influence curve and its
role in robust estimation", 1974). The mean is normalised to length 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec.settings import VectorSettings

Floats = NDArray[np.float32]

_MAD_TO_SD = 1.4826  # standard deviation over median absolute deviation of a normal distribution


@dataclass(frozen=True)
class TrajectoryVectors:
    """The vectors and qualities of n trajectories.

    Attributes:
        vectors: (n, d) float32, L2-normalised; zero where not usable.
        usable: (n,) bool; False if there is no face, or too little quality to compare.
        quality: (n,) float32, 0..1, the mean quality of the faces, weighted as in the vector; 0 where
            there is none. Not the best quality: one good value among many poor ones is most likely wrong.
        outliers: number of faces left out of all vectors.
    """

    vectors: Floats
    usable: NDArray[np.bool_]
    quality: Floats
    outliers: int


def trajectory_vectors(
    trajectory_of_face: NDArray[np.int64],
    embeddings: Floats,
    quality: Floats,
    n_trajectories: int,
    settings: VectorSettings | None = None,
) -> TrajectoryVectors:
    """Pool the embeddings of the faces of each trajectory.

    Args:
        trajectory_of_face: (m,) index of each face's trajectory; faces with a negative one are ignored.
        embeddings: (m, d), L2-normalised.
        quality: (m,) 0..1, see `face_quality`.
    """
    settings = settings or VectorSettings()
    vectors = np.zeros((n_trajectories, embeddings.shape[1]), np.float32)
    usable = np.zeros(n_trajectories, bool)
    mean_quality = np.zeros(n_trajectories, np.float32)
    outliers = 0
    order = np.argsort(trajectory_of_face, kind="stable")
    bounds = np.searchsorted(trajectory_of_face[order], np.arange(n_trajectories + 1))
    for trajectory in range(n_trajectories):
        faces = order[bounds[trajectory] : bounds[trajectory + 1]]
        if not len(faces):
            continue
        mean, mean_quality[trajectory], left_out = _robust_mean(
            embeddings[faces], quality[faces].astype(np.float64), settings
        )
        length = float(np.linalg.norm(mean))
        outliers += left_out
        if mean_quality[trajectory] >= settings.min_quality and length > 1e-6:
            vectors[trajectory] = mean / length
            usable[trajectory] = True
    return TrajectoryVectors(vectors, usable, mean_quality, outliers)


def _robust_mean(
    embeddings: Floats, quality: NDArray[np.float64], settings: VectorSettings
) -> tuple[NDArray[np.float64], float, int]:
    """The weighted mean (d,) and the mean quality of all faces but outliers, and the number of outliers."""
    best = np.argsort(-quality, kind="stable")[: settings.max_faces]
    distances = np.sqrt(np.maximum(2 - 2 * (embeddings[best] @ embeddings[best].T), 0)).astype(np.float64)
    to_medoid = distances[int(distances.sum(1).argmin())]
    median = np.median(to_medoid)
    deviation = max(_MAD_TO_SD * np.median(np.abs(to_medoid - median)), settings.min_deviation)
    kept = to_medoid <= median + settings.outlier_deviations * deviation
    faces = best[kept]
    weights = np.minimum(quality[faces], np.median(quality[best])) + 1e-9  # equal if all have no quality
    shares = weights / weights.sum()
    mean = shares @ embeddings[faces].astype(np.float64)
    return mean, float(shares @ quality[faces]), int((~kept).sum())
