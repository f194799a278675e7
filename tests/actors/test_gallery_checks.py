"""Copies and mislabelled pictures in a gallery are found, and correct pictures are not reported."""

from __future__ import annotations

import numpy as np
import pytest

import facerec.actors.gallery_checks as checks
from facerec.actors.gallery_checks import find_copies, find_mislabelled
from tests.actors.faces import SAME, faces


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_correct_gallery_has_no_mistakes(rng: np.random.Generator) -> None:
    vectors = np.concatenate([faces(rng, actor, 6, 0.3) for actor in range(4)])
    actor_of = np.repeat(np.arange(4), 6)
    assert find_copies(vectors, actor_of, SAME) == [] and find_mislabelled(vectors, actor_of, SAME) == []


def test_copy_is_reported_only_under_another_actor(rng: np.random.Generator) -> None:
    vectors = np.concatenate([faces(rng, 0, 3, 0.3), faces(rng, 1, 3, 0.3)])
    vectors = np.concatenate([vectors, vectors[:1] + np.float32(1e-4), vectors[3:4]])
    actor_of = np.array([0, 0, 0, 1, 1, 1, 1, 1])
    assert find_copies(vectors, actor_of, SAME) == [(0, 6)]


def test_mislabelled_picture_is_reported_with_the_actor_it_shows(rng: np.random.Generator) -> None:
    vectors = np.concatenate([faces(rng, 0, 5, 0.3), faces(rng, 1, 5, 0.3)])
    actor_of = np.array([0] * 5 + [1] * 4 + [0])  # the last one shows actor 1
    (found,) = find_mislabelled(vectors, actor_of, SAME)
    assert found.picture == 9 and actor_of[found.nearest] == 1
    assert found.own > SAME > found.distance


def test_two_mislabelled_pictures_of_one_actor_are_both_reported(rng: np.random.Generator) -> None:
    vectors = np.concatenate([faces(rng, 0, 6, 0.3), faces(rng, 1, 6, 0.3)])
    actor_of = np.array([0] * 6 + [1] * 4 + [0] * 2)
    assert [found.picture for found in find_mislabelled(vectors, actor_of, SAME)] == [10, 11]


def test_picture_that_resembles_no_other_actor_is_not_reported(rng: np.random.Generator) -> None:
    vectors = np.concatenate([faces(rng, 0, 4, 0.3), faces(rng, 1, 4, 0.3), faces(rng, 2, 1, 0.3)])
    assert find_mislabelled(vectors, np.array([0] * 4 + [1] * 4 + [0]), SAME) == []


def test_only_picture_of_an_actor_is_not_reported(rng: np.random.Generator) -> None:
    vectors = np.concatenate([faces(rng, 0, 1, 0.3), faces(rng, 1, 4, 0.3)])
    assert find_mislabelled(vectors, np.array([0, 1, 1, 1, 1]), SAME) == []


def test_result_does_not_depend_on_the_block_size(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = np.concatenate([faces(rng, actor % 3, 1, 0.3) for actor in range(30)])
    vectors = np.concatenate([vectors, vectors[:4]])
    actor_of = np.array([i % 3 for i in range(30)] + [1, 2, 0, 1])
    whole = find_copies(vectors, actor_of, SAME), find_mislabelled(vectors, actor_of, SAME)
    assert whole[0] and whole[1]
    monkeypatch.setattr(checks, "_CELLS", 7 * len(vectors))
    in_blocks = find_copies(vectors, actor_of, SAME), find_mislabelled(vectors, actor_of, SAME)
    assert in_blocks[0] == whole[0]
    assert [one.picture for one in in_blocks[1]] == [one.picture for one in whole[1]]
