"""Leaving each picture out counts right, wrong and false names."""

from __future__ import annotations

import numpy as np
import pytest

from facerec.actors.leave_one_out import LeaveOneOut, leave_one_out
from tests.actors.faces import SAME, faces


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_pictures_of_a_clear_cast_are_named_and_strangers_are_not(rng: np.random.Generator) -> None:
    vectors = np.concatenate([faces(rng, actor, 4, 0.2) for actor in range(3)])
    found = leave_one_out(vectors, np.repeat(np.arange(3), 4), SAME)
    assert found == LeaveOneOut(probes=12, right=12, first=12, strangers=12)


def test_only_picture_of_an_actor_counts_as_a_stranger_only(rng: np.random.Generator) -> None:
    vectors = np.concatenate([faces(rng, 0, 1, 0.2), faces(rng, 1, 3, 0.2)])
    found = leave_one_out(vectors, np.array([0, 1, 1, 1]), SAME)
    assert (found.probes, found.strangers) == (3, 4)


def test_cast_of_one_actor_has_no_strangers(rng: np.random.Generator) -> None:
    found = leave_one_out(faces(rng, 0, 3, 0.2), np.zeros(3, np.int64), SAME)
    assert found == LeaveOneOut(probes=3, right=3, first=3)
    assert leave_one_out(np.empty((0, 32), np.float32), np.empty(0, np.int64), SAME) == LeaveOneOut()


def test_lookalikes_get_false_names_and_scattered_faces_none(rng: np.random.Generator) -> None:
    twin = faces(rng, 0, 4, 0.15)
    found = leave_one_out(twin, np.array([0, 0, 1, 1]), SAME)
    assert found.false_names == found.strangers == 4
    far = faces(rng, 0, 6, 6.0)
    found = leave_one_out(far, np.array([0, 0, 0, 1, 1, 1]), SAME)
    assert (found.silent, found.right, found.wrong, found.false_names) == (6, 0, 0, 0)
