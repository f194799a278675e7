"""A wrong picture in the gallery is a wrong name in every film; the checks must see it, and see no ghosts."""

from __future__ import annotations

import numpy as np
import pytest

import facerec.actors.gallery_checks as checks
from facerec.actors.gallery_checks import LeaveOneOut, leave_one_out, strays, twins

SAME = 0.6


def faces(rng: np.random.Generator, centre: int, count: int, spread: float) -> np.ndarray:
    """`count` unit vectors around the axis `centre` of 32-d space, about `spread` from it."""
    noise = rng.normal(size=(count, 32))
    vectors = np.eye(32)[centre] + spread * noise / np.linalg.norm(noise, axis=1, keepdims=True)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_clean_gallery_has_neither_twins_nor_strays(rng: np.random.Generator) -> None:
    vectors = np.concatenate([faces(rng, actor, 6, 0.3) for actor in range(4)])
    actor_of = np.repeat(np.arange(4), 6)
    assert twins(vectors, actor_of, SAME) == [] and strays(vectors, actor_of, SAME) == []


def test_copy_under_another_actor_is_a_twin_and_under_the_same_is_none(rng: np.random.Generator) -> None:
    vectors = np.concatenate([faces(rng, 0, 3, 0.3), faces(rng, 1, 3, 0.3)])
    vectors = np.concatenate([vectors, vectors[:1] + np.float32(1e-4), vectors[3:4]])
    actor_of = np.array([0, 0, 0, 1, 1, 1, 1, 1])
    assert twins(vectors, actor_of, SAME) == [(0, 6)]


def test_mislabelled_picture_strays_to_the_one_it_shows(rng: np.random.Generator) -> None:
    vectors = np.concatenate([faces(rng, 0, 5, 0.3), faces(rng, 1, 5, 0.3)])
    actor_of = np.array([0] * 5 + [1] * 4 + [0])  # the last one shows actor 1
    (stray,) = strays(vectors, actor_of, SAME)
    assert stray.picture == 9 and actor_of[stray.nearest] == 1
    assert stray.own > SAME > stray.distance


def test_two_wrong_pictures_do_not_vouch_for_each_other(rng: np.random.Generator) -> None:
    vectors = np.concatenate([faces(rng, 0, 6, 0.3), faces(rng, 1, 6, 0.3)])
    actor_of = np.array([0] * 6 + [1] * 4 + [0] * 2)
    assert [stray.picture for stray in strays(vectors, actor_of, SAME)] == [10, 11]


def test_odd_picture_that_resembles_nobody_else_is_left_alone(rng: np.random.Generator) -> None:
    vectors = np.concatenate([faces(rng, 0, 4, 0.3), faces(rng, 1, 4, 0.3), faces(rng, 2, 1, 0.3)])
    assert strays(vectors, np.array([0] * 4 + [1] * 4 + [0]), SAME) == []


def test_only_picture_of_an_actor_cannot_stray(rng: np.random.Generator) -> None:
    vectors = np.concatenate([faces(rng, 0, 1, 0.3), faces(rng, 1, 4, 0.3)])
    assert strays(vectors, np.array([0, 1, 1, 1, 1]), SAME) == []


def test_blocks_of_a_large_gallery_change_nothing(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = np.concatenate([faces(rng, actor % 3, 1, 0.3) for actor in range(30)])
    vectors = np.concatenate([vectors, vectors[:4]])
    actor_of = np.array([i % 3 for i in range(30)] + [1, 2, 0, 1])
    whole = twins(vectors, actor_of, SAME), strays(vectors, actor_of, SAME)
    assert whole[0] and whole[1]
    monkeypatch.setattr(checks, "_CELLS", 7 * len(vectors))
    in_blocks = twins(vectors, actor_of, SAME), strays(vectors, actor_of, SAME)
    assert in_blocks[0] == whole[0]
    assert [s.picture for s in in_blocks[1]] == [s.picture for s in whole[1]]


def test_every_picture_of_a_clean_cast_is_named_and_no_stranger_is(rng: np.random.Generator) -> None:
    vectors = np.concatenate([faces(rng, actor, 4, 0.2) for actor in range(3)])
    found = leave_one_out(vectors, np.repeat(np.arange(3), 4), SAME)
    assert found == LeaveOneOut(probes=12, right=12, first=12, strangers=12)


def test_only_picture_of_an_actor_is_asked_for_as_a_stranger_only(rng: np.random.Generator) -> None:
    vectors = np.concatenate([faces(rng, 0, 1, 0.2), faces(rng, 1, 3, 0.2)])
    found = leave_one_out(vectors, np.array([0, 1, 1, 1]), SAME)
    assert (found.probes, found.strangers) == (3, 4)


def test_cast_of_one_has_nobody_to_be_mistaken_for(rng: np.random.Generator) -> None:
    found = leave_one_out(faces(rng, 0, 3, 0.2), np.zeros(3, np.int64), SAME)
    assert found == LeaveOneOut(probes=3, right=3, first=3)
    assert leave_one_out(np.empty((0, 32), np.float32), np.empty(0, np.int64), SAME) == LeaveOneOut()


def test_lookalikes_count_as_false_names_and_faces_far_from_all_as_silence(rng: np.random.Generator) -> None:
    twin = faces(rng, 0, 4, 0.15)
    found = leave_one_out(twin, np.array([0, 0, 1, 1]), SAME)
    assert found.false_names == found.strangers == 4
    far = faces(rng, 0, 6, 6.0)
    found = leave_one_out(far, np.array([0, 0, 0, 1, 1, 1]), SAME)
    assert (found.silent, found.right, found.wrong, found.false_names) == (6, 0, 0, 0)
