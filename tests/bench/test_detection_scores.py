"""The score of a detector counts each face once, and only the boxes that were judged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from bench.detection_scores import Found, FrameKey, Outcomes, keypoint_errors, match, outcomes
from bench.judged_faces import Judged

KEY = (1, 10)


def box(x: float, side: int = 40) -> list[float]:
    return [x, 0, x + side, side]


def face(x: int, side: int = 40, verdict: str = "face", pose: str = "frontal") -> Judged:
    return Judged(*KEY, (x, 0, x + side, side), verdict, pose if verdict == "face" else "")


def found(*detections: tuple[list[float], float], key: FrameKey = KEY) -> dict[FrameKey, Found]:
    boxes = np.array([one for one, _ in detections], float).reshape(-1, 4)
    corners = np.repeat(boxes[:, None, :2], 5, axis=1)
    return {key: Found(boxes, np.array([score for _, score in detections]), corners)}


def true_of(got: Outcomes) -> list[bool]:
    return [bool(one) for one in got.true]


def test_a_second_box_on_a_face_is_false() -> None:
    got = outcomes(found((box(0), 0.9), (box(2), 0.8)), [face(0)])
    assert (true_of(got), got.faces) == ([True, False], 1)


def test_the_better_detection_takes_the_face_and_leaves_its_neighbour_to_the_other() -> None:
    boxes, faces = np.array([box(8), box(0)], float), np.array([box(0), box(10)], float)
    assert match(boxes, faces).tolist() == [1, 0]


def test_half_of_a_face_is_not_the_face() -> None:
    got = outcomes(found(([0, 0, 40, 19], 0.9)), [face(0)])
    assert (true_of(got), got.unjudged.tolist()) == ([False], [True])


def test_an_unsure_box_is_neither_missed_nor_false() -> None:
    got = outcomes(
        found((box(0), 0.9), (box(100), 0.8)), [face(0, verdict="unsure"), face(100, verdict="none")]
    )
    assert (true_of(got), got.faces, got.unjudged.tolist()) == ([False], 0, [False])
    assert got.scores.tolist() == [0.8]


def test_a_face_in_a_frame_without_detections_is_missed() -> None:
    elsewhere = Judged(1, 20, (0, 0, 40, 40), "face", "frontal")
    assert outcomes(found((box(0), 0.9)), [face(0), elsewhere]).at(0.5) == (1.0, 0.5)


def test_a_face_below_the_minimum_size_counts_neither_way() -> None:
    got = outcomes(found((box(0, 19), 0.9), (box(100, 19), 0.9)), [face(0, 19)])
    assert (len(got.scores), got.faces) == (0, 0)


@pytest.mark.parametrize("size", [(20, 32), (64, 1000)])
def test_faces_and_false_boxes_of_another_size_do_not_count(size: tuple[int, int]) -> None:
    got = outcomes(found((box(0), 0.9), (box(100), 0.8)), [face(0), face(200)], size)
    assert (len(got.scores), got.faces) == (0, 0)


def test_a_face_of_the_size_is_found_by_a_box_of_another() -> None:
    got = outcomes(found((box(0, 30), 0.9)), [face(0, 33)], (32, 64))
    assert (true_of(got), got.faces) == ([True], 1)


def test_a_face_of_another_pose_is_neither_missed_nor_false() -> None:
    got = outcomes(
        found((box(0), 0.9), (box(100), 0.8)), [face(0), face(100, pose="profile")], pose="profile"
    )
    assert (true_of(got), got.scores.tolist(), got.faces) == ([True], [0.8], 1)


def test_a_detection_that_nobody_judged_is_false_and_reported() -> None:
    got = outcomes(found((box(0), 0.9), (box(100), 0.8)), [face(0), face(104, verdict="none"), face(200)])
    assert got.unjudged.tolist() == [False, False]
    assert outcomes(found((box(300), 0.9)), [face(0)]).unjudged.tolist() == [True]


def curve(true: Sequence[bool], scores: Sequence[float], faces: int) -> float:
    flags = np.array(true, bool)
    return Outcomes(np.array(scores, float), flags, faces, np.zeros(len(flags), bool)).average_precision()


def test_average_precision_by_hand() -> None:
    assert curve([True, False, True], [0.9, 0.8, 0.7], 2) == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert curve([False, True], [0.9, 0.8], 1) == pytest.approx(0.5)
    assert curve([True, True], [0.9, 0.8], 2) == 1


def test_faces_never_found_lower_average_precision() -> None:
    assert curve([True], [0.9], 4) == pytest.approx(0.25)
    assert curve([], [], 4) == 0


def test_average_precision_does_not_depend_on_the_order_of_equal_scores() -> None:
    assert curve([True, False], [0.5, 0.5], 1) == curve([False, True], [0.5, 0.5], 1) == pytest.approx(0.5)


def test_precision_and_recall_are_of_the_detections_from_the_threshold() -> None:
    got = outcomes(found((box(0), 0.9), (box(300), 0.6), (box(100), 0.4)), [face(0), face(100), face(200)])
    assert got.at(0.6) == (pytest.approx(1 / 2), pytest.approx(1 / 3))
    assert got.at(0.3) == (pytest.approx(2 / 3), pytest.approx(2 / 3))


def moved(by: float) -> dict[FrameKey, Found]:
    one = found((box(0), 0.9))[KEY]
    return {KEY: Found(one.boxes, one.scores, one.keypoints + np.array([by, 0.0]))}


def test_keypoints_of_two_detectors_of_one_kind_do_not_confirm_each_other() -> None:
    detectors = {"big": moved(8), "little": moved(8), "a": moved(0), "b": moved(0)}
    kinds = {"big": "scrfd", "little": "scrfd", "a": "yunet", "b": "mtcnn"}
    faces, errors = keypoint_errors(detectors, kinds, [face(0)])
    assert len(faces) == 1
    assert errors["big"].tolist() == errors["little"].tolist() == pytest.approx([8 / 40])
    assert errors["a"].tolist() == pytest.approx([4 / 40])  # the median of 8 and 0


def test_keypoints_are_compared_on_the_faces_that_all_have_found() -> None:
    both = found((box(0), 0.9), (box(100), 0.8))
    faces, errors = keypoint_errors({"a": both, "b": moved(0)}, {"a": "a", "b": "b"}, [face(0), face(100)])
    assert [one.box[0] for one in faces] == [0]
    assert errors["a"].tolist() == [0]
