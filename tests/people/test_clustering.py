"""Clusters are pure before they are few, and respect every cannot-link."""

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
NO_PAIRS = np.empty((0, 2), np.int64)
NO_CONTINUATIONS = Continuations(NO_PAIRS, np.empty(0))


def clustered(
    vectors: NDArray[np.float32],
    cannot_link: list[tuple[int, int]] | NDArray[np.int64] = NO_PAIRS,
    continuations: Continuations = NO_CONTINUATIONS,
    usable: NDArray[np.bool_] | None = None,
    **options: float | str,
) -> Clustering:
    usable = np.ones(len(vectors), bool) if usable is None else usable
    pairs = np.array(cannot_link, np.int64).reshape(-1, 2)
    quality = np.full(len(vectors), 0.5, np.float32)
    chosen = ClusterSettings(**options)  # type: ignore[arg-type]
    return cluster(vectors, quality, usable, pairs, continuations, SAME_PERSON, chosen)


def vectors_of(
    people: list[int], spread: float = 0.5, seed: int = 0, dimension: int = 32
) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return np.array([near(person(who, dimension), rng, spread) for who in people]).reshape(-1, dimension)


def test_each_person_is_one_cluster_numbered_by_its_first_trajectory() -> None:
    people = [3, 1, 2, 2, 1, 2, 4]
    assert clustered(vectors_of(people)).labels.tolist() == [0, 1, 2, 2, 1, 2, 3]


def test_films_of_no_and_of_one_trajectory_are_clustered() -> None:
    assert clustered(np.empty((0, 0), np.float32)).labels.tolist() == []
    assert clustered(vectors_of([0])).labels.tolist() == [0]


def test_equal_faces_of_one_frame_are_two_clusters_unless_allowed() -> None:
    twins = np.repeat(vectors_of([0]), 4, axis=0)
    labels = clustered(twins, cannot_link=[(0, 1)]).labels
    assert labels[0] != labels[1]
    assert clustered(twins, cannot_link=[(0, 1)], allow_same_frame=True).labels.tolist() == [0] * 4


def test_a_cannot_link_holds_for_groups() -> None:
    a, b = vectors_of([0, 1], spread=0)
    bridge = (a + b) / np.linalg.norm(a + b)
    joined = clustered(np.array([a, bridge, b]), min_log_likelihood_ratio=-20).labels
    assert joined.tolist() == [0, 0, 0]
    labels = clustered(np.array([a, bridge, b]), cannot_link=[(0, 2)], min_log_likelihood_ratio=-20).labels
    assert sorted(labels.tolist()) == [0, 0, 1]
    assert labels[0] != labels[2]


def test_varied_observations_of_a_person_are_joined_if_there_are_many() -> None:
    """Most pairs of them are too far apart to be joined alone."""
    vectors = vectors_of([0] * 40 + [1] * 40, spread=0.97, dimension=128)
    assert clustered(vectors).labels.tolist() == [0] * 40 + [1] * 40
    pairs = [clustered(vectors[[i, i + 1]]).labels.tolist() for i in range(0, 40, 2)]
    assert pairs.count([0, 1]) > 5


def test_observations_of_poor_quality_need_more_similarity() -> None:
    pair = vectors_of([0, 0], spread=0.5)
    for value, joined in ((0.5, True), (0.06, False)):
        quality = np.full(2, value, np.float32)
        labels = cluster(pair, quality, np.ones(2, bool), NO_PAIRS, NO_CONTINUATIONS, SAME_PERSON).labels
        assert (labels[0] == labels[1]) == joined


def test_a_trajectory_of_too_little_quality_stays_alone() -> None:
    usable = np.array([True, True, False, False])
    vectors = vectors_of([0, 0, 0, 0])
    vectors[~usable] = 0
    assert clustered(vectors, usable=usable).labels.tolist() == [0, 0, 1, 2]


def test_trajectories_of_no_quality_join_no_cluster_even_if_it_is_the_only_one() -> None:
    """Nothing is known of them: neither are they like each other, nor do they fit a single core cluster."""
    usable = np.array([True] * 16 + [False] * 4)
    vectors = np.array([person(0, 32)] * 20)
    vectors[~usable] = 0
    apart = [0] * 16 + [1, 2, 3, 4]
    assert clustered(vectors, usable=usable).labels.tolist() == apart
    # nor with a limit below 0, which is the ratio of what is not known
    low = clustered(vectors, usable=usable, min_log_likelihood_ratio=-20, attach_log_likelihood_ratio=1)
    assert low.labels.tolist() == apart


