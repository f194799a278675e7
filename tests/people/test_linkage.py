"""The evidence is what the model says, and the quick linkage is the slow one, word for word."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from facerec.people.linkage import DIRECTIONS, STRANGER, Groups, link, reliability
from facerec.settings import ClusterSettings
from tests.merged_folder import near, person

SAME_PERSON = 1.16
PAIR = np.array([[0, 1]])


def likelihood(vectors: NDArray[np.float32], reliable: NDArray[np.float64]) -> float:
    """Logarithm of the density of looks of one person, up to what each look adds by itself.

    In every direction the looks are jointly normal: covariance between two of them is the root of the
    product of their reliabilities, variance 1.
    """
    noise = np.diag(1 - reliable)
    covariance = np.sqrt(np.outer(reliable, reliable)) + noise
    likeness = 1 - (1 - STRANGER) * (2 - 2 * vectors.astype(np.float64) @ vectors.T) / SAME_PERSON**2
    fit = np.trace(np.linalg.solve(covariance, likeness)) - np.trace(np.linalg.solve(noise, likeness))
    return float(-DIRECTIONS / 2 * (fit + np.linalg.slogdet(covariance)[1] - np.log(1 - reliable).sum()))


def looks(n: int, seed: int, spread: float = 0.8) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    vectors = np.array([near(person(who, 8), rng, spread) for who in rng.integers(0, 4, n)])
    return vectors, rng.uniform(0.05, 0.6, n)


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 10_000))
def test_evidence_is_the_likelihood_of_one_person_over_that_of_two(a: int, b: int, seed: int) -> None:
    vectors, reliable = looks(a + b, seed)
    groups = Groups.of_looks(vectors, reliable, SAME_PERSON, np.inf).joined(np.repeat([0, 1], [a, b]))
    apart = likelihood(vectors[:a], reliable[:a]) + likelihood(vectors[a:], reliable[a:])
    found = float(groups.pair_evidence(PAIR)[0])
    assert found == pytest.approx(likelihood(vectors, reliable) - apart, abs=2e-3)


@pytest.mark.parametrize("same_person", [0.43, 1.05, 1.16])
def test_the_unit_of_distance_is_the_embedder_s_own(same_person: float) -> None:
    """Two faces as far apart as a share of `same_person` are the same evidence for every embedder."""
    cosine = 1 - (0.7 * same_person) ** 2 / 2
    vectors = np.array([[1, 0], [cosine, np.sqrt(1 - cosine**2)]], np.float32)
    found = Groups.of_looks(vectors, np.full(2, 0.5), same_person, np.inf).pair_evidence(PAIR)[0]
    vectors[1] = 1 - 0.7**2 / 2, np.sqrt(1 - (1 - 0.7**2 / 2) ** 2)
    in_units = Groups.of_looks(vectors, np.full(2, 0.5), 1.0, np.inf).pair_evidence(PAIR)[0]
    assert found == pytest.approx(in_units, abs=1e-3)


def test_a_look_that_says_nothing_is_no_evidence_either_way() -> None:
    vectors = np.repeat(person(0, 8)[None], 2, axis=0)
    found = Groups.of_looks(vectors, np.array([0.5, 0.0]), SAME_PERSON, np.inf).pair_evidence(PAIR)
    assert found[0] == pytest.approx(0, abs=1e-4)
    assert reliability(np.zeros(1), ClusterSettings())[0] == 0


def slow_linkage(
    vectors: NDArray[np.float32], reliable: NDArray[np.float64], apart: set[tuple[int, int]], least: float
) -> set[frozenset[int]]:
    """The definition, word for word, for small n."""
    groups = [frozenset([i]) for i in range(len(vectors))]

    def alone(group: frozenset[int]) -> float:
        return likelihood(vectors[sorted(group)], reliable[sorted(group)])

    while True:
        best, pair = least, None
        for a in groups:
            for b in groups:
                if a == b or any((i, j) in apart or (j, i) in apart for i in a for j in b):
                    continue
                found = alone(a | b) - alone(a) - alone(b)
                if found > best:
                    best, pair = found, (a, b)
        if pair is None:
            return set(groups)
        groups = [g for g in groups if g not in pair] + [pair[0] | pair[1]]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 10), st.integers(0, 10_000), st.sampled_from([0.4, 0.8, 1.2]))
def test_the_fast_way_is_the_linkage_as_defined(n: int, seed: int, spread: float) -> None:
    vectors, reliable = looks(n, seed, spread)
    rng = np.random.default_rng(seed)
    apart = np.unique(np.sort(rng.integers(0, n, (n // 2, 2)), axis=1), axis=0)
    apart = apart[apart[:, 0] != apart[:, 1]]
    made = link(Groups.of_looks(vectors, reliable, SAME_PERSON, np.inf), apart, 3.0)
    groups = {frozenset(np.flatnonzero(made == c).tolist()) for c in set(made.tolist())}
    assert groups == slow_linkage(vectors, reliable, {(i, j) for i, j in apart.tolist()}, 3.0)
