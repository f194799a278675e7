"""HDBSCAN on faces: clusters where they lie dense, whatever each one's density is.

The library's own (L. McInnes, J. Healy, S. Astels, "hdbscan: Hierarchical density based clustering", 2017),
with clusters that lie closer than a given distance taken as one (C. Malzer, M. Baum, "A hybrid approach to
hierarchical density-based cluster selection", 2020). Without that distance a film has hundreds of clusters.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

MIN_SAMPLES = 2  # neighbours that make a place dense; 1 is single linkage, which chains strangers together
MIN_CLUSTER = 2  # vectors
_FAR = 4.0  # beyond any distance of two vectors of length 1


def dense_clusters(
    vectors: NDArray[np.float32], joined_below: float, apart_above: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Find the dense groups of vectors.

    Args:
        vectors: (n, d) of length 1.
        joined_below: Euclidean distance of two clusters below which they are one.
        apart_above: distance above which a vector that a cluster would take in is noise.

    Returns:
        (n,) cluster of each vector from 0, -1 for noise; (n,) the strength of its membership, 0..1.
    """
    n, d = vectors.shape
    if n <= MIN_SAMPLES:
        return np.full(n, -1, np.int64), np.zeros(n)
    # HDBSCAN never takes everything for one cluster, or too easily where it may: a clump far away lets it
    padded = np.zeros((n + MIN_SAMPLES + 1, d + 1))
    padded[:n, :d] = vectors
    padded[n:, d] = _FAR
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", (FutureWarning, SyntaxWarning))  # of its own calls to scikit-learn
        from hdbscan import HDBSCAN

        model = HDBSCAN(
            min_cluster_size=MIN_CLUSTER,
            min_samples=MIN_SAMPLES,
            cluster_selection_epsilon=joined_below,
            approx_min_span_tree=False,  # or the last bits of the vectors decide
            core_dist_n_jobs=1,  # or it starts processes
        ).fit(padded)
        tree = model.condensed_tree_.to_numpy()
    labels = model.labels_[:n].astype(np.int64)
    left = tree[tree["child"] < n]  # where each vector leaves the hierarchy, at 1 / lambda
    labels[left["child"][left["lambda_val"] * apart_above < 1]] = -1
    return labels, np.asarray(model.probabilities_[:n], np.float64)
