"""Trajectories are matched with true boxes one to one, and with labels of their thumbnails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from facerec.annotations.identities import MIXED, NO_FACE
from facerec.annotations.matching import MATCH_IOU, Matched, match_boxes, match_labels
from facerec.folder.records import Trajectory
from facerec.geometry import Box

LEFT, RIGHT = (0, 0, 100, 100), (300, 0, 400, 100)


def trajectory(index: int, start: int, boxes: Sequence[Box]) -> Trajectory:
    rows = np.array(boxes, np.int64)
    return Trajectory(index, 7, start, rows, np.ones(len(rows), bool), 640, 360)


def matched_with(
    trajectories: Sequence[Trajectory],
    truth: Sequence[tuple[int, Box, str, str | None]],
    thumbnails: Mapping[int, Sequence[int]] | None = None,
) -> Matched:
    """Match with a truth given as rows of frame, box, track, identity."""
    return match_boxes(
        trajectories,
        thumbnails or {},
        np.array([row[0] for row in truth], np.int64),
        np.array([row[1] for row in truth], float).reshape(-1, 4),
        [row[2] for row in truth],
        [row[3] for row in truth],
    )


def test_each_true_box_is_found_at_most_once() -> None:
    found = [trajectory(0, 10, [LEFT, LEFT, LEFT])]
    truth = [
        (10, LEFT, "a", "ada"),
        (11, RIGHT, "b", "bob"),  # no trajectory there
        (12, LEFT, "a", "ada"),
        (12, (0, 0, 100, 90), "b", "bob"),  # overlaps the same box as ada
        (13, LEFT, "a", "ada"),  # after the last frame of the trajectory
        (10, RIGHT, "x", NO_FACE),  # no face: not counted
        (11, LEFT, "s", None),  # a face of uncertain identity
    ]
    matched = matched_with(found, truth)
    assert (matched.truth_boxes, matched.found_boxes) == (6, 3)
    assert matched.boxes == [Counter(ada=2)]


def test_greatest_overlap_is_matched_in_any_order_of_rows() -> None:
    found = [trajectory(0, 0, [(0, 0, 100, 100)]), trajectory(1, 0, [(40, 0, 140, 100)])]
    truth = [(0, (30, 0, 130, 100), "b", "bob"), (0, (0, 0, 100, 90), "a", "ada")]
    for rows in (truth, truth[::-1]):
        assert matched_with(found, rows).boxes == [Counter(ada=1), Counter(bob=1)]


def test_boxes_below_the_least_overlap_do_not_match() -> None:
    wide = round(100 / MATCH_IOU)
    found = [trajectory(0, 0, [(0, 0, 100, 100)])]
    assert matched_with(found, [(0, (0, 0, wide, 100), "a", "ada")]).found_boxes == 1
    assert matched_with(found, [(0, (0, 0, wide + 5, 100), "a", "ada")]).found_boxes == 0


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 8), st.integers(0, 8), st.booleans()), max_size=24)
)
def test_matching_is_one_to_one_and_maximal_in_each_frame(
    rows: list[tuple[int, int, int, bool]],
) -> None:
    boxes = [(frame, (10 * x, 10 * y, 10 * x + 40, 10 * y + 40), mine) for frame, x, y, mine in rows]
    found = [trajectory(i, f, [box]) for i, (f, box) in enumerate((f, b) for f, b, mine in boxes if mine)]
    truth = [(f, box, str(i), f"p{i}") for i, (f, box, mine) in enumerate(boxes) if not mine]
    matched = matched_with(found, truth)
    given_out = Counter(name for counts in matched.boxes for name in counts.elements())
    assert max(given_out.values(), default=1) == 1
    assert all(counts.total() <= 1 for counts in matched.boxes)
    assert matched.found_boxes == given_out.total()
    free = [t for t, counts in zip(found, matched.boxes, strict=True) if not counts]
    for frame, box, _, name in truth:
        if not given_out[name]:
            for one in free:
                alone = matched_with([trajectory(0, one.start, one.boxes.tolist())], [(frame, box, "t", "p")])
                assert alone.found_boxes == 0


def test_true_tracks_are_counted_by_identity_without_uncertain_ones() -> None:
    truth = [(f, LEFT, t, who) for f, t, who in ((0, "1", "ada"), (1, "1", "ada"), (5, "2", "ada"))]
    matched = matched_with([], [*truth, (0, RIGHT, "3", None), (0, RIGHT, "4", "bob")])
    assert matched.truth_tracks == {"ada": 2, "bob": 1}


def test_identities_are_those_of_the_first_and_the_last_thumbnail() -> None:
    found = [trajectory(0, 0, [LEFT] * 20), trajectory(1, 0, [RIGHT] * 6), trajectory(2, 50, [LEFT])]
    labels = {(0, 0): "ada", (0, 5): "bob", (0, 15): "cy", (1, 5): "dan"}
    matched = match_labels(found, {0: [0, 5, 10, 15], 1: [5], 2: []}, labels)
    assert matched.pictures == [("ada", "cy"), ("dan",), ()]
    assert matched.identity(0) == MIXED  # three people, whatever their names
    by_box = matched_with(found, [(15, LEFT, "t", "ada")], {0: [0, 5, 10, 15], 1: [5], 2: []})
    assert by_box.pictures == [(None, "ada"), (None,), ()]
