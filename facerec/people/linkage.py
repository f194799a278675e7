"""One person or two: the evidence that two groups of looks give, and the agglomeration that follows it.

The model is that of probabilistic linear discriminant analysis (S. Ioffe, "Probabilistic linear
discriminant analysis", 2006; S. J. D. Prince, J. H. Elder, "Probabilistic linear discriminant analysis for
inferences about identity", 2007) with one variance for all directions: people scatter normally about the
average face, and a look is a share of the person's direction and noise. The share is the look's
reliability, and follows from its worth. So a group's sum and precision are all that has to be kept, the
more a group holds the better its person is known, and a poor look says little for and little against.

Nothing is scaled by hand to an embedder: `same_person`, the distance at which two faces are as likely one
person as two, gives the unit, strangers lie `1 / sqrt(1 - STRANGER)` of it apart, and so the average face's
share in all faces is taken off without ever being known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec.settings import ClusterSettings

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]

STRANGER = 0.26  # likeness of two faces that lie `same_person` apart, where 0 is strangers' and 1 is equality
DIRECTIONS = 64  # independent directions in which people differ: 1 / variance of strangers' likeness

_APART = np.float32(-1e30)  # product of a cannot-link; finite, so that sums of it stay what they are


def reliability(worth: NDArray[np.floating], settings: ClusterSettings) -> Doubles:
    """The share of a look of such worth, 0..1, that is the person's own; likeness of two such looks."""
    squared = np.square(worth.astype(np.float64))
    return np.asarray(settings.max_reliability * squared / (squared + settings.half_quality**2))


