"""Boxes are unique in their frame, because annotations refer to them, and detected boxes never move."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from facerec.folder.records import to_line
from facerec.settings import TrackSettings
from facerec.tracking.tracker import Track
from facerec.tracking.trajectories import to_trajectories, track_sampled_frames

WIDTH, HEIGHT = 24, 20


def tracks_of(*detections: dict[int, tuple[int, int, int, int]]) -> list[Track]:
    """A track for each mapping from frame to box."""
    return [
        Track(np.array(sorted(one)), np.array([one[f] for f in sorted(one)], float), np.arange(len(one)))
        for one in detections
    ]


@st.composite
def tracks(draw: st.DrawFn) -> list[Track]:
    """Up to six tracks of small, often equal boxes with gaps, no detected box twice in a frame."""
    taken: set[tuple[int, ...]] = set()
    found = []
    for _ in range(draw(st.integers(0, 6))):
        one: dict[int, tuple[int, int, int, int]] = {}
        for frame in draw(st.sets(st.integers(0, 12), min_size=1, max_size=4)):
            x, y = draw(st.integers(0, WIDTH - 1)), draw(st.integers(0, 1))
            box = x, y, draw(st.integers(x + 1, min(x + 3, WIDTH))), y + draw(st.integers(1, 2))
            if (frame, *box) not in taken:
                taken.add((frame, *box))
                one[frame] = box
        found += tracks_of(one) if one else []
    return found


@given(tracks())
@example(tracks_of({0: (2, 2, 9, 9), 4: (2, 2, 9, 9)}, {1: (2, 2, 9, 9), 3: (2, 2, 9, 9)}))
@example(
    tracks_of(*[{0: (x, 0, x + 4, 4), 2: (4 - x, 0, 8 - x, 4)} for x in range(5)])
)  # all cross in frame 1
@example(
    tracks_of(*[{0: (23, y, 24, y + 1), 2: (23, 2 - y, 24, 3 - y)} for y in (0, 2)])
)  # a pixel at the border
@example(tracks_of({0: (0, 0, 1, 1), 3: (1, 0, 2, 1)}))  # both ends round to one pixel
def test_every_box_is_whole_inside_the_frame_and_unique(found: list[Track]) -> None:
    result = to_trajectories(found, 7, WIDTH, HEIGHT)
    seen: set[tuple[int, ...]] = set()
    assert [one.index for one in result] == list(range(len(found)))
    for one, source in zip(result, found, strict=True):
        assert to_line(one)  # checks the contract
        assert (one.start, one.end - 1) == (source.frames[0], source.frames[-1])
        assert (one.boxes[one.detected] == source.boxes).all()
        assert (one.start + np.flatnonzero(one.detected)).tolist() == source.frames.tolist()
        here = {(one.start + i, *box) for i, box in enumerate(one.boxes.tolist())}
        assert not here & seen
        seen |= here


def test_a_gap_is_interpolated_linearly_in_whole_pixels() -> None:
    (one,) = to_trajectories(tracks_of({3: (0, 0, 8, 8), 7: (8, 4, 20, 12)}), 7, WIDTH, HEIGHT)
    assert one.boxes.tolist() == [[0, 0, 8, 8], [2, 1, 11, 9], [4, 2, 14, 10], [6, 3, 17, 11], [8, 4, 20, 12]]
    assert one.detected.tolist() == [True, False, False, False, True]


def test_of_two_equal_boxes_the_interpolated_one_moves_by_a_pixel() -> None:
    first, second = to_trajectories(
        tracks_of({0: (2, 2, 9, 9), 2: (2, 2, 9, 9)}, {1: (2, 2, 9, 9)}), 7, WIDTH, HEIGHT
    )
    assert second.boxes.tolist() == [[2, 2, 9, 9]]
    assert first.boxes.tolist() == [[2, 2, 9, 9], [2, 2, 10, 9], [2, 2, 9, 9]]


def test_equal_boxes_are_found_beside_others_at_the_same_height() -> None:
    """Two of three boxes of one height are equal, and the other one is between them in the list."""
    here, there = (2, 2, 9, 9), (12, 2, 19, 9)
    result = to_trajectories(
        tracks_of({1: here}, {1: there}, {0: here, 2: here}, {1: (2, 11, 9, 18)}), 7, WIDTH, HEIGHT
    )
    assert [one.boxes[1 - one.start].tolist() for one in result] == [
        [2, 2, 9, 9], [12, 2, 19, 9], [2, 2, 10, 9], [2, 11, 9, 18],
    ]  # fmt: skip


def test_each_of_many_equal_boxes_moves_another_edge_by_a_pixel() -> None:
    """The right edge first, then the lower, left and upper one; outwards before inwards at the first two."""
    crowd = tracks_of({1: (5, 5, 9, 9)}, *[{0: (5, 5, 9, 9), 2: (5, 5, 9, 9)}] * 9)
    result = to_trajectories(crowd, 7, WIDTH, HEIGHT)
    assert [one.boxes[1 - one.start].tolist() for one in result] == [
        [5, 5, 9, 9], [5, 5, 10, 9], [5, 5, 8, 9], [5, 5, 9, 10], [5, 5, 9, 8],
        [6, 5, 9, 9], [4, 5, 9, 9], [5, 6, 9, 9], [5, 4, 9, 9], [5, 5, 11, 9],
    ]  # fmt: skip


@pytest.mark.parametrize("box", [(0, 0, 24, 20), (14, 10, 24, 20)])
def test_boxes_moved_at_the_border_stay_inside(box: tuple[int, int, int, int]) -> None:
    both = tracks_of({0: box, 2: box}, {0: (0, 0, 1, 1), 1: box, 2: (0, 0, 1, 1)})
    result = to_trajectories(both, 7, *(WIDTH, HEIGHT))
    assert result[0].boxes[1].tolist() != list(box) == result[1].boxes[1].tolist()
    assert (result[0].boxes[:, 2:] <= (WIDTH, HEIGHT)).all()


def test_the_boxes_of_a_crowd_at_one_place_all_differ() -> None:
    crowd = tracks_of(*[{0: (x, 0, x + 4, 4), 10: (19 - x, 0, 23 - x, 4)} for x in range(0, 20, 2)])
    result = to_trajectories(crowd, 7, WIDTH, HEIGHT)
    for frame in range(11):
        boxes = sorted(tuple(one.boxes[frame].tolist()) for one in result)
        assert all(a != b for a, b in pairwise(boxes))


def test_a_box_that_fills_the_frame_but_for_its_upper_edge_moves_that_edge() -> None:
    first, second = to_trajectories(
        tracks_of({0: (0, 1, 1, 2), 2: (0, 1, 1, 2)}, {0: (0, 0, 1, 2), 1: (0, 1, 1, 2), 2: (0, 0, 1, 2)}),
        7, 1, 2,
    )  # fmt: skip
    assert second.boxes[1].tolist() == [0, 1, 1, 2]
    assert first.boxes[1].tolist() == [0, 0, 1, 2]


@pytest.mark.parametrize(("gap", "count"), [(11, 1), (12, 1), (15, 2)])
def test_a_gap_of_sampled_frames_counts_all_frames_between(gap: int, count: int) -> None:
    settings = TrackSettings(max_gap=11)  # three missed ones of every third frame are 11 frames
    frames = np.array([0, 3, 6, 9, 9 + gap + 1 - (gap + 1) % 3, 12 + gap + 1 - (gap + 1) % 3])
    boxes = np.tile([10, 10, 50, 50], (len(frames), 1))
    tracks = track_sampled_frames(3, frames, boxes, [], settings)
    assert len(tracks) == count and tracks[0].frames[:4].tolist() == [0, 3, 6, 9]


@pytest.mark.parametrize(("cut", "lengths"), [(6, [2, 3]), (7, [3, 2]), (9, [3, 2]), (10, [4, 1])])
def test_a_cut_between_sampled_frames_lies_before_the_second(cut: int, lengths: list[int]) -> None:
    boxes = np.tile([10, 10, 50, 50], (5, 1))
    tracks = track_sampled_frames(3, np.arange(5) * 3, boxes, [cut])
    assert [len(one.frames) for one in tracks] == lengths
    assert np.concatenate([one.frames for one in tracks]).tolist() == [0, 3, 6, 9, 12]
