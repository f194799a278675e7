"""Who cannot be whom, and who may go on where another ended."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from facerec.folder.records import Trajectory
from facerec.people.constraints import cannot_links, continuations
from facerec.settings import ClusterSettings


def made(
    start: int, length: int, x: int = 0, size: int = 50, detected: str = "", index: int = 0
) -> Trajectory:
    boxes = np.tile(np.array([x, 0, x + size, size], np.int64), (length, 1))
    flags = np.array([c == "1" for c in detected], bool) if detected else np.ones(length, bool)
    return Trajectory(index, 1, start, boxes, flags, 2000, 1000)


def links(*trajectories: Trajectory) -> list[list[int]]:
    return cannot_links(trajectories).tolist()


def test_two_faces_in_one_frame_are_two_people() -> None:
    assert links(made(0, 10), made(9, 5, x=200), made(10, 5, x=400)) == [[0, 1], [1, 2]]


def test_trajectories_that_only_touch_in_time_are_not_apart() -> None:
    assert links(made(0, 10), made(10, 5, x=200)) == []


def test_a_box_that_was_only_interpolated_proves_nothing() -> None:
    assert links(made(0, 5, detected="10001"), made(1, 3, x=200)) == []


def test_one_face_found_twice_is_not_two_people() -> None:
    assert links(made(0, 10), made(3, 5, x=5, size=55)) == []


def test_order_of_the_lines_does_not_matter_for_who_is_apart() -> None:
    assert links(made(9, 5, x=200), made(0, 10)) == [[0, 1]]


def continued(*trajectories: Trajectory, cuts: tuple[int, ...] = ()) -> list[list[int]]:
    numbered = [made(t.start, len(t.boxes), int(t.boxes[0, 0]), int(t.boxes[0, 3]), index=i)
                for i, t in enumerate(trajectories)]  # fmt: skip
    return continuations(numbered, cuts).pairs.tolist()


def test_a_face_that_comes_back_at_once_where_it_was_may_be_the_same() -> None:
    assert continued(made(0, 10), made(13, 10, x=10)) == [[0, 1]]


def test_no_continuation_crosses_a_cut_or_a_long_gap_or_half_the_picture() -> None:
    first = made(0, 10)
    assert continued(first, made(13, 10), cuts=(12,)) == []
    assert continued(first, made(10 + ClusterSettings.max_gap + 1, 10)) == []
    assert continued(first, made(13, 10, x=100)) == []
    assert continued(first, made(13, 10, size=100)) == []


def test_of_two_rivals_only_the_nearest_goes_on() -> None:
    assert continued(made(0, 10), made(13, 10, x=5), made(13, 10, x=30)) == [[0, 1]]
    assert continued(made(0, 10, x=5), made(0, 10, x=30), made(13, 10)) == [[0, 2]]


tracks = st.lists(
    st.builds(made, st.integers(0, 60), st.integers(1, 30), st.integers(0, 300), st.integers(10, 60)),
    max_size=12,
)


@given(tracks, st.lists(st.integers(1, 80), max_size=3, unique=True).map(sorted))
def test_a_continuation_never_joins_what_shares_a_frame(found: list[Trajectory], cuts: list[int]) -> None:
    pairs = continuations(found, cuts)
    assert len(set(pairs.pairs[:, 0].tolist())) == len(set(pairs.pairs[:, 1].tolist())) == len(pairs.pairs)
    for (i, j), gap in zip(pairs.pairs.tolist(), pairs.gaps.tolist(), strict=True):
        assert found[i].end <= found[j].start
        assert 0 <= gap <= 1
        assert not any(found[i].start < cut <= found[j].start for cut in cuts)


@given(tracks)
def test_who_is_apart_is_what_a_look_at_every_frame_says(found: list[Trajectory]) -> None:
    limit = ClusterSettings(duplicate_iou=2.0)  # every pair that shares a frame
    slow = [
        [i, j]
        for i in range(len(found))
        for j in range(i + 1, len(found))
        if range(max(found[i].start, found[j].start), min(found[i].end, found[j].end))
    ]
    assert cannot_links(found, limit).tolist() == slow