@dataclass(frozen=True)
class Groups:
    """What is known of m groups of looks.

    Attributes:
        sums: (m, d) float32 of looks, each weighted by its reliability's root over its noise.
        weights: (m,) float64 sum of these weights; 0: nothing is known of it.
        precision: (m,) float64, how much more exactly the person is known than before any look, if no
            two looks had anything in common but the person.
        stretch: of products, by which strangers' likeness becomes 0; see the module.
        enough: precision that no number of looks exceeds, because those of a scene do.
    """

    sums: Floats
    weights: Doubles
    precision: Doubles
    stretch: float
    enough: float

    @classmethod
    def of_looks(cls, vectors: Floats, reliable: Doubles, same_person: float, enough: float) -> Groups:
        """Each look a group of its own.

        Args:
            vectors: (n, d) of length 1 where reliable.
            reliable: (n,) 0..1, see `reliability`; 0: says nothing.
        """
        weights = np.sqrt(reliable) / (1 - reliable)
        stretch = (1 - STRANGER) / (same_person**2 / 2)
        sums = (weights[:, None] * vectors).astype(np.float32)
        return cls(sums, weights, reliable / (1 - reliable), stretch, enough)

    def joined(self, of: Ints) -> Groups:
        """The groups of these groups, `of` (m,) dense from 0."""
        from scipy.sparse import csr_array

        shape = int(of.max(initial=-1)) + 1, len(of)
        sums = csr_array((np.ones(len(of), np.float32), (of, np.arange(len(of)))), shape=shape) @ self.sums
        return Groups(
            np.asarray(sums, np.float32),
            np.bincount(of, self.weights).astype(np.float64),
            np.bincount(of, self.precision).astype(np.float64),
            self.stretch,
            self.enough,
        )

    def squares(self) -> Doubles:
        """(m,) each group's product with itself."""
        return self.products(np.einsum("ij,ij->i", self.sums, self.sums), self.weights**2)

    def products(self, dots: NDArray[np.floating], weights: Doubles) -> Doubles:
        """Products of sums about the average face, from those about the origin and of the weights."""
        return np.asarray(self.stretch * dots - (self.stretch - 1) * weights, np.float64)

    def evidence(self, i: Ints, j: Ints, products: Doubles) -> Doubles:
        """How much likelier, in nats, groups `i` and `j` are one person than two.

        Args:
            i, j: indices, broadcast together with `products`, of the sums of both.
        """
        discount = np.minimum(1, self.enough / np.maximum(self.precision, 1e-9))
        p, squares = self.precision * discount, self.squares() * discount**2
        own = squares / (p + 1) - np.log(p + 1)
        both = squares[i] + squares[j] + 2 * products * discount[i] * discount[j]
        together = p[i] + p[j] + 1
        return np.asarray(DIRECTIONS / 2 * (both / together - np.log(together) - own[i] - own[j]))

    def pair_evidence(self, pairs: Ints) -> Doubles:
        """Evidence of each of the pairs (p, 2) of groups."""
        i, j = pairs.T
        dots = [
            np.einsum("ij,ij->i", self.sums[block[:, 0]], self.sums[block[:, 1]])
            for block in np.array_split(pairs, 1 + len(pairs) // 10_000)
        ]
        return self.evidence(i, j, self.products(np.concatenate(dots), self.weights[i] * self.weights[j]))


def link(groups: Groups, apart: Ints, least: float) -> Ints:
    """For each of m groups the lowest member of the cluster that it ends in.

    The two groups with most evidence for one person are joined first. The products of all sums are kept
    up to date, which is adding rows, and beside them each row's best partner. A partner's evidence can
    have fallen since it was noted, never risen, and is looked at again when its turn comes (the generic
    algorithm of D. Müllner, "Modern hierarchical, agglomerative clustering algorithms", 2011).

    Args:
        apart: (p, 2) groups that are never joined, nor what holds them.
        least: evidence, nats, below which two groups are not joined.
    """
    m = len(groups.sums)
    of = np.arange(m)
    if m < 2:
        return of
    scale = np.float32(groups.stretch)
    weights = groups.weights.astype(np.float32)
    products = (scale * groups.sums) @ groups.sums.T
    for i in range(m):  # row by row: a second matrix would double the memory
        products[i] -= ((scale - 1) * weights[i]) * weights
    squares, precision, own = np.diag(products).astype(np.float64), groups.precision.copy(), np.empty(m)
    discount, discounted, capped = np.empty(m), np.empty(m), np.empty(m)

    def note(i: int | slice) -> None:
        """What of a row's evidence depends on one group alone."""
        discount[i] = np.minimum(1, groups.enough / np.maximum(precision[i], 1e-9))
        capped[i] = precision[i] * discount[i]
        discounted[i] = squares[i] * discount[i] ** 2
        own[i] = discounted[i] / (capped[i] + 1) - np.log(capped[i] + 1)

    note(slice(None))
    np.fill_diagonal(products, _APART)
    products[apart[:, 0], apart[:, 1]] = products[apart[:, 1], apart[:, 0]] = _APART
    unknown = groups.weights == 0
    products[unknown] = products[:, unknown] = _APART
    partner = np.empty(m, np.int64)
    best = np.empty(m)

    def look(i: int) -> Doubles:
        row: Doubles = products[i] * (2 * discount[i] * discount)
        row += discounted
        row += discounted[i]
        together = capped + (capped[i] + 1)
        row /= together
        row -= np.log(together, out=together)
        row -= own
        row -= own[i]
        row *= DIRECTIONS / 2
        partner[i] = row.argmax()
        best[i] = row[partner[i]]
        return row

    for i in range(m):
        look(i)
    while True:
        i = int(best.argmax())
        if best[i] < least:
            return of
        noted, j = best[i], int(partner[i])
        if look(i)[j] < noted:
            continue
        i, j = min(i, j), max(i, j)
        squares[i] += squares[j] + 2.0 * products[i, j]
        precision[i] += precision[j]
        note(i)
        of[of == j] = i
        products[i] += products[j]
        products[i, i] = _APART
        products[:, i] = products[i]
        best[j], own[j] = -np.inf, np.inf
        row = look(i)
        more = row > best
        more[[i, j]] = False
        partner[more], best[more] = i, row[more]
