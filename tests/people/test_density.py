"""HDBSCAN finds dense clusters, and the cannot-links and labels of the default method hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from facerec.errors import InputError
from facerec.people.clustering import cluster
from facerec.people.constraints import Continuations
from facerec.people.density import hdbscan_labels
from facerec.settings import ClusterSettings
from tests.merged_folder import person
from tests.people.test_clustering import NO_CONTINUATIONS, NO_PAIRS, SAME_PERSON, clustered, vectors_of


def labels_of(
    vectors: NDArray[np.float32], cannot_link: list[tuple[int, int]] | NDArray[np.int64] = NO_PAIRS
) -> list[int]:
    return clustered(vectors, cannot_link, method="hdbscan").labels.tolist()


def test_each_person_is_one_cluster_numbered_by_its_first_trajectory() -> None:
    assert labels_of(vectors_of([3, 1, 2, 2, 1, 2, 1, 3, 2, 3])) == [0, 1, 2, 2, 1, 2, 1, 0, 2, 0]
    assert clustered(vectors_of([0] * 3), method="hdbscan").min_log_likelihood_ratio is None


@pytest.mark.parametrize(("people", "labels"), [
    ([], []), ([0], [0]), ([0, 0], [0, 1]), ([0, 1], [0, 1]), ([0, 0, 0], [0, 0, 0]), ([0, 1, 2], [0, 1, 2]),
])  # fmt: skip
def test_films_of_few_trajectories_are_clustered_are_clustered(people: list[int], labels: list[int]) -> None:
    assert labels_of(vectors_of(people)) == labels


def test_a_film_of_one_person_is_one_cluster() -> None:
    assert labels_of(vectors_of([0] * 30)) == [0] * 30


def test_each_noise_point_is_a_cluster() -> None:
    vectors = vectors_of([0] * 5 + [1, 2, 3])
    assert hdbscan_labels(vectors, 0.65 * SAME_PERSON, SAME_PERSON)[0].tolist() == [0] * 5 + [-1] * 3
    assert labels_of(vectors) == [0] * 5 + [1, 2, 3]


def test_clusters_nearer_than_epsilon_are_one() -> None:
    vectors = vectors_of([0] * 6 + [1] * 6, spread=0.3)
    assert len(set(clustered(vectors, method="hdbscan").labels.tolist())) == 2
    assert clustered(vectors, method="hdbscan", hdbscan_epsilon=1.4).labels.tolist() == [0] * 12


def test_equal_faces_of_one_frame_are_two_clusters_unless_allowed() -> None:
    twins = np.repeat(vectors_of([0]), 6, axis=0)
    labels = labels_of(twins, [(0, 1), (2, 3)])
    assert labels[0] != labels[1] and labels[2] != labels[3]
    assert len(set(labels)) == 2
    free = clustered(twins, [(0, 1), (2, 3)], method="hdbscan", allow_same_frame=True).labels
    assert free.tolist() == [0] * 6


def test_a_cluster_split_by_cannot_links_keeps_similar_faces_together() -> None:
    towards = 0.93 * person(0) + np.sqrt(1 - 0.93**2) * person(1)
    vectors = np.array([person(0)] * 4 + [towards] * 4, np.float32)
    assert labels_of(vectors) == [0] * 8
    assert labels_of(vectors, [(0, 4), (1, 5)]) == [0] * 4 + [1] * 4


def test_continuations_are_joined_as_with_the_default_method() -> None:
    vectors = vectors_of([0, 1])
    vectors[1] = 0
    chain = Continuations(np.array([[0, 1]]), np.array([0.1]))
    clustering = clustered(vectors, NO_PAIRS, chain, np.array([True, False]), method="hdbscan")
    assert clustering.labels.tolist() == [0, 0]
    assert clustering.continued == 1


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(InputError, match="plda or hdbscan, not 'kmeans'"):
        ClusterSettings(method="kmeans")


@settings(deadline=None)
@given(st.integers(0, 40), st.integers(0, 10_000), st.sampled_from([0.0, 0.5, 0.9]))
def test_labels_are_dense_by_first_member_and_respect_every_cannot_link(
    n: int, seed: int, spread: float
) -> None:
    rng = np.random.default_rng(seed)
    vectors = vectors_of(rng.integers(0, 5, n).tolist(), spread, seed)
    usable = rng.random(n) < 0.8
    vectors[~usable] = 0
    pairs = rng.integers(0, max(1, n), (n, 2)) if n else NO_PAIRS
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    order = rng.permutation(n)
    chain = Continuations(np.column_stack([order[:-1], order[1:]]), rng.random(max(0, n - 1)))
    labels = clustered(vectors, pairs, chain, usable, method="hdbscan").labels
    assert list(dict.fromkeys(labels.tolist())) == [*range(labels.max(initial=-1) + 1)]
    assert (labels[pairs[:, 0]] != labels[pairs[:, 1]]).all()


@pytest.mark.parametrize(("distance", "label"), [(0.9, 0), (1.1, 0), (1.2, -1), (1.3, -1)])
def test_a_vector_farther_than_two_faces_of_one_person_is_noise(distance: float, label: int) -> None:
    """1.16 is the largest distance of a member here; all but the last vector are close to each other."""
    cosines = 1 - np.array([0.0, 0.1, 0.2, distance]) ** 2 / 2
    away = np.array([[0, 0], [1, 0], [0, 1], [1, 0]]) * np.sqrt(1 - cosines**2)[:, None]
    vectors = np.column_stack([cosines, away]).astype(np.float32)
    assert hdbscan_labels(vectors, 0.65 * 1.16, 1.16)[0].tolist() == [0, 0, 0, label]


def test_trajectories_of_no_quality_are_not_like_each_other() -> None:
    usable = np.array([True] * 6 + [False] * 4)
    vectors = np.array([person(0, 32)] * 10)
    vectors[~usable] = 0
    labels = clustered(vectors, usable=usable, method="hdbscan").labels
    assert labels.tolist() == [0] * 6 + [1, 2, 3, 4]


def test_faces_of_poor_quality_are_as_far_from_each_other_as_good_ones() -> None:
    vectors = vectors_of([0, 1, 2] * 5, spread=0.6)
    alike = [
        cluster(vectors, np.full(15, quality, np.float32), np.ones(15, bool), NO_PAIRS, NO_CONTINUATIONS,
                SAME_PERSON, ClusterSettings(method="hdbscan")).labels.tolist()
        for quality in (0.05, 0.9)
    ]  # fmt: skip
    assert alike[0] == alike[1] == [0, 1, 2] * 5


@pytest.mark.parametrize("like", [0, 1])
def test_a_member_joins_the_part_that_it_resembles(like: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found = (np.zeros(3, np.int64), np.array([1.0, 0.9, 0.8]))
    monkeypatch.setattr("facerec.people.clustering.hdbscan_labels", lambda *_: found)
    assert labels_of(vectors_of([0, 1, like]), [(0, 1)]) == [0, 1, like]


def test_a_member_too_far_from_its_cluster_does_not_end_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a member has become noise, but its strength may be above those of another cluster's members."""
    found = (np.array([-1, 1, 1, 0, 0]), np.array([1.0, 0.5, 0.4, 0.3, 0.2]))
    monkeypatch.setattr("facerec.people.clustering.hdbscan_labels", lambda *_: found)
    assert labels_of(vectors_of([0, 1, 1, 2, 2])) == [0, 1, 1, 2, 2]


def test_the_strongest_members_of_a_cluster_choose_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """0 and 1 are two people of one frame; 2 belongs to the stronger of them, wherever the weaker stands."""
    for strength in ([0.1, 1.0, 0.9], [1.0, 0.1, 0.9]):
        found = (np.zeros(3, np.int64), np.array(strength))
        monkeypatch.setattr("facerec.people.clustering.hdbscan_labels", lambda *_, found=found: found)
        labels = labels_of(vectors_of([0, 0, 0]), [(0, 1)])
        assert labels[2] == labels[int(np.argmax(strength))] and labels[0] != labels[1]
