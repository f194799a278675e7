"""Which trajectories are two people, and which may continue another."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from facerec.folder.records import Trajectory
from facerec.people.constraints import cannot_links, continuations
from facerec.settings import ClusterSettings, TrackSettings


def trajectory(
    start: int, length: int, x: int = 0, size: int = 50, detected: str = "", index: int = 0
) -> Trajectory:
    boxes = np.tile(np.array([x, 0, x + size, size], np.int64), (length, 1))
    flags = np.array([c == "1" for c in detected], bool) if detected else np.ones(length, bool)
    return Trajectory(index, 1, start, boxes, flags, 2000, 1000)


def linked(*trajectories: Trajectory) -> list[list[int]]:
    return cannot_links(trajectories).tolist()


def test_two_faces_in_one_frame_are_two_people() -> None:
    assert linked(trajectory(0, 10), trajectory(9, 5, x=200), trajectory(10, 5, x=400)) == [[0, 1], [1, 2]]


def test_trajectories_that_share_no_frame_may_be_one_person() -> None:
    assert linked(trajectory(0, 10), trajectory(10, 5, x=200)) == []


def test_an_interpolated_box_is_no_proof_of_two_people() -> None:
    assert linked(trajectory(0, 5, detected="10001"), trajectory(1, 3, x=200)) == []


def test_a_face_detected_twice_is_not_two_people() -> None:
    assert linked(trajectory(0, 10), trajectory(3, 5, x=5, size=55)) == []


def test_boxes_are_of_one_face_from_the_given_overlap_on() -> None:
    """Of half the height, they overlap by exactly one half."""
    whole, half = trajectory(0, 10), trajectory(0, 10, index=1)
    half.boxes[:, 3] = 25
    assert cannot_links([whole, half], ClusterSettings(duplicate_iou=0.5)).tolist() == []
    assert cannot_links([whole, half], ClusterSettings(duplicate_iou=0.501)).tolist() == [[0, 1]]


def test_the_order_of_trajectories_does_not_matter() -> None:
    assert linked(trajectory(9, 5, x=200), trajectory(0, 10)) == [[0, 1]]


def continued(*trajectories: Trajectory, cuts: tuple[int, ...] = ()) -> list[list[int]]:
    numbered = [trajectory(t.start, len(t.boxes), int(t.boxes[0, 0]), int(t.boxes[0, 3]), index=i)
                for i, t in enumerate(trajectories)]  # fmt: skip
    return continuations(numbered, cuts).pairs.tolist()


def test_a_face_that_comes_back_soon_at_its_place_is_a_continuation() -> None:
    assert continued(trajectory(0, 10), trajectory(23, 10, x=10)) == [[0, 1]]


def test_the_parts_of_a_track_that_was_split_by_appearance_are_no_continuation() -> None:
    """The tracker links such boxes; only other embeddings keep the parts from being one trajectory."""
    assert continued(trajectory(0, 10), trajectory(10, 10, x=5)) == []
    assert continued(trajectory(0, 10), trajectory(20, 10, x=5)) == []
    assert continued(trajectory(0, 10), trajectory(10, 10, x=35)) == [[0, 1]]
    assert continued(trajectory(0, 10), trajectory(21, 10, x=5)) == [[0, 1]]


def test_trajectories_that_the_tracker_was_not_to_link_may_continue_each_other() -> None:
    """After `merge_shards.py --max-gap 3` a gap of 5 frames is no sign of a change of embeddings."""
    pair = [trajectory(0, 10, index=0), trajectory(15, 10, x=5, index=1)]
    assert continuations(pair, ()).pairs.tolist() == []
    assert continuations(pair, (), tracking=TrackSettings(max_gap=3)).pairs.tolist() == [[0, 1]]
    assert continuations(pair, (), tracking=TrackSettings(iou_threshold=0.9)).pairs.tolist() == [[0, 1]]


def test_boxes_that_overlap_as_much_as_the_tracker_demands_were_split_by_appearance() -> None:
    whole, half = trajectory(0, 10), trajectory(12, 10, index=1)
    half.boxes[:, 3] = 25  # they overlap by exactly one half
    for threshold, found in ((0.5, []), (0.501, [[0, 1]])):
        tracking = TrackSettings(iou_threshold=threshold)
        assert continuations([whole, half], (), tracking=tracking).pairs.tolist() == found


def test_no_continuation_crosses_a_cut_a_long_gap_or_a_large_distance() -> None:
    first = trajectory(0, 10)
    assert continued(first, trajectory(23, 10), cuts=(22,)) == []
    assert continued(first, trajectory(23, 10), cuts=(23,)) == []
    assert continued(first, trajectory(23, 10), cuts=(24,)) == [[0, 1]]
    assert continued(first, trajectory(10 + ClusterSettings.max_gap + 1, 10)) == []
    assert continued(first, trajectory(23, 10, x=100)) == []
    assert continued(first, trajectory(23, 10, size=100)) == []


def test_a_continuation_is_as_near_and_as_large_as_the_settings_say_anywhere_in_the_picture() -> None:
    """By default 0.8 face sizes between the centres, and 1.4 times the size, both included."""
    for x in (0, 300):
        first = trajectory(0, 10, x=x)
        assert continued(first, trajectory(23, 10, x=x + 40)) == [[0, 1]]
        assert continued(first, trajectory(23, 10, x=x + 41)) == []
        assert continued(first, trajectory(23, 10, x=x, size=70)) == [[0, 1]]
        assert continued(first, trajectory(23, 10, x=x, size=71)) == []
        assert continued(trajectory(0, 10, x=x, size=70), trajectory(23, 10, x=x)) == [[0, 1]]
        assert continued(trajectory(0, 10, x=x, size=71), trajectory(23, 10, x=x)) == []
    assert continued(trajectory(0, 10, size=1), trajectory(23, 10, size=2)) == []
    assert continued(trajectory(0, 10, size=2), trajectory(23, 10, size=1)) == []
    for y, found in ((40, [[0, 1]]), (41, [])):
        first, lower = trajectory(0, 10), trajectory(23, 10, index=1)
        lower.boxes[:, 1::2] += y
        assert continuations([first, lower], ()).pairs.tolist() == found


def test_the_gap_of_a_continuation_is_a_share_of_the_longest() -> None:
    pair = [trajectory(0, 10, index=0), trajectory(35, 10, x=10, index=1)]
    assert continuations(pair, ()).gaps.tolist() == [25 / 50]
    assert continuations(pair, (), ClusterSettings(max_gap=25)).gaps.tolist() == []
    assert continuations(pair, (), ClusterSettings(max_gap=26)).gaps.tolist() == [25 / 26]
    at_once = [pair[0], trajectory(10, 10, x=35, index=1)]
    assert continuations(at_once, (), ClusterSettings(max_gap=1)).gaps.tolist() == [0]
    next_but_one = [pair[0], trajectory(11, 10, x=35, index=1)]
    assert continuations(next_but_one, (), ClusterSettings(max_gap=2)).gaps.tolist() == [1 / 2]


def test_of_two_candidates_the_one_of_the_same_size_may_be_a_little_farther() -> None:
    """Their cost is the distance in face sizes, and the logarithm of the ratio of sizes."""
    first = trajectory(0, 10)
    larger, farther = trajectory(23, 10, size=65), trajectory(23, 10, x=15)  # 0.18 + 0.26 and 0.3
    assert continued(first, larger, farther) == [[0, 2]]


def test_of_two_candidates_only_the_nearest_is_a_continuation() -> None:
    assert continued(trajectory(0, 10), trajectory(23, 10, x=5), trajectory(23, 10, x=30)) == [[0, 1]]
    assert continued(trajectory(0, 10, x=5), trajectory(0, 10, x=30), trajectory(23, 10)) == [[0, 2]]
    assert continued(trajectory(0, 10, x=6), trajectory(0, 10, x=5), trajectory(23, 10)) == [[1, 2]]
    assert continued(trajectory(0, 10), trajectory(23, 10, x=900), trajectory(23, 10, x=5)) == [[0, 2]]


tracks = st.lists(
    st.builds(trajectory, st.integers(0, 60), st.integers(1, 30), st.integers(0, 300), st.integers(10, 60)),
    max_size=12,
)


@given(tracks, st.lists(st.integers(1, 80), max_size=3, unique=True).map(sorted))
def test_continuations_are_one_to_one_and_share_no_frame(found: list[Trajectory], cuts: list[int]) -> None:
    pairs = continuations(found, cuts)
    assert len(set(pairs.pairs[:, 0].tolist())) == len(set(pairs.pairs[:, 1].tolist())) == len(pairs.pairs)
    for (i, j), gap in zip(pairs.pairs.tolist(), pairs.gaps.tolist(), strict=True):
        assert found[i].end <= found[j].start
        assert 0 <= gap <= 1
        assert not any(found[i].start < cut <= found[j].start for cut in cuts)


@given(tracks)
def test_cannot_links_agree_with_a_direct_comparison_of_ranges(found: list[Trajectory]) -> None:
    all_pairs = ClusterSettings(duplicate_iou=2.0)  # even of boxes that overlap
    slow = [
        [i, j]
        for i in range(len(found))
        for j in range(i + 1, len(found))
        if range(max(found[i].start, found[j].start), min(found[i].end, found[j].end))
    ]
    assert cannot_links(found, all_pairs).tolist() == slow
