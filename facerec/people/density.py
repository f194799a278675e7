"""Clusters faces by density with HDBSCAN; clusters may differ in density.

The method of the library (L. McInnes, J. Healy, S. Astels, "hdbscan: Hierarchical density based clustering",
2017), with clusters nearer than a given distance taken as one (C. Malzer, M. Baum, "A hybrid approach to
hierarchical density-based cluster selection", 2020). Without that distance a film has hundreds of clusters.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

MIN_SAMPLES = 2  # neighbours that define density; 1 is single linkage, which chains different people
MIN_CLUSTER = 2  # vectors
_FAR = 4.0  # larger than any distance of two vectors of length 1


def hdbscan_labels(
    vectors: NDArray[np.float32], min_cluster_distance: float, max_distance: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Cluster vectors by density.

    Args:
        vectors: (n, d), L2-normalised.
        min_cluster_distance: Euclidean distance of two clusters below which they are one.
        max_distance: Euclidean distance above which a member of a cluster becomes noise.

    Returns:
        (n,) cluster of each vector from 0, -1 for noise; (n,) strength of its membership, 0..1.
    """
    n, d = vectors.shape
    if n <= MIN_SAMPLES:
        return np.full(n, -1, np.int64), np.zeros(n)
    # HDBSCAN never returns a single cluster, or too often with `allow_single_cluster`. A second cluster of
    # distant artificial vectors makes a single cluster of all real vectors possible.
    padded = np.zeros((n + MIN_SAMPLES + 1, d + 1))
    padded[:n, :d] = vectors
    padded[n:, d] = _FAR
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", (FutureWarning, SyntaxWarning))  # of its own calls to scikit-learn
        from hdbscan import HDBSCAN

        model = HDBSCAN(
            min_cluster_size=MIN_CLUSTER,
            min_samples=MIN_SAMPLES,
            cluster_selection_epsilon=min_cluster_distance,
            approx_min_span_tree=False,  # otherwise rounding errors of the vectors change the result
            core_dist_n_jobs=1,  # otherwise it starts processes
        ).fit(padded)
        tree = model.condensed_tree_.to_numpy()
    labels = model.labels_[:n].astype(np.int64)
    leaves = tree[tree["child"] < n]  # where each vector leaves the hierarchy, at distance 1 / lambda
    labels[leaves["child"][leaves["lambda_val"] * max_distance < 1]] = -1
    return labels, np.asarray(model.probabilities_[:n], np.float64)
