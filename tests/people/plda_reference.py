"""A direct computation of the PLDA model's likelihood, which `facerec.people.plda` must agree with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facerec.people.plda import EFFECTIVE_DIMENSIONS, SAME_PERSON_SIMILARITY
from tests.merged_folder import near, person

SAME_PERSON = 1.16


def log_likelihood(vectors: NDArray[np.float32], reliabilities: NDArray[np.float64]) -> float:
    """The logarithm of the density of observations of one person over that of unrelated observations.

    In every dimension the observations are jointly normal with variance 1; the covariance of two of them is
    the root of the product of their reliabilities.
    """
    noise = np.diag(1 - reliabilities)
    covariance = np.sqrt(np.outer(reliabilities, reliabilities)) + noise
    squared_distances = 2 - 2 * vectors.astype(np.float64) @ vectors.T
    similarity = 1 - (1 - SAME_PERSON_SIMILARITY) * squared_distances / SAME_PERSON**2
    fit = np.trace(np.linalg.solve(covariance, similarity)) - np.trace(np.linalg.solve(noise, similarity))
    log_determinants = np.linalg.slogdet(covariance)[1] - np.log(1 - reliabilities).sum()
    return float(-EFFECTIVE_DIMENSIONS / 2 * (fit + log_determinants))


def observations(n: int, seed: int, spread: float = 0.8) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Vectors (n, 8) and reliabilities (n,) of four people in random order."""
    rng = np.random.default_rng(seed)
    vectors = np.array([near(person(who, 8), rng, spread) for who in rng.integers(0, 4, n)])
    return vectors, rng.uniform(0.05, 0.6, n)
