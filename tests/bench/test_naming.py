"""The naming benchmark names casts with known answers, and its table counts what its columns say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.naming import CLUSTERS, named, named_by_pictures, real_names, real_table, reliability_table
from bench.real_faces import Faces, unit


@pytest.fixture
def faces() -> Faces:
    rng = np.random.default_rng(0)
    observations = [np.array([[0.95, 0.5], [0.2, 0.1]])]
    people, aside = unit(rng.normal(size=(60, 256))), unit(rng.normal(size=(40, 256)))
    return Faces(people, observations, aside, np.array([0.7]), 1.1)


@pytest.mark.parametrize("uneven", [False, True])
def test_good_observations_of_people_far_apart_are_named_and_strangers_are_not(
    faces: Faces, uneven: bool
) -> None:
    counts, forecasts = named(faces, 4, uneven, False, np.random.default_rng(1))
    assert counts.tolist() == [CLUSTERS // 2, 0, 0, CLUSTERS // 2, 0]
    assert [hit for _, hit in forecasts] == [bool(i % 2) for i in range(CLUSTERS)]


def test_observations_without_information_are_not_named(faces: Faces) -> None:
    faces = replace(faces, observations=[np.array([[0.95, 0.5], [0.0, 0.1]])])
    right, wrong, silent, _, false_names = named(faces, 4, False, True, np.random.default_rng(1))[0].tolist()
    assert (wrong, false_names) == (0, 0)
    assert silent > 0.9 * (right + wrong + silent)


def test_galleries_of_all_sizes_meet_the_same_clusters(faces: Faces) -> None:
    """Observations at cosine 0.2 to their person are no use, so names depend on which pictures are good."""
    found = named_by_pictures(faces, 4, [1, 8, 8], 1.0, 0.5, np.random.default_rng(1))
    (one, _), (eight, forecasts), (again, same) = found
    assert eight.tolist() == again.tolist() and forecasts == same
    assert one[:3].sum() == eight[:3].sum() == one[3] == eight[3] == CLUSTERS // 2
    assert one[0] < eight[0]


def test_real_observations_are_named_by_every_choice_of_the_others() -> None:
    first, second = np.eye(4)[:2]
    found = real_names({"a": [first] * 3, "b": [second]}, 1.1)
    assert {key: counts[:3].tolist() for key, counts in found.items()} == {
        ("a", 1): [6, 6, 0],
        ("a", 2): [3, 3, 0],
    }
    assert real_table({("a", 2): np.array([4, 3, 1, 2.0])})[2] == "| a | 2 | 4 | 0.750 | 0.250 | 0.500 |"


def test_the_reliability_table_by_hand() -> None:
    forecasts = [(0.95, True), (1.0, True), (0.91, False), (0.0, False)]
    assert reliability_table(forecasts)[2:] == [
        "| 0.0 to 0.1 | 1 | 0.000 | 0.000 |",
        "| 0.9 to 1.0 | 3 | 0.953 | 0.667 |",
    ]
