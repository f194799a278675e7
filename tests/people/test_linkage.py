"""The fast agglomeration gives the clusters of a direct implementation of its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from facerec.people.linkage import agglomerate
from facerec.people.plda import Groups
from tests.people.plda_reference import SAME_PERSON, log_likelihood, observations


def slow_agglomerate(
    vectors: NDArray[np.float32],
    reliabilities: NDArray[np.float64],
    cannot_link: set[tuple[int, int]],
    min_ratio: float,
) -> set[frozenset[int]]:
    """The definition, for small n."""
    groups = [frozenset([i]) for i in range(len(vectors))]

    def likelihood(group: frozenset[int]) -> float:
        return log_likelihood(vectors[sorted(group)], reliabilities[sorted(group)])

    while True:
        best, pair = min_ratio, None
        for a in groups:
            for b in groups:
                if a == b or any((i, j) in cannot_link or (j, i) in cannot_link for i in a for j in b):
                    continue
                ratio = likelihood(a | b) - likelihood(a) - likelihood(b)
                if ratio > best:
                    best, pair = ratio, (a, b)
        if pair is None:
            return set(groups)
        groups = [g for g in groups if g not in pair] + [pair[0] | pair[1]]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 10), st.integers(0, 10_000), st.sampled_from([0.4, 0.8, 1.2]))
def test_the_clusters_are_those_of_the_definition(n: int, seed: int, spread: float) -> None:
    vectors, reliabilities = observations(n, seed, spread)
    rng = np.random.default_rng(seed)
    pairs = np.unique(np.sort(rng.integers(0, n, (n // 2, 2)), axis=1), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    groups = Groups.from_observations(vectors, reliabilities, SAME_PERSON, np.inf)
    labels = agglomerate(groups, pairs, 3.0)
    clusters = {frozenset(np.flatnonzero(labels == c).tolist()) for c in set(labels.tolist())}
    assert clusters == slow_agglomerate(vectors, reliabilities, {(i, j) for i, j in pairs.tolist()}, 3.0)


@pytest.mark.parametrize("max_precision", [0.1, 2.0])
@pytest.mark.parametrize("reliabilities", [(0.1, 0.2), (0.3, 0.9)])
def test_two_groups_are_joined_from_their_ratio_on(
    reliabilities: tuple[float, float], max_precision: float
) -> None:
    """Of little and of much precision, below and above its bound."""
    vectors = observations(2, 5, 0.1)[0][[0, 0]]
    groups = Groups.from_observations(vectors, np.array(reliabilities), SAME_PERSON, max_precision)
    ratio = float(groups.pair_log_likelihood_ratio(np.array([[0, 1]]))[0])
    pairs = np.empty((0, 2), np.int64)
    assert agglomerate(groups, pairs, ratio - 0.001).tolist() == [0, 0]
    assert agglomerate(groups, pairs, ratio + 0.001).tolist() == [0, 1]


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 9), st.integers(0, 10_000), st.sampled_from([0.5, 2.0, 8.0]))
def test_bounded_precision_of_large_clusters_is_that_of_their_ratios(
    n: int, seed: int, max_precision: float
) -> None:
    vectors, reliabilities = observations(n, seed, 0.4)
    groups = Groups.from_observations(vectors, reliabilities, SAME_PERSON, max_precision)
    labels = np.arange(n)
    while (m := int(labels.max()) + 1) > 1:
        pairs = np.column_stack(np.triu_indices(m, 1))
        ratios = groups.merged(labels).pair_log_likelihood_ratio(pairs)
        if ratios.max() < 1.0:
            break
        i, j = pairs[ratios.argmax()]
        labels = np.unique(np.where(labels == j, i, labels), return_inverse=True)[1]
    found = agglomerate(groups, np.empty((0, 2), np.int64), 1.0)
    assert np.unique(found, return_inverse=True)[1].tolist() == labels.tolist()
