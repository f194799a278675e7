"""Agglomerative clustering of groups of observations by the log-likelihood ratio of `plda`."""

from __future__ import annotations

import numpy as np

from facerec.people.plda import EFFECTIVE_DIMENSIONS, Doubles, Groups, Ints

_CANNOT_LINK = np.float32(-1e30)  # product of a pair that must not be joined; finite, so that sums stay so


def agglomerate(groups: Groups, cannot_link: Ints, min_log_likelihood_ratio: float) -> Ints:
    """Repeatedly join the two groups with the highest log-likelihood ratio, down to a minimum ratio.

    The table of products of all sums is updated by adding rows, and the best partner of each row is stored.
    A stored ratio can have fallen since, but not risen, so it is computed again when it is the highest (the
    generic algorithm of D. Müllner, "Modern hierarchical, agglomerative clustering algorithms", 2011).
    Memory: one (m, m) float32 table.

    Args:
        cannot_link: (p, 2) groups that must not be in one cluster.
        min_log_likelihood_ratio: in nats.

    Returns:
        (m,) for each group the lowest index in its cluster.
    """
    m = len(groups.sums)
    labels = np.arange(m)
    if m < 2:
        return labels
    scale = np.float32(groups.scale)
    weights = groups.weights.astype(np.float32)
    products = (scale * groups.sums) @ groups.sums.T
    for i in range(m):  # row by row: a second matrix would double the memory
        products[i] -= ((scale - 1) * weights[i]) * weights
    squares, precision = np.diag(products).astype(np.float64), groups.precision.copy()
    # what the ratios of a row need of each group: see `Groups.log_likelihood_ratio`
    discount, bounded_precision, bounded_squares, alone = (np.empty(m) for _ in range(4))

    def update_group(i: int | slice) -> None:
        discount[i] = np.minimum(1, groups.max_precision / np.maximum(precision[i], 1e-9))
        bounded_precision[i] = precision[i] * discount[i]
        bounded_squares[i] = squares[i] * discount[i] ** 2
        alone[i] = bounded_squares[i] / (bounded_precision[i] + 1) - np.log(bounded_precision[i] + 1)

    update_group(slice(None))
    np.fill_diagonal(products, _CANNOT_LINK)
    products[cannot_link[:, 0], cannot_link[:, 1]] = _CANNOT_LINK
    products[cannot_link[:, 1], cannot_link[:, 0]] = _CANNOT_LINK
    unknown = groups.weights == 0
    products[unknown] = products[:, unknown] = _CANNOT_LINK
    partner = np.empty(m, np.int64)
    best = np.empty(m)

    def update_row(i: int) -> Doubles:
        """Compute the ratios of group `i` with all groups, and store the best; in place, to save memory."""
        row: Doubles = products[i] * (2 * discount[i] * discount)
        row += bounded_squares
        row += bounded_squares[i]
        precision_joint = bounded_precision + (bounded_precision[i] + 1)
        row /= precision_joint
        row -= np.log(precision_joint, out=precision_joint)
        row -= alone
        row -= alone[i]
        row *= EFFECTIVE_DIMENSIONS / 2
        partner[i] = row.argmax()
        best[i] = row[partner[i]]
        return row

    for i in range(m):
        update_row(i)
    while True:
        i = int(best.argmax())
        if best[i] < min_log_likelihood_ratio:
            return labels
        stored, j = best[i], int(partner[i])
        if update_row(i)[j] < stored:
            continue
        i, j = min(i, j), max(i, j)
        squares[i] += squares[j] + 2.0 * products[i, j]
        precision[i] += precision[j]
        update_group(i)
        labels[labels == j] = i
        products[i] += products[j]
        products[i, i] = _CANNOT_LINK
        products[:, i] = products[i]
        best[j], alone[j] = -np.inf, np.inf
        row = update_row(i)
        better = row > best
        better[[i, j]] = False
        partner[better], best[better] = i, row[better]
