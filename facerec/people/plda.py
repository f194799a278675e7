"""The statistical model of identity: the log-likelihood ratio of one person against two.

Probabilistic linear discriminant analysis (S. Ioffe, "Probabilistic linear discriminant analysis", 2006;
S. J. D. Prince, J. H. Elder, "Probabilistic linear discriminant analysis for inferences about identity",
2007) with one variance for all dimensions: people are normally distributed about the mean face, and an
observation is the sum of its person and noise. The person's share of the variance is the reliability of the
observation, which follows from its quality. A sum and a precision describe a group completely; the more
observations it has, the better its person is known. A poor observation has little influence.

Only `same_person`, the distance at which two faces are as likely one person as two, adapts the model to an
embedder. Similarity is 1 for equal faces, falls with the squared distance, and is `SAME_PERSON_SIMILARITY` at
`same_person`, so that it is 0 on average for two people. Therefore the mean face need not be known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec.settings import ClusterSettings

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]

SAME_PERSON_SIMILARITY = 0.26  # of two faces at distance `same_person`
EFFECTIVE_DIMENSIONS = 64  # independent dimensions of identity: 1 / variance of the similarity of two people

_PAIRS_PER_BLOCK = 10_000  # bounds memory


def reliability(quality: NDArray[np.floating], settings: ClusterSettings) -> Doubles:
    """Compute the reliability (n,) of observations of `quality` (n,), both 0..1.

    The root of the product of two reliabilities is the expected similarity of two observations of one person.
    """
    squared = np.square(quality.astype(np.float64))
    return np.asarray(settings.max_reliability * squared / (squared + settings.half_quality**2))


@dataclass(frozen=True)
class Groups:
    """Sufficient statistics of m groups of observations, each of one person.

    Attributes:
        sums: (m, d) float32 sums of the observations, weighted by sqrt(r) / (1 - r) for reliability r.
        weights: (m,) float64 sums of these weights; 0 if nothing is known.
        precision: (m,) float64 sums of r / (1 - r): precision of the person's estimate over that of the
            prior, if observations share nothing but the person.
        scale: factor from dot products of embeddings to similarities, see the module.
        max_precision: bound of the precision in a log-likelihood ratio, because the observations of a
            scene share more than the person.
    """

    sums: Floats
    weights: Doubles
    precision: Doubles
    scale: float
    max_precision: float

    @classmethod
    def from_observations(
        cls, vectors: Floats, reliabilities: Doubles, same_person: float, max_precision: float
    ) -> Groups:
        """Make a group of each observation.

        Args:
            vectors: (n, d), L2-normalised where the reliability is above 0.
            reliabilities: (n,) 0..1, below 1, see `reliability`; 0: nothing is known.
            same_person: Euclidean distance at which two faces are as likely one person as two.
        """
        weights = np.sqrt(reliabilities) / (1 - reliabilities)
        scale = (1 - SAME_PERSON_SIMILARITY) / (same_person**2 / 2)
        sums = (weights[:, None] * vectors).astype(np.float32)
        return cls(sums, weights, reliabilities / (1 - reliabilities), scale, max_precision)

    def merged(self, labels: Ints) -> Groups:
        """Merge the groups that have the same of the `labels` (m,), which are dense from 0."""
        from scipy.sparse import csr_array

        shape = int(labels.max(initial=-1)) + 1, len(labels)
        members = csr_array((np.ones(len(labels), np.float32), (labels, np.arange(len(labels)))), shape=shape)
        return Groups(
            np.asarray(members @ self.sums, np.float32),
            np.bincount(labels, self.weights).astype(np.float64),
            np.bincount(labels, self.precision).astype(np.float64),
            self.scale,
            self.max_precision,
        )

    def products(self, dots: NDArray[np.floating], weights: Doubles) -> Doubles:
        """Products of two sums about the mean face, from their dot products and the products of weights."""
        return np.asarray(self.scale * dots - (self.scale - 1) * weights, np.float64)

    def log_likelihood_ratio(self, i: Ints, j: Ints, products: Doubles) -> Doubles:
        """Compute how much more likely groups `i` and `j` are one person than two, in nats.

        Args:
            i, j: indices of groups, broadcast against `products`.
            products: of the sums of both, see `products`.
        """
        discount = np.minimum(1, self.max_precision / np.maximum(self.precision, 1e-9))
        precision = self.precision * discount
        dots = np.einsum("ij,ij->i", self.sums, self.sums)
        squares = self.products(dots, self.weights**2) * discount**2
        alone = squares / (precision + 1) - np.log(precision + 1)
        squares_joint = squares[i] + squares[j] + 2 * products * discount[i] * discount[j]
        precision_joint = precision[i] + precision[j] + 1
        joint = squares_joint / precision_joint - np.log(precision_joint)
        return np.asarray(EFFECTIVE_DIMENSIONS / 2 * (joint - alone[i] - alone[j]))

    def pair_log_likelihood_ratio(self, pairs: Ints) -> Doubles:
        """Compute the log-likelihood ratio (p,) of each of the pairs (p, 2) of groups, in nats."""
        i, j = pairs.T
        dots = [
            np.einsum("ij,ij->i", self.sums[block[:, 0]], self.sums[block[:, 1]])
            for block in np.array_split(pairs, 1 + len(pairs) // _PAIRS_PER_BLOCK)
        ]
        products = self.products(np.concatenate(dots), self.weights[i] * self.weights[j])
        return self.log_likelihood_ratio(i, j, products)