def test_a_trajectory_of_too_little_quality_joins_one_that_it_continues_at_once() -> None:
    vectors = vectors_of([0, 1])
    vectors[1] = 0
    usable = np.array([True, False])
    pairs = np.array([[0, 1]])
    assert clustered(vectors, (), Continuations(pairs, np.array([0.1])), usable).labels.tolist() == [0, 0]
    assert clustered(vectors, (), Continuations(pairs, np.array([0.25])), usable).labels.tolist() == [0, 0]
    assert clustered(vectors, (), Continuations(pairs, np.array([0.9])), usable).labels.tolist() == [0, 1]
    chain = Continuations(np.array([[0, 1], [1, 2]]), np.zeros(2))
    assert clustered(vectors_of([0, 0, 0]), (), chain).continued == 2


def test_a_continuation_is_joined_at_larger_distances_up_to_a_limit() -> None:
    a = person(0)
    for distance, gap, joined in ((1.2, 0.1, True), (1.2, 0.9, False), (1.4, 0.0, False)):
        cosine = 1 - distance**2 / 2
        b = cosine * a + np.sqrt(1 - cosine**2) * person(1)
        vectors = np.array([a, b], np.float32)
        assert clustered(vectors).labels.tolist() == [0, 1]
        clustering = clustered(vectors, (), Continuations(np.array([[0, 1]]), np.array([gap])))
        assert (clustering.labels.tolist() == [0, 0]) == joined
        assert clustering.continued == joined


def test_continuations_respect_the_cannot_links_of_their_groups() -> None:
    vectors = vectors_of([0, 0, 0])
    chain = Continuations(np.array([[0, 1], [1, 2]]), np.array([0.0, 0.0]))
    labels = clustered(vectors, cannot_link=[(0, 2)], continuations=chain).labels
    assert labels[0] != labels[2]


