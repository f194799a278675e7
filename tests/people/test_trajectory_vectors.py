"""The vector of a trajectory represents its person, even with faces of others and poor faces in it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from facerec.people.trajectory_vectors import trajectory_vectors
from facerec.settings import VectorSettings
from tests.merged_folder import near, person


def vector_of(embeddings: NDArray[np.float32], quality: list[float]) -> NDArray[np.float32]:
    trajectory = np.zeros(len(embeddings), np.int64)
    found = trajectory_vectors(trajectory, embeddings, np.array(quality, np.float32), 1)
    assert found.usable.all()
    return found.vectors[0]


def plain_mean(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    mean = embeddings.mean(0)
    return np.asarray(mean / np.linalg.norm(mean))


@pytest.mark.parametrize("seed", range(5))
def test_faces_of_a_passer_by_barely_move_the_vector(seed: int) -> None:
    rng = np.random.default_rng(seed)
    own = [near(person(0), rng, 0.5) for _ in range(14)]
    other = [near(person(1), rng, 0.3) for _ in range(4)]
    embeddings = np.array(own + other)
    robust = vector_of(embeddings, [0.5] * 18)
    assert np.linalg.norm(robust - plain_mean(np.array(own))) < 0.05
    assert np.linalg.norm(robust - person(0)) < np.linalg.norm(plain_mean(embeddings) - person(0)) - 0.1


@pytest.mark.parametrize("seed", range(5))
def test_blurred_faces_count_less_than_sharp_ones(seed: int) -> None:
    rng = np.random.default_rng(seed)
    embeddings = np.array([near(person(0), rng, spread) for spread in [0.3] * 6 + [1.2] * 6])
    weighted = vector_of(embeddings, [0.8] * 6 + [0.05] * 6)
    assert np.linalg.norm(weighted - person(0)) < np.linalg.norm(plain_mean(embeddings) - person(0))


def test_a_trajectory_without_a_face_of_enough_quality_is_not_usable() -> None:
    embeddings = np.array([person(0), person(1)])
    found = trajectory_vectors(np.array([0, 2]), embeddings, np.array([0.9, 0.01], np.float32), 3)
    assert found.usable.tolist() == [True, False, False]
    assert found.quality.tolist() == pytest.approx([0.9, 0, 0.01]) and found.quality.dtype == np.float32
    assert not found.vectors[1:].any()


def test_a_trajectory_of_exactly_the_least_quality_is_usable() -> None:
    half = np.full(1, 0.5, np.float32)
    for least, usable in ((0.5, True), (0.51, False)):
        chosen = VectorSettings(min_quality=least)
        found = trajectory_vectors(np.zeros(1, np.int64), np.array([person(0)]), half, 1, chosen)
        assert found.usable.tolist() == [usable] and found.usable.dtype == bool


def test_no_face_counts_for_more_than_one_of_median_quality() -> None:
    """By hand: weights of 0.1, 0.2 and 0.2."""
    embeddings = np.array([person(0), person(1), person(2)])
    chosen = VectorSettings(outlier_deviations=1e9)
    quality = np.array([0.1, 0.2, 0.9], np.float32)
    found = trajectory_vectors(np.zeros(3, np.int64), embeddings, quality, 1, chosen)
    mean = 0.1 * embeddings[0] + 0.2 * embeddings[1] + 0.2 * embeddings[2]
    np.testing.assert_allclose(found.vectors[0], mean / np.linalg.norm(mean), atol=1e-6)
    assert found.quality[0] == pytest.approx((0.1 * 0.1 + 0.2 * 0.2 + 0.2 * 0.9) / 0.5)


def test_the_outliers_of_all_trajectories_are_counted() -> None:
    embeddings = np.array([*[person(0)] * 9, person(1), *[person(2)] * 5])
    found = trajectory_vectors(np.array([0] * 10 + [1] * 5), embeddings, np.full(15, 0.5, np.float32), 2)
    assert found.outliers == 1
    np.testing.assert_allclose(found.vectors, [person(0), person(2)], atol=1e-6)


def test_faces_without_a_trajectory_are_ignored() -> None:
    found = trajectory_vectors(np.array([-1, 0]), np.array([person(1), person(0)]), np.ones(2, np.float32), 1)
    np.testing.assert_array_equal(found.vectors[0], person(0))


def test_a_film_without_faces_has_no_vectors() -> None:
    found = trajectory_vectors(
        np.empty(0, np.int64), np.empty((0, 0), np.float32), np.empty(0, np.float32), 0
    )
    assert found.vectors.shape == (0, 0)


def test_opposite_embeddings_give_no_nan() -> None:
    both = np.array([person(0), -person(0)])
    found = trajectory_vectors(np.zeros(2, np.int64), both, np.ones(2, np.float32), 1)
    assert np.isfinite(found.vectors).all()


def test_of_more_faces_than_are_pooled_the_best_count() -> None:
    embeddings = np.array([person(1)] * 4 + [person(0)] * 3)
    quality = np.array([0.2] * 4 + [0.9] * 3, np.float32)
    pooled = VectorSettings(max_faces=3)
    found = trajectory_vectors(np.zeros(7, np.int64), embeddings, quality, 1, pooled)
    np.testing.assert_allclose(found.vectors[0], person(0), atol=1e-6)
    assert found.outliers == 0


@pytest.mark.parametrize("seed", range(20))
def test_faces_far_from_the_medoid_are_left_out(seed: int) -> None:
    """The medoid is the face with the smallest sum of distances; the limit is in robust deviations."""
    rng = np.random.default_rng(seed)
    embeddings = np.array([near(person(0), rng, spread) for spread in rng.uniform(0.1, 1.5, 15)])
    settings = VectorSettings()
    distances = np.array([[np.linalg.norm(one - other) for other in embeddings] for one in embeddings])
    to_medoid = distances[distances.sum(1).argmin()]
    deviation = 1.4826 * np.median(np.abs(to_medoid - np.median(to_medoid)))
    limit = np.median(to_medoid) + settings.outlier_deviations * max(deviation, settings.min_deviation)
    found = trajectory_vectors(np.zeros(15, np.int64), embeddings, np.full(15, 0.5, np.float32), 1)
    assert found.outliers == (to_medoid > limit).sum()
    np.testing.assert_allclose(found.vectors[0], plain_mean(embeddings[to_medoid <= limit]), atol=1e-5)


@given(st.data())
def test_the_order_of_the_faces_changes_nothing(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 12))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    trajectory = rng.integers(-1, 3, n)
    embeddings = np.array([near(person(int(w) + 1), rng, 0.8) for w in trajectory])
    quality = rng.uniform(0, 1, n).astype(np.float32)
    shuffled = np.array(data.draw(st.permutations(range(n))))
    one = trajectory_vectors(trajectory, embeddings, quality, 3)
    other = trajectory_vectors(trajectory[shuffled], embeddings[shuffled], quality[shuffled], 3)
    np.testing.assert_allclose(one.vectors, other.vectors, atol=1e-5)
    np.testing.assert_array_equal(one.usable, other.usable)
    lengths = np.linalg.norm(one.vectors, axis=1)
    np.testing.assert_allclose(lengths, one.usable, atol=1e-5)
