"""The optimal assignment of the ends of tracks to the starts of later ones, in bounded memory."""

from __future__ import annotations

import numpy as np

from facerec.tracking.motion import Floats, Ints

_MAX_TABLE = 1 << 22  # rows x columns of a component up to which the dense algorithm is used, of 64 MiB


def assign(a: Ints, b: Ints, gain: Floats) -> tuple[Ints, Ints]:
    """Choose among the candidate links `a` → `b`, (m,) each, one-to-one and with the largest total gain.

    Most links have no rival. The assignment algorithm runs on each component of rival links by itself.
    """
    _, i, ends = np.unique(a, return_inverse=True, return_counts=True)
    _, j, starts = np.unique(b, return_inverse=True, return_counts=True)
    rival = (ends[i] > 1) | (starts[j] > 1)
    components = _components(i, j, np.flatnonzero(rival))
    assigned = [_assign_component(i, j, gain, component) for component in components]
    links = np.concatenate([np.flatnonzero(~rival), *assigned])
    return a[links], b[links]


def _components(i: Ints, j: Ints, links: Ints) -> list[Ints]:
    """Split `links`, indices into the ends `i` and starts `j`, into components that share no end or start."""
    if not len(links):
        return []
    from scipy.sparse import coo_array  # these imports take half a second, and most shards need neither
    from scipy.sparse.csgraph import connected_components

    size = int(i.max()) + 1 + int(j.max()) + 1
    nodes = i[links], j[links] + int(i.max()) + 1
    graph = coo_array((np.ones(len(links)), nodes), shape=(size, size))
    component = connected_components(graph, directed=False)[1][nodes[0]]
    order = np.argsort(component, kind="stable")
    return np.split(links[order], np.flatnonzero(np.diff(component[order])) + 1)


def _assign_component(i: Ints, j: Ints, gain: Floats, links: Ints) -> Ints:
    """The `links`, indices into `i`, `j` and `gain`, of the optimal assignment of one component."""
    rows, row = np.unique(i[links], return_inverse=True)
    columns, column = np.unique(j[links], return_inverse=True)
    gains = np.rint(gain[links] * 1e6)  # sums of whole numbers are exact on every machine
    if len(rows) * len(columns) > _MAX_TABLE:
        return links[_assign_sparse(row, column, gains)]
    from scipy.optimize import linear_sum_assignment

    table = np.zeros((len(rows), len(columns)))
    table[row, column] = gains
    link_at = np.full(table.shape, -1)
    link_at[row, column] = links
    assigned: Ints = link_at[linear_sum_assignment(table, maximize=True)]
    return assigned[assigned >= 0]


def _assign_sparse(row: Ints, column: Ints, gains: Floats) -> Ints:
    """Return the links of an optimal assignment in memory that grows with the links, not with rows x columns.

    A minute of a flickering crowd is one component of ten thousands of ends. Of equally good assignments it
    may return another than the dense algorithm. R. Jonker, A. Volgenant, "A shortest augmenting path
    algorithm for dense and sparse linear assignment problems" (1987), as SciPy implements it.

    Args:
        row, column: (m,) row and column of each link, numbered from 0 without holes.
        gains: (m,) whole numbers above 0.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    n_rows, n_columns = int(row.max()) + 1, int(column.max()) + 1
    # each row gets a column of its own, of gain 0, because SciPy assigns every row
    rows = np.concatenate([row, np.arange(n_rows)])
    columns = np.concatenate([column, n_columns + np.arange(n_rows)])
    costs = gains.max() + 1 - np.concatenate([gains, np.zeros(n_rows)])  # a cost of 0 would be no link
    shape = n_rows, n_columns + n_rows
    assigned = np.full(n_rows, -1)
    assigned_rows, assigned_columns = min_weight_full_bipartite_matching(
        csr_array((costs, (rows, columns)), shape=shape)
    )
    assigned[assigned_rows] = assigned_columns
    return np.flatnonzero(assigned[row] == column)
