"""Links that embeddings forbid."""

from __future__ import annotations

import numpy as np
import pytest

from facerec.settings import TrackSettings
from facerec.tracking import appearance
from facerec.tracking.appearance import Appearance
from facerec.tracking.tracker import track

BOX = [20, 20, 60, 100]


def unit(degrees) -> np.ndarray:
    angles = np.deg2rad(np.asarray(degrees, np.float64))
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1).astype(np.float32)


def labels(frames, boxes, degrees, max_distance=0.5, **settings) -> list[int]:
    """Return the track of each detection."""
    found = track(
        frames, boxes, (), TrackSettings(**settings), Appearance(unit(degrees).__getitem__, max_distance)
    )
    owner = np.full(len(frames), -1)
    for index, one in enumerate(found):
        owner[one.detection_ids] = index
    return owner.tolist()


def test_boxes_in_one_place_that_do_not_look_alike_are_not_linked():
    assert labels(range(6), [BOX] * 6, [0, 5, 10, 80, 85, 90]) == [0, 0, 0, 1, 1, 1]
    assert labels(range(6), [BOX] * 6, [0, 20, 40, 60, 80, 100]) == [0] * 6  # a slow change is a turn


def test_a_person_who_was_hidden_is_linked_again_and_the_other_is_not():
    frames = [0, 1, 2, 3, 4, 5, 6, 7]
    assert labels(frames, [BOX] * 8, [0, 2, 4, 90, 92, 3, 1, 0]) == [0, 0, 0, 1, 1, 0, 0, 0]


def test_across_a_gap_the_mean_of_an_end_counts():
    """The last box before the gap shows 28 degrees of something else: alone it would be too far."""
    degrees = [0, 0, 0, 0, 28, -8, -8, -8, -8]
    frames = [0, 1, 2, 3, 4, 8, 9, 10, 11]
    assert labels(frames, [BOX] * 9, degrees) == [0] * 9
    assert labels(frames[4:6], [BOX] * 2, degrees[4:6]) == [0, 1]


def test_an_end_of_one_box_looks_like_that_box_alone():
    """Not like the detections that happen to be the first of the film."""
    boxes = [BOX, [300, 20, 340, 100], *[BOX] * 5]
    assert labels([0, 0, 3, 4, 5, 6, 7], boxes, [0, 90, 0, 0, 0, 0, 0]) == [0, 1, 0, 0, 0, 0, 0]


def test_the_length_of_a_mean_says_nothing() -> None:
    """Detections that differ have a short mean; only its direction counts. −1 stands for no detection."""
    looks = Appearance(unit(np.array([-60, 60, 40, 80, 95, 0])).__getitem__, 0.5)
    one = np.array([[0, 1], [5, -1], [4, -1], [4, -1]])
    other = np.array([[5, -1], [0, 1], [2, -1], [3, 4]])
    assert looks.alike(one, other).tolist() == [True, True, False, True]
    assert looks.alike(one[:1], np.array([[2, -1]])).tolist() == [False]  # 40 degrees, 0.68 apart
    assert Appearance(looks.vectors, 0.69).alike(one[:1], np.array([[2, -1]])).tolist() == [True]


def test_the_order_of_the_input_does_not_matter():
    """The vectors follow the detections through the sorting."""
    rng = np.random.default_rng(2)
    frames = np.repeat(np.arange(12), 2)
    boxes = np.array([BOX, [30, 25, 70, 105]] * 12, float) + rng.normal(0, 0.5, (24, 4))
    degrees = np.tile([0, 90], 12) + rng.normal(0, 3, 24)
    expected = np.array(labels(frames, boxes, degrees))
    assert sorted(set(expected)) == [0, 1] and len(set(expected[::2])) == 1
    order = rng.permutation(24)
    np.testing.assert_array_equal(labels(frames[order], boxes[order], degrees[order]), expected[order])


@pytest.mark.parametrize("pairs", [1, 3])
def test_the_vectors_are_read_in_parts(monkeypatch, pairs):
    monkeypatch.setattr(appearance, "_PAIRS_AT_ONCE", pairs)
    read: list[int] = []

    def vectors(detections):
        read.append(len(detections))
        return unit(np.array([0, 3, 80, 83, 3])[detections])

    compared = Appearance(vectors, 0.5).alike(np.array([[0], [1], [2], [3]]), np.array([[1], [2], [3], [4]]))
    assert compared.tolist() == [True, False, True, False]
    assert max(read) == pairs
