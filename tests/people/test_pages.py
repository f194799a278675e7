"""Pages come in the order in which a person should work, and only poor trajectories share them."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facerec.errors import InputError
from facerec.people.pages import Pages, _principal_coordinates, arrange_pages
from facerec.settings import POOR_ALONE, POOR_ON_PAGES, ClusterSettings
from tests.people.test_clustering import vectors_of


def arranged(
    people: list[int],
    frames: list[int] | None = None,
    poor: set[int] | None = None,
    shots: list[int] | None = None,
    max_size: int = 100,
    alone: bool = False,
) -> Pages:
    """Arrange trajectories, of 10 frames each in a shot of its own if nothing else is given.

    Args:
        poor: indices of trajectories that are too poor to compare.
    """
    n = len(people)
    usable = np.array([i not in (poor or ()) for i in range(n)], bool)
    return arrange_pages(
        np.array(people, np.int64),
        vectors_of(people),
        usable,
        np.array(frames or [10] * n, np.int64),
        np.array(shots or range(n), np.int64),
        ClusterSettings(max_size=max_size, poor=POOR_ALONE if alone else POOR_ON_PAGES),
    )


def test_people_come_by_time_on_screen_then_single_trajectories_then_poor_ones() -> None:
    people = [0, 1, 2, 2, 3, 3, 3, 4]
    frames = [900, 50, 30, 30, 10, 10, 10, 60]
    made = arranged(people, frames, poor={0})
    assert made.labels.tolist() == [4, 3, 0, 0, 1, 1, 1, 2]
    assert made.poor == (4,)


def test_equally_long_people_come_by_their_first_trajectory() -> None:
    assert arranged([0, 1, 1, 0, 2, 3]).labels.tolist() == [0, 1, 1, 0, 2, 3]


def test_pages_of_a_split_person_lie_side_by_side() -> None:
    """The second person is on screen for longer than each page of the first, but not than the first."""
    people = [0, 1] * 4 + [0] * 16
    frames = [10, 30] * 4 + [10] * 16
    made = arranged(people, frames, max_size=10)
    assert {label for label, who in zip(made.labels, people, strict=True) if who == 0} == {0, 1}
    assert {label for label, who in zip(made.labels, people, strict=True) if who == 1} == {2}
    assert made.split == 1


def test_the_pages_of_one_person_come_by_time_on_screen() -> None:
    """Of two looks, the one that appears first is on screen for less time."""
    looks = np.array([0, 0, 1, 1])
    for frames, labels in (([5, 5, 9, 9], [1, 1, 0, 0]), ([9, 9, 5, 5], [0, 0, 1, 1])):
        made = arrange_pages(
            0 * looks, np.eye(2, dtype=np.float32)[looks], looks >= 0, np.array(frames), np.arange(4),
            ClusterSettings(max_size=2),
        )  # fmt: skip
        assert made.labels.tolist() == labels


def test_a_person_of_two_looks_is_split_between_them() -> None:
    """What all faces have in common says nothing, nor does the smaller variation within each look."""
    rng = np.random.default_rng(2)
    looks = np.array([0, 1, 1, 0, 1, 0, 0, 1])
    common, noise = np.full(8, 5.0), rng.uniform(-0.6, 0.6, 8)
    vectors = np.stack([common, -common, 2.0 * looks - 1, noise], axis=1)
    made = arrange_pages(
        np.zeros(8, np.int64), vectors.astype(np.float32), np.ones(8, bool), np.full(8, 10), np.arange(8),
        ClusterSettings(max_size=4),
    )  # fmt: skip
    assert made.labels.tolist() == looks.tolist()


@pytest.mark.parametrize("max_size", [1, 3, 10])
def test_people_above_max_size_are_split_into_as_few_pages_as_possible(max_size: int) -> None:
    people = [0] * 23 + [1] * 7 + [2]
    made = arranged(people, max_size=max_size)
    sizes = np.bincount(made.labels)
    assert sizes.max() <= max_size
    assert all(len({people[i] for i in np.flatnonzero(made.labels == c)}) == 1 for c in range(len(sizes)))
    assert len(sizes) == sum(-(-n // max_size) for n in (23, 7, 1))
    assert made.split == len(sizes) - 3


def test_rounding_errors_of_the_vectors_change_no_page() -> None:
    people = np.arange(120) % 9
    vectors = vectors_of(people.tolist(), spread=0.7)
    noise = np.random.default_rng(1).normal(0, 1e-7, vectors.shape).astype(np.float32)
    usable, tens, chosen = np.ones(120, bool), np.full(120, 10), ClusterSettings(max_size=5)
    one, two = (
        arrange_pages(people, v, usable, tens, people, chosen).labels for v in (vectors, vectors + noise)
    )
    np.testing.assert_array_equal(one, two)


def test_the_sign_of_a_principal_component_changes_no_page() -> None:
    """A library may return either; of three pages, the first would then have other faces."""
    vectors = np.random.default_rng(4).normal(size=(9, 8)).astype(np.float32)
    ones = np.ones(9, np.int64)
    settings = ClusterSettings(max_size=3)
    one, mirrored = (
        arrange_pages(0 * ones, sign * vectors, ones > 0, ones, np.arange(9), settings).labels.tolist()
        for sign in (1, -1)  # the component is the same, so the coordinates are mirrored
    )
    assert one == mirrored and len(set(one)) == 3
    for sign in (1, -1):
        line = sign * np.array([[3.0], [1], [2]], np.float32)
        assert _principal_coordinates(line).tolist() == [-1, 1, 0]


def test_poor_trajectories_share_pages_in_the_order_of_time() -> None:
    made = arranged([*range(7)], [5, 90, 5, 80, 5, 5, 70], poor={*range(7)} - {3}, max_size=4)
    assert made.labels.tolist() == [1, 1, 1, 0, 1, 2, 2]
    assert (made.poor, made.split) == ((1, 2), 0)


def test_shot_is_not_divided_between_poor_pages_where_that_leaves_a_page_half_full() -> None:
    everyone = {*range(12)}
    made = arranged([*range(12)], poor=everyone, shots=[0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2], max_size=5)
    assert made.labels.tolist() == [0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2]
    shots = [0, 0, 0, 0, 1, 2, 2, 2, 2, 2, 2, 3]  # pages of 8 are half full after 4
    made = arranged([*range(12)], poor=everyone, shots=shots, max_size=8)
    assert made.labels.tolist() == [0] * 5 + [1] * 7
    made = arranged([*range(12)], poor=everyone, shots=[0] * 4 + [1] * 8, max_size=8)
    assert made.labels.tolist() == [0] * 4 + [1] * 8
    made = arranged([*range(12)], poor=everyone, shots=[0] * 3 + [1] * 9, max_size=8)
    assert made.labels.tolist() == [0] * 8 + [1] * 4
    made = arranged([*range(12)], poor=everyone, shots=[0] * 3 + [1] * 5 + [2] * 4, max_size=8)
    assert made.labels.tolist() == [0] * 8 + [1] * 4
    made = arranged([*range(7)], poor={*range(7)}, shots=[0, 1, 1, 1, 1, 1, 1], max_size=5)
    assert made.labels.tolist() == [0, 0, 0, 0, 0, 1, 1]


def test_poor_trajectory_that_continues_a_person_stays_with_it() -> None:
    made = arranged([0, 0, 1, 1], poor={1, 2, 3})
    assert made.labels.tolist() == [0, 0, 1, 1]
    assert made.poor == (1,)


def test_poor_trajectories_alone_come_last_and_are_no_shared_pages() -> None:
    made = arranged([0, 1, 2, 3, 3], [60, 5, 90, 1, 1], {0, 2}, alone=True)
    assert made.labels.tolist() == [3, 1, 2, 0, 0]
    assert made.poor == ()


def test_unknown_place_of_poor_trajectories_is_refused() -> None:
    with pytest.raises(InputError, match="poor must be pages or alone, not 'drop'"):
        ClusterSettings(poor="drop")


def test_film_without_trajectories_has_no_pages() -> None:
    made = arranged([])
    assert (made.labels.tolist(), made.poor, made.split) == ([], (), 0)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(0, 10_000), st.integers(1, 12), st.booleans())
def test_pages_are_dense_and_in_order_and_hold_one_person_or_poor_trajectories(
    n: int, seed: int, size: int, alone: bool
) -> None:
    rng = np.random.default_rng(seed)
    people = np.unique(rng.integers(0, 12, n), return_inverse=True)[1]
    poor = {*np.flatnonzero(rng.random(n) < 0.4).tolist()}
    frames, shots = rng.integers(1, 9, n), np.sort(rng.integers(0, 6, n))
    usable = ~np.isin(np.arange(n), [*poor])
    options = ClusterSettings(max_size=size, poor=POOR_ALONE if alone else POOR_ON_PAGES)
    made = arrange_pages(people, vectors_of(people.tolist()), usable, frames, shots, options)
    pages = [np.flatnonzero(made.labels == page) for page in range(made.labels.max() + 1)]
    assert all(0 < len(members) <= size for members in pages)
    comparable = np.unique(people[usable])
    for page, members in enumerate(pages):
        assert (page in made.poor) == (not alone and not set(people[members]) & set(comparable))
        assert page in made.poor or len(set(people[members])) == 1
    on_screen = np.bincount(people, frames)
    kind = {who: 2 if who not in comparable else int((people == who).sum() == 1) for who in people.tolist()}
    keys = [(kind[people[m[0]]], -on_screen[people[m[0]]]) for p, m in enumerate(pages) if p not in made.poor]
    assert keys == sorted(keys)
    persons = [people[members[0]] for page, members in enumerate(pages) if page not in made.poor]
    assert len([*groupby(persons)]) == len(set(persons))  # side by side
    first_of_poor = [pages[page][0] for page in made.poor]
    assert first_of_poor == sorted(first_of_poor)
    assert made.poor == tuple(range(len(pages) - len(made.poor), len(pages)))