def test_the_limit_of_the_ratio_rises_in_a_film_whose_people_look_alike() -> None:
    rng = np.random.default_rng(0)
    common = person(31, 32)
    people = [(0.8 * common + 0.6 * person(who, 32)) for who in range(20)]  # 0.85 apart
    vectors = np.array([near(v / np.linalg.norm(v), rng, 0.1) for v in people for _ in range(2)])
    same_frame = [(2 * a, 2 * b) for a in range(10) for b in range(a + 1, 10)]
    without = clustered(vectors)
    assert len(set(without.labels.tolist())) < 20  # people are mixed
    raised = clustered(vectors, same_frame)
    assert raised.min_log_likelihood_ratio > without.min_log_likelihood_ratio
    members = [np.flatnonzero(raised.labels == c) for c in range(raised.labels.max() + 1)]
    mixed = [ids for ids in members if len(set(ids // 2)) > 1]
    assert len(mixed) <= 1  # a few of the 145 other pairs of people are closer than all in a frame
    mirrored = clustered(vectors, [(i, i ^ 1) for i in range(40)])
    # joining stays possible, however similar the pairs are
    assert mirrored.min_log_likelihood_ratio == ClusterSettings.max_log_likelihood_ratio


def test_the_limit_of_the_ratio_rises_with_the_number_of_trajectories() -> None:
    few, many = (clustered(vectors_of([0] * n)).min_log_likelihood_ratio for n in (4, 400))
    assert few == pytest.approx(ClusterSettings.min_log_likelihood_ratio + np.log(4) / 2)
    assert many == pytest.approx(few + np.log(400 / 4) / 2)


def test_trajectories_of_poor_quality_count_in_the_limit_of_the_ratio_and_unusable_ones_do_not() -> None:
    poor, usable = np.full(30, 0.1, np.float32), np.array([True] * 20 + [False] * 10)
    made = cluster(vectors_of([0] * 30), poor, usable, NO_PAIRS, NO_CONTINUATIONS, SAME_PERSON)
    assert made.min_log_likelihood_ratio == pytest.approx(7.6 + np.log(20) / 2)


def test_the_limit_of_the_ratio_is_raised_from_twenty_pairs_on_and_not_by_faces_without_quality() -> None:
    twins = np.repeat(vectors_of([0]), 42, axis=0)
    pairs = [(i, i + 1) for i in range(0, 40, 2)]
    lowest = 7.6 + np.log(42) / 2
    assert clustered(twins, pairs[:19]).min_log_likelihood_ratio == pytest.approx(lowest)
    assert clustered(twins, pairs).min_log_likelihood_ratio > lowest + 1
    strangers = vectors_of([i % 2 for i in range(42)])
    assert clustered(strangers, pairs).min_log_likelihood_ratio == pytest.approx(lowest)
    usable = np.arange(42) != 0
    lowest = 7.6 + np.log(41) / 2
    assert clustered(twins, pairs, usable=usable).min_log_likelihood_ratio == pytest.approx(lowest)


def test_a_single_observation_is_attached_to_the_one_core_cluster_that_it_fits() -> None:
    def observation(*cosines: float, other: int = 20) -> NDArray[np.float32]:
        """A vector at these cosines from the people 0, 1, …, and at right angles to all others."""
        rest = np.sqrt(1 - sum(c * c for c in cosines))
        vector = sum(c * person(who, 32) for who, c in enumerate(cosines)) + rest * person(other, 32)
        return np.asarray(vector, np.float32)

    core = [person(0, 32)] * 16 + [person(1, 32)] * 16
    fits, fits_better = observation(0.5), observation(0.55, other=21)
    fits_both = observation(0.5, 0.47, other=22)
    for small, cannot_link, labels in (
        ([fits, fits_both, fits_better], NO_PAIRS, [0, 2, 0]),  # each is compared by itself
        ([fits, fits_better], [(32, 33)], [2, 0]),  # of two in one frame, the likelier one
        ([fits_better, fits], [(32, 33)], [0, 2]),
    ):
        assert clustered(np.array([*core, *small]), cannot_link).labels[32:].tolist() == labels
    alone = clustered(np.array([person(0, 32), observation(0.5)])).labels
    assert alone.tolist() == [0, 1]
    for vector, cannot_link, label in (
        (observation(0.5), NO_PAIRS, 0),
        (observation(0.5), [(0, 32)], 2),  # seen in one frame with person 0
        (observation(0.5, 0.47), NO_PAIRS, 2),  # fits both
        (observation(0.30), NO_PAIRS, 2),  # fits neither
    ):
        assert clustered(np.array([*core, vector]), cannot_link).labels[-1] == label


def test_a_poor_observation_is_attached_to_the_core_cluster_of_its_person() -> None:
    """Its ratio is too low for the first step: one face of such quality says little."""
    core = [person(0, 32)] * 16 + [person(1, 32)] * 16
    quality = np.array([0.5] * 32 + [0.02], np.float32)
    settings = ClusterSettings(attach_log_likelihood_ratio=1e9), ClusterSettings()
    without, attached = (
        cluster(np.array([*core, person(0, 32)]), quality, np.ones(33, bool), NO_PAIRS, NO_CONTINUATIONS,
                SAME_PERSON, one).labels.tolist()
        for one in settings
    )  # fmt: skip
    assert without == [0] * 16 + [1] * 16 + [2] and attached == [0] * 16 + [1] * 16 + [0]


def test_rounding_errors_of_the_vectors_change_nothing() -> None:
    vectors = vectors_of([i % 9 for i in range(120)], spread=0.7)
    noise = np.random.default_rng(1).normal(0, 1e-7, vectors.shape).astype(np.float32)
    np.testing.assert_array_equal(clustered(vectors).labels, clustered(vectors + noise).labels)


@pytest.mark.slow
def test_thousands_of_equal_vectors_are_one_cluster_in_time() -> None:
    vectors = np.repeat(vectors_of([0, 1]), 1500, axis=0)
    assert clustered(vectors).labels.tolist() == [0] * 1500 + [1] * 1500


@settings(deadline=None)
@given(st.integers(0, 40), st.integers(0, 10_000))
def test_labels_are_dense_by_first_member_and_respect_every_cannot_link(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = vectors_of(rng.integers(0, 5, n).tolist(), 0.9, seed)
    usable = rng.random(n) < 0.8
    vectors[~usable] = 0
    pairs = rng.integers(0, max(1, n), (n, 2)) if n else NO_PAIRS
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    order = rng.permutation(n)
    chain = Continuations(np.column_stack([order[:-1], order[1:]]), rng.random(max(0, n - 1)))
    labels = clustered(vectors, pairs, chain, usable).labels
    assert list(dict.fromkeys(labels.tolist())) == [*range(labels.max(initial=-1) + 1)]
    assert (labels[pairs[:, 0]] != labels[pairs[:, 1]]).all()
