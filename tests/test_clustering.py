"""Pure first, then few: strangers are never joined, whatever it costs in clusters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from facerec.clustering import Clustering, cluster
from facerec.constraints import Continuations
from facerec.settings import ClusterSettings

from .merged_folder import near, person

SAME_PERSON = 1.16
NOBODY = np.empty((0, 2), np.int64)
ALONE = Continuations(NOBODY, np.empty(0))


def grouped(
    vectors: NDArray[np.float32],
    apart: list[tuple[int, int]] | NDArray[np.int64] = NOBODY,
    continuing: Continuations = ALONE,
    usable: NDArray[np.bool_] | None = None,
    **options: float,
) -> Clustering:
    usable = np.ones(len(vectors), bool) if usable is None else usable
    pairs = np.array(apart, np.int64).reshape(-1, 2)
    weights = np.full(len(vectors), 0.5, np.float32)
    chosen = ClusterSettings(**options)  # type: ignore[arg-type]
    return cluster(vectors, weights, usable, pairs, continuing, SAME_PERSON, chosen)


def faces(whose: list[int], spread: float = 0.5, seed: int = 0, dimension: int = 32) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return np.array([near(person(who, dimension), rng, spread) for who in whose]).reshape(-1, dimension)


def test_each_person_is_one_cluster_biggest_first_then_by_first_trajectory() -> None:
    whose = [3, 1, 2, 2, 1, 2, 4]
    assert grouped(faces(whose)).labels.tolist() == [2, 1, 0, 0, 1, 0, 3]


def test_no_trajectories_and_one_trajectory_are_films_too() -> None:
    assert grouped(np.empty((0, 0), np.float32)).labels.tolist() == []
    assert grouped(faces([0])).labels.tolist() == [0]


def test_two_faces_of_one_frame_stay_apart_however_alike_they_are() -> None:
    twins = np.repeat(faces([0]), 4, axis=0)
    labels = grouped(twins, apart=[(0, 1)]).labels
    assert labels[0] != labels[1]
    assert grouped(twins, apart=[(0, 1)], allow_same_frame=True).labels.tolist() == [0] * 4


def test_a_cannot_link_holds_through_third_parties() -> None:
    a, b = faces([0, 1], spread=0)
    bridge = (a + b) / np.linalg.norm(a + b)
    joined = grouped(np.array([a, bridge, b]), threshold=1.05).labels
    assert joined.tolist() == [0, 0, 0]
    labels = grouped(np.array([a, bridge, b]), apart=[(0, 2)], threshold=1.05).labels
    assert sorted(labels.tolist()) == [0, 0, 1]
    assert labels[0] != labels[2]


def test_looks_that_scatter_about_a_person_come_together_as_the_group_grows() -> None:
    """Two of them are on average too far apart to be joined; their means are not."""
    vectors = faces([0] * 40 + [1] * 40, spread=0.97, dimension=128)
    made = grouped(vectors)
    cosines = (vectors[:40] @ vectors[:40].T)[np.triu_indices(40, 1)]
    assert np.sqrt(2 - 2 * cosines).mean() > ClusterSettings.threshold * SAME_PERSON
    assert made.labels.tolist() == [0] * 40 + [1] * 40


def test_what_is_too_poor_to_compare_joins_nobody() -> None:
    poor = np.array([True, True, False, False])
    vectors = faces([0, 0, 0, 0])
    vectors[~poor] = 0
    assert grouped(vectors, usable=poor).labels.tolist() == [0, 0, 1, 2]


def test_a_poor_piece_joins_the_one_that_it_follows_at_once() -> None:
    vectors = faces([0, 1])
    vectors[1] = 0
    usable = np.array([True, False])
    pairs = np.array([[0, 1]])
    assert grouped(vectors, (), Continuations(pairs, np.array([0.1])), usable).labels.tolist() == [0, 0]
    assert grouped(vectors, (), Continuations(pairs, np.array([0.9])), usable).labels.tolist() == [0, 1]


def test_a_piece_that_goes_on_needs_less_likeness_but_some() -> None:
    a = person(0)
    for distance, gap, together in ((1.2, 0.1, True), (1.2, 0.9, False), (1.4, 0.0, False)):
        cosine = 1 - distance**2 / 2
        b = cosine * a + np.sqrt(1 - cosine**2) * person(1)
        vectors = np.array([a, b], np.float32)
        assert grouped(vectors).labels.tolist() == [0, 1]
        made = grouped(vectors, continuing=Continuations(np.array([[0, 1]]), np.array([gap])))
        assert (made.labels.tolist() == [0, 0]) == together
        assert made.continued == together


def test_continued_pieces_still_obey_a_cannot_link_of_their_groups() -> None:
    vectors = faces([0, 0, 0])
    chain = Continuations(np.array([[0, 1], [1, 2]]), np.array([0.0, 0.0]))
    labels = grouped(vectors, apart=[(0, 2)], continuing=chain).labels
    assert labels[0] != labels[2]


def test_in_a_film_whose_strangers_look_alike_the_threshold_falls() -> None:
    rng = np.random.default_rng(0)
    common = person(31, 32)
    look = [(0.75 * common + 0.66 * person(who, 32)) for who in range(20)]  # strangers lie 0.93 apart
    vectors = np.array([near(v / np.linalg.norm(v), rng, 0.1) for v in look for _ in range(2)])
    strangers = [(2 * a, 2 * b) for a in range(10) for b in range(a + 1, 10)]
    assert len(set(grouped(vectors).labels.tolist())) < 20  # unseen together they would be mixed
    made = grouped(vectors, apart=strangers)
    assert made.distance < 0.93
    mixed = [c for c in range(made.labels.max() + 1) if len(set(np.flatnonzero(made.labels == c) // 2)) > 1]
    assert len(mixed) <= 1  # of the 145 pairs that nobody saw together a few lie closer than any that were


def test_whoever_is_well_known_is_recognised_from_farther_away_but_never_by_a_stranger() -> None:
    def beside(*weights: float) -> NDArray[np.float32]:
        """A look at these cosines from the people 0, 1, …, otherwise like nobody."""
        rest = np.sqrt(1 - sum(w * w for w in weights))
        made = sum(w * person(who, 32) for who, w in enumerate(weights)) + rest * person(20, 32)
        return np.asarray(made, np.float32)

    crowd = [person(0, 32)] * 6 + [person(1, 32)] * 6
    alone = grouped(np.array([person(0, 32), beside(0.46)])).labels
    assert alone.tolist() == [0, 1]
    for look, apart, cluster_of_look in (
        (beside(0.46), NOBODY, 0),
        (beside(0.46), [(0, 12)], 2),  # seen in a frame with him
        (beside(0.46, 0.44), NOBODY, 2),  # might be either
        (beside(0.30), NOBODY, 2),  # like nobody
    ):
        assert grouped(np.array([*crowd, look]), apart).labels[-1] == cluster_of_look


@pytest.mark.parametrize("max_size", [1, 3, 10])
def test_a_page_is_never_longer_than_max_size_nor_mixed(max_size: int) -> None:
    whose = [0] * 23 + [1] * 7 + [2]
    made = grouped(faces(whose), max_size=max_size)
    sizes = np.bincount(made.labels)
    assert sizes.max() <= max_size
    assert all(len({whose[i] for i in np.flatnonzero(made.labels == c)}) == 1 for c in range(len(sizes)))
    assert len(sizes) == sum(-(-n // max_size) for n in (23, 7, 1))  # no more pages than needed
    assert made.split == len(sizes) - 3


def test_the_last_bits_of_the_vectors_decide_nothing() -> None:
    vectors = faces([i % 9 for i in range(120)], spread=0.7)
    noise = np.random.default_rng(1).normal(0, 1e-7, vectors.shape).astype(np.float32)
    for options in ({}, {"max_size": 5}):
        np.testing.assert_array_equal(
            grouped(vectors, **options).labels, grouped(vectors + noise, **options).labels
        )


def test_equal_vectors_in_great_number_are_one_cluster_in_good_time() -> None:
    vectors = np.repeat(faces([0, 1]), 1500, axis=0)
    assert grouped(vectors, max_size=10**6).labels.tolist() == [0] * 1500 + [1] * 1500


def slow_linkage(
    vectors: NDArray[np.float32], weights: NDArray[np.float32], apart: set[tuple[int, int]], least: float
) -> set[frozenset[int]]:
    """The definition, word for word, for small n."""
    groups = [frozenset([i]) for i in range(len(vectors))]
    while True:
        best, pair = least, None
        for a in groups:
            for b in groups:
                if a == b or any((i, j) in apart or (j, i) in apart for i in a for j in b):
                    continue
                one, other = (sum(weights[i] * vectors[i] for i in group) for group in (a, b))
                cosine = float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))
                if cosine > best:
                    best, pair = cosine, (a, b)
        if pair is None:
            return set(groups)
        groups = [g for g in groups if g not in pair] + [pair[0] | pair[1]]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 14), st.integers(0, 10_000), st.sampled_from([0.4, 0.8, 1.2]))
def test_the_fast_way_is_the_linkage_as_defined(n: int, seed: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    vectors = faces(rng.integers(0, 4, n).tolist(), spread, seed, dimension=8)
    weights = rng.uniform(0.1, 1, n).astype(np.float32)
    apart = np.unique(np.sort(rng.integers(0, n, (n // 2, 2)), axis=1), axis=0)
    apart = apart[apart[:, 0] != apart[:, 1]]
    made = cluster(
        vectors, weights, np.ones(n, bool), apart, ALONE, SAME_PERSON, ClusterSettings(well_known=n + 1)
    )
    groups = {frozenset(np.flatnonzero(made.labels == c).tolist()) for c in range(made.labels.max() + 1)}
    pairs = {(i, j) for i, j in apart.tolist()}
    assert groups == slow_linkage(vectors, weights, pairs, 1 - made.distance**2 / 2)


@settings(deadline=None)
@given(st.integers(0, 40), st.integers(0, 10_000), st.integers(1, 12))
def test_labels_are_dense_biggest_first_and_respect_every_cannot_link(n: int, seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = faces(rng.integers(0, 5, n).tolist(), 0.9, seed)
    usable = rng.random(n) < 0.8
    vectors[~usable] = 0
    apart = rng.integers(0, max(1, n), (n, 2)) if n else NOBODY
    apart = apart[apart[:, 0] != apart[:, 1]]
    order = rng.permutation(n)
    chain = Continuations(np.column_stack([order[:-1], order[1:]]), rng.random(max(0, n - 1)))
    labels = grouped(vectors, apart, chain, usable, max_size=size).labels
    sizes = np.bincount(labels) if n else np.empty(0)
    assert sizes.size == 0 or sizes.min() > 0
    assert (np.diff(sizes) <= 0).all()
    assert sizes.max(initial=0) <= size
    assert (labels[apart[:, 0]] != labels[apart[:, 1]]).all()
