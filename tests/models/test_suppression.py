"""Suppression keeps the boxes that torchvision's and insightface's keep, few or many."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.ops import nms

from facerec.models.suppression import suppress


def boxes_and_scores(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    corner, sides = rng.uniform(0, 80, (count, 2)), rng.uniform(0, 60, (count, 2))
    return np.hstack([corner, corner + sides]).astype(np.float32), rng.permutation(count).astype(np.float32)


def documented(boxes: np.ndarray, scores: np.ndarray, overlap: float) -> list[int]:
    """Suppress as insightface documents it: sides are a pixel longer."""
    left, kept = list(np.argsort(-scores, kind="stable")), []
    while left:
        best = left.pop(0)
        kept.append(int(best))
        for other in list(left):
            low, high = (
                np.maximum(boxes[best, :2], boxes[other, :2]),
                np.minimum(boxes[best, 2:], boxes[other, 2:]),
            )
            shared = np.prod(np.maximum(high - low + 1, 0))
            areas = [np.prod(boxes[i, 2:] - boxes[i, :2] + 1) for i in (best, other)]
            if shared / (sum(areas) - shared) > overlap:
                left.remove(other)
    return kept


@pytest.mark.parametrize("count", [0, 1, 2, 7, 32, 33, 60])
def test_boxes_are_kept_as_in_torchvision_and_insightface(count):
    for seed in range(5):
        boxes, scores = boxes_and_scores(seed, count)
        expected = nms(torch.from_numpy(boxes), torch.from_numpy(scores), 0.4)
        assert suppress(boxes, scores, 0.4).tolist() == expected.tolist()
        assert suppress(boxes, scores, 0.4, border=1).tolist() == documented(boxes, scores, 0.4)


@pytest.mark.parametrize("count", [3, 40])
def test_equal_scores_keep_their_order_and_inverted_boxes_suppress_nothing(count):
    same = np.tile(np.array([10, 10, 30, 30], np.float32), (count, 1))
    assert suppress(same, np.ones(count, np.float32), 0.4).tolist() == [0]
    inverted = same[:, [2, 3, 0, 1]]
    assert suppress(inverted, np.ones(count, np.float32), 0.4).tolist() == list(range(count))
