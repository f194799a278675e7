"""Pure first, then few: strangers are never joined, whatever it costs in clusters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from facerec.people.clustering import Clustering, cluster
from facerec.people.constraints import Continuations
from facerec.settings import ClusterSettings
from tests.merged_folder import near, person

SAME_PERSON = 1.16
NOBODY = np.empty((0, 2), np.int64)
ALONE = Continuations(NOBODY, np.empty(0))


def grouped(
    vectors: NDArray[np.float32],
    apart: list[tuple[int, int]] | NDArray[np.int64] = NOBODY,
    continuing: Continuations = ALONE,
    usable: NDArray[np.bool_] | None = None,
    **options: float | str,
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
    joined = grouped(np.array([a, bridge, b]), min_log_likelihood_ratio=-20).labels
    assert joined.tolist() == [0, 0, 0]
    labels = grouped(np.array([a, bridge, b]), apart=[(0, 2)], min_log_likelihood_ratio=-20).labels
    assert sorted(labels.tolist()) == [0, 0, 1]
    assert labels[0] != labels[2]


def test_looks_that_scatter_about_a_person_come_together_as_the_group_grows() -> None:
    """Two of them alone are too far apart to be joined on average; what many agree on is not."""
    vectors = faces([0] * 40 + [1] * 40, spread=0.97, dimension=128)
    assert grouped(vectors).labels.tolist() == [0] * 40 + [1] * 40
    pairs = [grouped(vectors[[i, i + 1]]).labels.tolist() for i in range(0, 40, 2)]
    assert pairs.count([0, 1]) > 5


def test_a_poor_look_joins_nobody_on_a_likeness_that_is_enough_for_good_ones() -> None:
    pair = faces([0, 0], spread=0.5)
    for worth, together in ((0.5, True), (0.06, False)):
        weights = np.full(2, worth, np.float32)
        made = cluster(pair, weights, np.ones(2, bool), NOBODY, ALONE, SAME_PERSON)
        assert (made.labels[0] == made.labels[1]) == together


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


def test_in_a_film_whose_strangers_look_alike_more_evidence_is_asked_for() -> None:
    rng = np.random.default_rng(0)
    common = person(31, 32)
    look = [(0.8 * common + 0.6 * person(who, 32)) for who in range(20)]  # strangers lie 0.85 apart
    vectors = np.array([near(v / np.linalg.norm(v), rng, 0.1) for v in look for _ in range(2)])
    strangers = [(2 * a, 2 * b) for a in range(10) for b in range(a + 1, 10)]
    unseen = grouped(vectors)
    assert len(set(unseen.labels.tolist())) < 20  # unseen together they are mixed
    made = grouped(vectors, apart=strangers)
    assert made.evidence > unseen.evidence
    mixed = [c for c in range(made.labels.max() + 1) if len(set(np.flatnonzero(made.labels == c) // 2)) > 1]
    assert len(mixed) <= 1  # of the 145 pairs that nobody saw together a few lie closer than any that were
    mirrored = grouped(vectors, apart=[(i, i ^ 1) for i in range(40)])
    assert mirrored.evidence == ClusterSettings.max_log_likelihood_ratio  # joining stays possible


def test_more_trajectories_ask_for_more_evidence_of_each_pair() -> None:
    few, many = (grouped(faces([0] * n)).evidence for n in (4, 400))
    assert many == pytest.approx(few + np.log(400 / 4) / 2)


def test_whoever_is_well_known_is_recognised_from_farther_away_but_never_by_a_stranger() -> None:
    def beside(*weights: float) -> NDArray[np.float32]:
        """A look at these cosines from the people 0, 1, …, otherwise like nobody."""
        rest = np.sqrt(1 - sum(w * w for w in weights))
        made = sum(w * person(who, 32) for who, w in enumerate(weights)) + rest * person(20, 32)
        return np.asarray(made, np.float32)

    crowd = [person(0, 32)] * 16 + [person(1, 32)] * 16
    alone = grouped(np.array([person(0, 32), beside(0.5)])).labels
    assert alone.tolist() == [0, 1]
    for look, apart, cluster_of_look in (
        (beside(0.5), NOBODY, 0),
        (beside(0.5), [(0, 32)], 2),  # seen in a frame with him
        (beside(0.5, 0.47), NOBODY, 2),  # might be either
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
