"""The benchmarks' comparisons of boxes, on hand-made cases."""

from __future__ import annotations

import numpy as np
import pytest

from bench.detect_every import shares
from facerec.folder.records import Trajectory
from facerec.geometry import iou


def still(start: int, boxes: list[list[int]], detected: list[bool]) -> Trajectory:
    return Trajectory(0, 7, start, np.array(boxes), np.array(detected), 200, 200)


def test_overlap_of_boxes() -> None:
    box = np.array([0, 0, 10, 10])
    others = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30], [10, 0, 20, 10]])
    assert iou(box, others).tolist() == pytest.approx([1, 1 / 3, 0, 0])


def test_only_detected_boxes_are_asked_for_and_only_in_their_frame() -> None:
    truth = [still(4, [[0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10]], [True, False, True])]
    assert shares(truth, [still(4, [[0, 0, 10, 10]], [True])]) == (2, 1, 1)
    assert shares(truth, [still(6, [[0, 0, 10, 7]], [True])]) == (2, 1, 0)
    assert shares(truth, [still(5, [[0, 0, 10, 10]], [True])]) == (2, 0, 0)
    assert shares(truth, []) == (2, 0, 0)
