"""The choice of two saved faces of a trajectory: the best, far enough apart in time."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerec.merging.thumbnail_choice import best_pair

SHARES = st.sampled_from([1 / 3, 0.5, 1.0, 0.01]) | st.floats(0.001, 1)


def brute_force(frames: list[int], qualities: list[int], apart: float) -> tuple[int, ...]:
    """The rule applied to every pair in turn."""
    if len(frames) < 2:
        return tuple(range(len(frames)))
    least = apart * (frames[-1] - frames[0])
    pairs = [(i, j) for i, j in combinations(range(len(frames)), 2) if frames[i] <= frames[j] - least]
    return max(pairs, key=lambda p: (qualities[p[0]] + qualities[p[1]], frames[p[1]] - frames[p[0]], -p[0]))


@given(st.data(), SHARES)
def test_best_pair_equals_brute_force(data: st.DataObject, apart: float) -> None:
    frames = sorted(data.draw(st.sets(st.integers(0, 60) | st.integers(0, 2**31), max_size=30)))
    qualities = data.draw(st.lists(st.integers(0, 6), min_size=len(frames), max_size=len(frames)))
    assert best_pair(frames, qualities, apart) == brute_force(frames, qualities, apart)


@given(st.sets(st.integers(0, 10**6), min_size=2, max_size=50), st.randoms(use_true_random=False))
def test_the_two_lie_apart(frames: set[int], chance: object) -> None:
    ordered = sorted(frames)
    qualities = [hash((chance, frame)) % 100 for frame in ordered]
    i, j = best_pair(ordered, qualities, 1 / 3)
    assert 3 * (ordered[j] - ordered[i]) >= ordered[-1] - ordered[0]


def test_of_equal_faces_the_first_and_the_last_are_chosen() -> None:
    assert best_pair([0, 5, 10, 15], [7, 7, 7, 7], 1 / 3) == (0, 3)


def test_two_good_faces_of_one_moment_are_not_both_chosen() -> None:
    assert best_pair([0, 5, 10, 60, 65], [1, 90, 80, 2, 3], 1 / 3) == (1, 4)


def test_of_equals_the_pair_farther_apart_is_shown_then_the_earlier() -> None:
    assert best_pair([0, 5, 10, 15, 20], [4, 4, 0, 4, 3], 1 / 2) == (0, 3)
    assert best_pair([0, 5, 10, 15, 20, 25], [0, 4, 0, 4, 0, 4], 2 / 5) == (1, 5)
    assert best_pair([0, 5, 10, 15, 20], [3, 4, 4, 4, 4], 3 / 5) == (1, 4)
    assert best_pair([0, 5, 10, 15, 20], [4, 4, 0, 4, 4], 3 / 5) == (0, 4)
    assert best_pair([0, 5, 10, 20, 25, 30], [0, 4, 4, 4, 4, 0], 1 / 2) == (1, 4)
    assert best_pair([0, 4, 8, 12, 16], [0, 4, 4, 4, 0], 1 / 4) == (1, 3)
    assert best_pair([0, 4, 8, 12, 16], [0, 9, 0, 5, 5], 3 / 4) == (1, 4)
    assert best_pair([0, 4, 8, 12, 16], [5, 5, 0, 5, 0], 3 / 4) == (0, 3)
    assert best_pair([0, 6, 9, 15], [5, 0, 5, 0], 9 / 15) == (0, 2)
    assert best_pair([0, 6, 9, 15], [5, 5, 5, 5], 9 / 15) == (0, 3)
    assert best_pair([0, 6, 9, 15], [1, 4, 4, 1], 9 / 15) == (0, 2), "earlier of (0, 9) and (6, 15)"


@pytest.mark.parametrize("frames", [[], [7]])
def test_of_fewer_than_two_all_are_shown(frames: list[int]) -> None:
    assert best_pair(frames, [1] * len(frames), 1 / 3) == tuple(range(len(frames)))


@pytest.mark.parametrize(
    ("frames", "qualities", "apart"),
    [([5, 5], [1, 1], 0.3), ([5, 4], [1, 1], 0.3), ([4, 5], [1], 0.3),
     ([4, 5], [1, 1], 0.0), ([4, 5], [1, 1], 1.1)],
)  # fmt: skip
def test_invalid_arguments_are_refused(frames: list[int], qualities: list[int], apart: float) -> None:
    with pytest.raises(ValueError, match="frames must ascend"):
        best_pair(frames, qualities, apart)


def test_a_trajectory_as_long_as_a_film_is_fast() -> None:
    n = 200_000  # a rule applied to every pair would take hours
    frames, qualities = list(range(0, 5 * n, 5)), [(i * 7919) % 1009 for i in range(n)]
    i, j = best_pair(frames, qualities, 1 / 3)
    assert qualities[i] == qualities[j] == 1008 and 3 * (frames[j] - frames[i]) >= frames[-1]
